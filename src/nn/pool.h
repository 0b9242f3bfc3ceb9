/* pool.h - the compute threads: one parallel loop at a time.
 *
 * Workers wait for the next loop by spinning for a few microseconds (decoder steps run dozens of loops a
 * millisecond) and then sleep on a futex. The caller takes part, so a pool of one has no thread of its own.
 */
#ifndef PN_NN_POOL_H
#define PN_NN_POOL_H

#include "base/attr.h"
#include "base/error.h"

struct pn_pool;

PN_MUST_CHECK int pn_pool_new(int threads, struct pn_pool **ret, struct pn_err *err);
struct pn_pool *pn_pool_free(struct pn_pool *p); /* accepts NULL, returns NULL */
int pn_pool_threads(const struct pn_pool *p);
/* Calls fn(ctx, i, thread) once for every i in [0, n), on any of the threads (0 <= thread < threads, the
 * caller is 0), in any order, and returns when all are done. Not reentrant; one caller at a time. A NULL pool
 * runs everything on the caller. */
void pn_pool_run(struct pn_pool *p, int n, void (*fn)(void *ctx, int i, int thread), void *ctx);

#endif
