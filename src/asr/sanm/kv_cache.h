/* kv_cache.h - keys and values of what a stream has heard, for each layer: the last rows of them.
 *
 * Rows lie in a ring, because attention does not care for their order. f32, or half floats where that is
 * precise enough. Every layer stores the same number of rows, then pn_kv_advance() makes them count. Where a
 * first store is larger than `keep`, all others are at least as large as `keep`, too. One owner. */
#ifndef PN_ASR_SANM_KV_CACHE_H
#define PN_ASR_SANM_KV_CACHE_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>

struct pn_kv_cache {
    int n_layers, width;
    int keep;     /* rows that stay */
    int cap;      /* rows that fit: keep, or more for a first store that is larger */
    int have, at; /* rows that count; where the next one goes */
    bool half;
    char *rows; /* [n_layers][key, value][cap][width] */
};

/* `first`: rows of the first store, which is kept whole even if it is more than `keep`. Both at least 1. */
PN_MUST_CHECK int pn_kv_cache_init(struct pn_kv_cache *c, int n_layers, int width, int keep, int first,
                                   bool half);
void pn_kv_cache_done(struct pn_kv_cache *c); /* accepts one that is all zero */
size_t pn_kv_cache_size(const struct pn_kv_cache *c);
const void *pn_kv_keys(const struct pn_kv_cache *c, int layer); /* [have][width] */
const void *pn_kv_values(const struct pn_kv_cache *c, int layer);
/* Keeps n rows, or the last `keep` of them, beside those that count. Not for the next layer's reads before
 * pn_kv_advance(): the oldest rows of this layer may be overwritten. */
void pn_kv_store(struct pn_kv_cache *c, int layer, int n, const float *k, const float *v, size_t ld);
void pn_kv_advance(struct pn_kv_cache *c, int n); /* after the last layer has stored n rows */

#endif
