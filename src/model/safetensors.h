/* safetensors.h - one safetensors file: u64 length of the header, the header (JSON), data. */
#ifndef PN_MODEL_SAFETENSORS_H
#define PN_MODEL_SAFETENSORS_H

#include "model/checkpoint_impl.h"

/* Adds the tensors of `file`, called `name` in messages. */
PN_MUST_CHECK int pn_safetensors_read(struct pn_checkpoint *c, struct pn_str file, const char *name,
                                      struct pn_err *err);

#endif
