/* bpe_impl.h - what the files of the byte-pair encoder share. */
#ifndef PN_TEXT_BPE_IMPL_H
#define PN_TEXT_BPE_IMPL_H

#include "text/bpe.h"

enum {
    PN_BPE_MAX_TOKENS = 1 << 20,
    PN_BPE_MAX_TOKEN_LEN = 1 << 16,
    PN_BPE_MAX_BYTES = 1 << 28, /* of all tokens */
};

/* The id whose bytes are `s`, or -1. */
int32_t pn_bpe_find(const struct pn_bpe *b, struct pn_str s);

/* Bytes of the first piece of `text`, which is not empty: a piece is merged on its own (spec whisper 3.2). */
size_t pn_bpe_piece(struct pn_str text);

#endif
