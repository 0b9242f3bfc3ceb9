/* want.h - a copy of what a client wants, with everything it points to. */
#ifndef PN_ASR_LIVE_WANT_H
#define PN_ASR_LIVE_WANT_H

#include "asr/recognizer.h"

/* In one piece of memory, for free(). -PN_ENOMEM; -PN_ELIMIT: strings longer than 64 KB in all. */
PN_MUST_CHECK int pn_want_copy(const struct pn_recognition *want, struct pn_recognition **ret);

#endif
