/* decoder.h - Paraformer's decoder (spec paraformer 3.4, 4.5), also the one for hot words (3.8): all tokens
 * at once, block after block, for the tokens of several sequences below each other. */
#ifndef PN_ASR_PARAFORMER_DECODER_H
#define PN_ASR_PARAFORMER_DECODER_H

#include "asr/paraformer/model.h"

struct pn_pf_dec_seq {
    int tokens;              /* rows of y */
    int memory_from, memory; /* rows of the memory that these tokens attend to; sequences may share rows */
    /* A stream's, or NULL: rows of earlier tokens [n_blocks][kernel - 1][size], keys and values of earlier
     * memory. */
    float *history;
    struct pn_kv_cache *cache;
};

/* Memory of the calls over one decoder: one caller at a time. */
struct pn_pf_decoder_work {
    struct pn_rows rows;
    struct pn_pool *pool;
    struct pn_attend_room room;
    float *block; /* holds the next ones */
    size_t block_floats;
    float *t, *q, *attended, *kv; /* [tokens][size] each, [memory rows][2 size] */
};

PN_MUST_CHECK int pn_pf_decoder_work_init(struct pn_pf_decoder_work *w, const struct pn_pf_decoder *d,
                                          struct pn_pool *pool);
void pn_pf_decoder_work_done(struct pn_pf_decoder_work *w); /* accepts one that is all zero */

/* Block `block` over y [all tokens][size] in place; `memory` [n_memory][size]. Histories and caches are read
 * and written; pn_kv_advance() of the caches is the caller's, after the last block. -PN_ENOMEM: y is as it
 * was. */
PN_MUST_CHECK int pn_pf_decoder_run(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w, int block,
                                    float *y, const float *memory, int n_memory,
                                    const struct pn_pf_dec_seq *seq, int n_seq);
/* The last feed-forward and the norm behind it, in place. */
void pn_pf_decoder_finish(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w, float *y, int tokens);
/* How much the attention of block `block` would look at each memory row: its weights, summed over heads and
 * tokens, into score[n_memory]; y is not changed. */
PN_MUST_CHECK int pn_pf_decoder_interest(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w,
                                         int block, const float *y, int tokens, const float *memory,
                                         int n_memory, float *score);

#endif
