/* kv_cache.c - see kv_cache.h.
 *
 * The rows that count are always the first `have`: the ring is full before anything is overwritten. */
#include "asr/sanm/kv_cache.h"

#include "nn/kern.h"

#include <stdlib.h>
#include <string.h>

static size_t row_size(const struct pn_kv_cache *c)
{
    return (size_t)c->width * (c->half ? sizeof(uint16_t) : sizeof(float));
}

int pn_kv_cache_init(struct pn_kv_cache *c, int n_layers, int width, int keep, int first, bool half)
{
    struct pn_kv_cache new = {
        .n_layers = n_layers, .width = width, .keep = keep, .cap = PN_MAX(keep, first), .half = half
    };
    new.rows = malloc(pn_kv_cache_size(&new));
    if (!new.rows)
        return -PN_ENOMEM;
    *c = new;
    return 0;
}

void pn_kv_cache_done(struct pn_kv_cache *c)
{
    free(c->rows);
    *c = (struct pn_kv_cache){ 0 };
}

size_t pn_kv_cache_size(const struct pn_kv_cache *c)
{
    return 2 * (size_t)c->n_layers * (size_t)c->cap * row_size(c);
}

static char *rows_of(const struct pn_kv_cache *c, int layer, int which)
{
    return c->rows + (size_t)(2 * layer + which) * (size_t)c->cap * row_size(c);
}

const void *pn_kv_keys(const struct pn_kv_cache *c, int layer)
{
    return rows_of(c, layer, 0);
}

const void *pn_kv_values(const struct pn_kv_cache *c, int layer)
{
    return rows_of(c, layer, 1);
}

/* Whether a store of n rows replaces all that is there. */
static bool starts_over(const struct pn_kv_cache *c, int n)
{
    return c->have == 0 || n >= c->keep;
}

static int staying(const struct pn_kv_cache *c, int n)
{
    return PN_MIN(n, c->have == 0 ? c->cap : c->keep);
}

static void store_row(const struct pn_kv_cache *c, char *to, const float *x)
{
    if (c->half)
        pn_kern()->to_half(x, (uint16_t *)(void *)to, (size_t)c->width);
    else
        memcpy(to, x, row_size(c));
}

void pn_kv_store(struct pn_kv_cache *c, int layer, int n, const float *k, const float *v, size_t ld)
{
    int stay = staying(c, n), at = starts_over(c, n) ? 0 : c->at;
    char *keys = rows_of(c, layer, 0), *values = rows_of(c, layer, 1);
    for (int i = n - stay; i < n; i++, at++) {
        size_t to = (size_t)(at % c->cap) * row_size(c);
        store_row(c, keys + to, k + (size_t)i * ld);
        store_row(c, values + to, v + (size_t)i * ld);
    }
}

void pn_kv_advance(struct pn_kv_cache *c, int n)
{
    int stay = staying(c, n);
    bool over = starts_over(c, n);
    c->have = over ? stay : PN_MIN(c->have + stay, c->cap);
    c->at = ((over ? 0 : c->at) + stay) % c->cap;
}
