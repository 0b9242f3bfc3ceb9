/* rows.h - work that treats every row by itself (projections, norms, feed-forwards), shared out to threads.
 *
 * Few rows: one call for all of them, which shares out the weights of every product (pn_linear_pool), so that
 * they are read from memory once. Many rows: tiles of rows, one thread each, whose activations stay in its
 * cache from one layer to the next. */
#ifndef PN_NN_ROWS_H
#define PN_NN_ROWS_H

#include "nn/pool.h"

#include <stddef.h>

enum { PN_TILE_MAX = 96 }; /* rows of one call, at most */

struct pn_rows {
    struct pn_pool *pool;
    char *scratch; /* [threads][scratch_size], 64-byte aligned */
    size_t scratch_size;
};

/* `scratch_size`: what `fn` may use. -PN_ENOMEM. */
PN_MUST_CHECK int pn_rows_init(struct pn_rows *r, struct pn_pool *pool, size_t scratch_size);
void pn_rows_done(struct pn_rows *r); /* accepts one that is all zero */
void *pn_rows_scratch(const struct pn_rows *r, int thread);

/* Rows [from, from + m). `pool` is NULL in a tile, else for pn_linear_pool(). */
typedef void (*pn_rows_fn)(void *ctx, int from, int m, struct pn_pool *pool, void *scratch);
/* Calls `fn` for all of the `m` rows. */
void pn_rows_run(const struct pn_rows *r, int m, pn_rows_fn fn, void *ctx);

#endif
