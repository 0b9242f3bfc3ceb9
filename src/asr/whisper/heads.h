/* heads.h - the attention heads of the decoder whose weights follow the audio (spec whisper 4.11). */
#ifndef PN_ASR_WHISPER_HEADS_H
#define PN_ASR_WHISPER_HEADS_H

#include "asr/whisper/model.h"

/* For an official model by name if the sizes are its; else from a Hugging Face folder's
 * generation_config.json; else all heads of the upper half of the decoder. *ret is the caller's (free), layer
 * * n_text_head + head, ascending. -PN_ENOMEM. */
PN_MUST_CHECK int pn_whisper_heads(const char *name, const struct pn_whisper_dims *d,
                                   const struct pn_checkpoint *c, int **ret, int *ret_n);

#endif
