/* sanm.h - blocks of self-attention with an FSMN memory (spec paraformer 3.2): the encoder of Paraformer,
 * offline and streaming, and of CT-Transformer.
 *
 * A call runs one block over the rows of several sequences, which lie below each other; whatever treats a row
 * by itself is one product for all of them, attention and memory are each sequence's own. A row's result does
 * not depend on who shares the batch. */
#ifndef PN_ASR_SANM_SANM_H
#define PN_ASR_SANM_SANM_H

#include "asr/sanm/attend.h"
#include "nn/linear.h"
#include "nn/norm.h"
#include "nn/rows.h"

#define PN_SANM_EPS 1e-12f /* of every layer norm in this family of models */

struct pn_sanm_block {
    struct pn_norm norm1, norm2;
    struct pn_linear qkv;    /* [3 size][in]: queries, keys, values */
    const float *taps;       /* [kernel][size] */
    struct pn_linear out;    /* [size][size] */
    struct pn_linear w1, w2; /* [hidden][size], [size][hidden] */
};

/* Immutable. Block 0 takes rows of `in` values and, if that is not `size`, has no residual. */
struct pn_sanm {
    enum pn_precision precision;
    int in, size, heads, hidden, n_blocks;
    int kernel, left;            /* taps; how many of them lie before the row */
    struct pn_sanm_block *block; /* [n_blocks] */
    struct pn_norm after;
};

struct pn_sanm_seq {
    int rows;
    struct pn_kv_cache *cache; /* rows before these, attended to as well; NULL: none */
    int store;                 /* this many of the rows, from the first, are kept in the cache */
    const int *limits; /* [rows] row i sees only the first limits[i] rows (no cache then); NULL: all */
};

/* Memory of the calls over one model: one caller at a time. */
struct pn_sanm_work {
    struct pn_rows rows;
    struct pn_pool *pool;
    struct pn_attend_room room;
    float *wide, *attended; /* [cap][3 size], [cap][size] */
    int cap;
};

PN_MUST_CHECK int pn_sanm_work_init(struct pn_sanm_work *w, const struct pn_sanm *m, struct pn_pool *pool);
void pn_sanm_work_done(struct pn_sanm_work *w); /* accepts one that is all zero */

static inline int pn_sanm_ld(const struct pn_sanm *m)
{
    return PN_MAX(m->in, m->size);
}

/* Block `block` over x [rows of all][pn_sanm_ld()], in place. The caches of a sequence are read and stored
 * to; their pn_kv_advance() is the caller's, after the last block. -PN_ENOMEM: x is as it was. */
PN_MUST_CHECK int pn_sanm_run(const struct pn_sanm *m, struct pn_sanm_work *w, int block, float *x,
                              const struct pn_sanm_seq *seq, int n_seq);
/* The norm behind the last block, from x [rows][pn_sanm_ld()] to out [rows][ldo]. */
void pn_sanm_finish(const struct pn_sanm *m, int rows, const float *x, float *out, size_t ldo);
/* What goes into block 0: x = x * sqrt(size) + the sinusoids of positions from, from + 1, ... (3.1; the first
 * row of a clip is position 1). x [rows][ldx]. */
void pn_sanm_positions(const struct pn_sanm *m, int64_t from, int rows, float *x, size_t ldx);

#endif
