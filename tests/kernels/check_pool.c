/* check_pool.c - the thread pool: every index once, on a thread that exists, however short the loops are. */
#include "check.h"

#include "nn/pool.h"

#include <stdatomic.h>
#include <string.h>

enum { MOST = 300 };

struct loop {
    struct pn_check *c;
    int threads;
    int base;       /* differs from loop to loop, so that a worker with an old loop is seen */
    int done[MOST]; /* written by the one thread that has the index */
    _Atomic int wrong;
};

static void one(void *ctx, int i, int thread)
{
    struct loop *l = ctx;
    if (thread < 0 || thread >= l->threads || i < 0 || i >= MOST) {
        l->wrong++;
        return;
    }
    l->done[i] += l->base + i;
}

static void check_loop(struct pn_check *c, struct pn_pool *pool, struct loop *l, int n)
{
    memset(l->done, 0, sizeof(l->done));
    l->base++;
    pn_pool_run(pool, n, one, l);
    bool right = l->wrong == 0;
    for (int i = 0; i < MOST; i++)
        right = right && l->done[i] == (i < n ? l->base + i : 0);
    CHECK(c, right, "pool of %d: loop %d over %d indices", l->threads, l->base, n);
}

void pn_check_pool(struct pn_check *c)
{
    struct pn_err err = { 0 };
    struct pn_pool *pool = NULL;
    struct loop l = { .c = c };
    CHECK(c, pn_pool_new(0, &pool, &err) == -PN_EINVAL && !pool, "a pool of no threads");
    CHECK(c, pn_pool_threads(NULL) == 1 && pn_pool_free(NULL) == NULL, "no pool is one thread");
    for (int threads = 0; threads <= 4; threads++) {
        l.threads = PN_MAX(threads, 1);
        if (threads > 0 && !CHECK(c, pn_pool_new(threads, &pool, &err) == 0, "%s", err.text))
            return;
        CHECK(c, pn_pool_threads(pool) == l.threads, "threads of a pool of %d", threads);
        for (int i = 0; i < 1500; i++)
            check_loop(c, pool, &l, i % 4 == 0 ? pn_check_int(c, 0, MOST) : pn_check_int(c, 0, 8));
        pool = pn_pool_free(pool);
    }
}
