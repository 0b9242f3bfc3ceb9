/* dims.h - a Whisper's ten sizes, as any of the published containers states them. */
#ifndef PN_ASR_WHISPER_DIMS_H
#define PN_ASR_WHISPER_DIMS_H

#include "asr/whisper/model.h"

/* Reads and checks the sizes. -PN_EFORMAT: one is missing, out of range, or they do not fit together; the
 * text names it. */
PN_MUST_CHECK int pn_whisper_dims_read(const struct pn_checkpoint *c, struct pn_whisper_dims *ret,
                                       struct pn_err *err);
PN_MUST_CHECK int pn_whisper_dims_check(const struct pn_whisper_dims *d, struct pn_err *err);

#endif
