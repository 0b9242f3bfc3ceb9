/* vocabulary.h - token bytes from the JSON files of a Hugging Face folder. */
#ifndef PN_MODEL_VOCABULARY_H
#define PN_MODEL_VOCABULARY_H

#include "model/checkpoint_impl.h"

/* Fills the checkpoint's tokens from vocab.json or, if that is empty, tokenizer.json; both empty: none. */
PN_MUST_CHECK int pn_vocabulary_read(struct pn_checkpoint *c, struct pn_str vocab_json,
                                     struct pn_str tokenizer_json, struct pn_err *err);
/* "<|endoftext|>" and its like: control tokens, which have no text. */
bool pn_vocabulary_is_special(struct pn_str token);

#endif
