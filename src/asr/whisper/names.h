/* names.h - a tensor of the model under the name that its container uses. */
#ifndef PN_ASR_WHISPER_NAMES_H
#define PN_ASR_WHISPER_NAMES_H

#include "model/checkpoint.h"

enum { PN_TENSOR_NAME_MAX = 96 };

/* Hugging Face's name (without "model.") of OpenAI's `name`. -PN_ELIMIT: does not fit. */
PN_MUST_CHECK int pn_whisper_hf_name(const char *name, char *ret, size_t cap);
/* The tensor with OpenAI's `name` of a struct pn_checkpoint (see pn_find_tensor_fn in asr/pack.h). */
PN_MUST_CHECK int pn_whisper_tensor(const void *checkpoint, const char *name, const int64_t want[3],
                                    const struct pn_tensor **ret, struct pn_err *err);

#endif
