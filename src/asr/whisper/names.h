/* names.h - a tensor of the model under the name that its container uses. */
#ifndef PN_ASR_WHISPER_NAMES_H
#define PN_ASR_WHISPER_NAMES_H

#include "model/checkpoint.h"

enum { PN_TENSOR_NAME_MAX = 96 };

/* Hugging Face's name (without "model.") of OpenAI's `name`. -PN_ELIMIT: does not fit. */
PN_MUST_CHECK int pn_whisper_hf_name(const char *name, char *ret, size_t cap);
/* The tensor with OpenAI's `name` and, but for dimensions of 1, the shape [rows][cols][depth] (1 where it has
 * fewer). -PN_EFORMAT: missing, another shape, or a type that holds no weights; the text names it. */
PN_MUST_CHECK int pn_whisper_tensor(const struct pn_checkpoint *c, const char *name, int64_t rows,
                                    int64_t cols, int64_t depth, const struct pn_tensor **ret,
                                    struct pn_err *err);

#endif
