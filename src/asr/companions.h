/* companions.h - the models beside a recogniser, by the settings that name them. Private to models*.c. */
#ifndef PN_ASR_COMPANIONS_H
#define PN_ASR_COMPANIONS_H

#include "asr/model_kinds.h"
#include "asr/punctuation/punctuation.h"
#include "asr/vad/vad.h"

/* `setting`: "auto" (or ""): FSMN's or Silero's model if one is here, else by energy; "fsmn", "silero",
 * "energy"; "off": *ret is NULL; else a name or a path. -PN_ENOTFOUND (never of "auto") or as
 * pn_vad_model_open. */
PN_MUST_CHECK int pn_companion_vad(const struct pn_model_loader *l, const char *setting,
                                   struct pn_vad_model **ret, struct pn_err *err);
/* "auto" (or ""): ct-punc if it is here; "off"; else a name or a path. *ret is NULL without one. */
PN_MUST_CHECK int pn_companion_punctuation(const struct pn_model_loader *l, const char *setting,
                                           struct pn_punctuation **ret, struct pn_err *err);

#endif
