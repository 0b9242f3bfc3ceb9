/* rows.c - see rows.h. */
#include "nn/rows.h"

#include "nn/linear.h"

#include <stdlib.h>

struct tiles {
    const struct pn_rows *rows;
    int m, tile;
    pn_rows_fn fn;
    void *ctx;
};

int pn_rows_init(struct pn_rows *r, struct pn_pool *pool, size_t scratch_size)
{
    void *scratch = NULL;
    /* An odd line between two threads' parts keeps them off the same cache sets. */
    size_t each = pn_round_up(scratch_size, 64) + 64;
    if (posix_memalign(&scratch, 64, (size_t)pn_pool_threads(pool) * each) != 0)
        return -PN_ENOMEM;
    *r = (struct pn_rows){ pool, scratch, each };
    return 0;
}

void pn_rows_done(struct pn_rows *r)
{
    free(r->scratch);
    *r = (struct pn_rows){ 0 };
}

void *pn_rows_scratch(const struct pn_rows *r, int thread)
{
    return r->scratch + (size_t)thread * r->scratch_size;
}

static void run_tile(void *ctx, int i, int thread)
{
    const struct tiles *t = ctx;
    int from = i * t->tile;
    t->fn(t->ctx, from, PN_MIN(t->tile, t->m - from), NULL, pn_rows_scratch(t->rows, thread));
}

/* As large as tiles may be, but every thread gets as many of them. */
static int tile_rows(int m, int threads)
{
    int n = (m + PN_TILE_MAX - 1) / PN_TILE_MAX;
    n = (n + threads - 1) / threads * threads;
    return (m + n - 1) / n;
}

void pn_rows_run(const struct pn_rows *r, int m, pn_rows_fn fn, void *ctx)
{
    int threads = pn_pool_threads(r->pool);
    if (m == 0)
        return;
    if (m <= PN_FEW_ROWS) {
        fn(ctx, 0, m, r->pool, r->scratch);
        return;
    }
    struct tiles t = { r, m, tile_rows(m, threads), fn, ctx };
    pn_pool_run(r->pool, (m + t.tile - 1) / t.tile, run_tile, &t);
}
