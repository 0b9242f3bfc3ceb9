/* ranks.h - the vocabulary of a model: from its checkpoint, from a rank file, and in the packed file. */
#ifndef PN_ASR_WHISPER_RANKS_H
#define PN_ASR_WHISPER_RANKS_H

#include "asr/whisper/model.h"

/* The tokens that come with the checkpoint, else those of a rank file: `<stem>.tiktoken`, then
 * `multilingual.tiktoken` or `gpt2.tiktoken`, beside the checkpoint, then the latter in `model_dir` ("" =
 * none). -PN_ENOTFOUND: the text names the file and the folders. */
PN_MUST_CHECK int pn_whisper_ranks(const struct pn_checkpoint *c, const char *path, const char *model_dir,
                                   int n_vocab, struct pn_bpe **ret, struct pn_err *err);

/* The tokens as one block of bytes: u32 count, u32 length of each, their bytes. */
size_t pn_whisper_ranks_size(const struct pn_bpe *b);
void pn_whisper_ranks_write(const struct pn_bpe *b, void *block);
/* -PN_EFORMAT when lengths and size do not agree. */
PN_MUST_CHECK int pn_whisper_ranks_read(const void *block, size_t size, struct pn_bpe **ret,
                                        struct pn_err *err);

#endif
