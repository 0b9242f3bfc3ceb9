/* cache.c - what the decoder remembers: keys and values of the window (counted, packed) and of the sequence
 * (one owner, f32). */
#include "asr/whisper/cache.h"

#include "nn/attention.h"

#include <string.h>

static size_t head_size(const struct pn_whisper *w, int n_ctx)
{
    return pn_cross_packed_size(w->precision, n_ctx, PN_WHISPER_HEAD);
}

size_t pn_cross_size(const struct pn_whisper *w)
{
    size_t heads = (size_t)w->dims.n_text_layer * (size_t)w->dims.n_text_head;
    return sizeof(struct pn_cross) + heads * head_size(w, w->dims.n_audio_ctx);
}

int pn_cross_new(struct pn_whisper_engine *e, int n_ctx, struct pn_cross **ret)
{
    struct pn_cross *c = pn_engine_take(e, PN_BLOCK_CROSS);
    if (!c)
        return -PN_ENOMEM;
    c->engine = e;
    atomic_init(&c->refs, 1);
    c->n_ctx = n_ctx;
    c->head_size = head_size(e->w, n_ctx);
    *ret = c;
    return 0;
}

struct pn_cross *pn_cross_ref(struct pn_cross *c)
{
    atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
    return c;
}

struct pn_cross *pn_cross_unref(struct pn_cross *c)
{
    if (c && atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) == 1)
        pn_engine_give(c->engine, PN_BLOCK_CROSS, c);
    return NULL;
}

void *pn_cross_head(const struct pn_cross *c, int layer, int head)
{
    size_t at = (size_t)layer * (size_t)c->engine->w->dims.n_text_head + (size_t)head;
    return (void *)(uintptr_t)(c->data + at * c->head_size);
}

size_t pn_self_cache_size(const struct pn_whisper *w)
{
    const struct pn_whisper_dims *d = &w->dims;
    return sizeof(struct pn_self_cache) +
           pn_floats((int64_t)d->n_text_layer * 2 * d->n_text_ctx, d->n_text_state);
}

int pn_self_cache_new(struct pn_whisper_engine *e, struct pn_self_cache **ret)
{
    struct pn_self_cache *c = pn_engine_take(e, PN_BLOCK_CACHE);
    if (!c)
        return -PN_ENOMEM;
    c->engine = e;
    *ret = c;
    return 0;
}

struct pn_self_cache *pn_self_cache_free(struct pn_self_cache *c)
{
    if (c)
        pn_engine_give(c->engine, PN_BLOCK_CACHE, c);
    return NULL;
}

float *pn_self_cache_at(const struct pn_self_cache *c, int layer, int values)
{
    const struct pn_whisper_dims *d = &c->engine->w->dims;
    size_t each = (size_t)d->n_text_ctx * (size_t)d->n_text_state;
    return (float *)(uintptr_t)(c->data + (size_t)(2 * layer + values) * each);
}

void pn_self_cache_copy(struct pn_self_cache *to, const struct pn_self_cache *from, int n)
{
    const struct pn_whisper_dims *d = &from->engine->w->dims;
    size_t bytes = (size_t)PN_MIN(n, d->n_text_ctx) * (size_t)d->n_text_state * sizeof(float);
    for (int layer = 0; layer < d->n_text_layer; layer++) {
        for (int values = 0; values < 2; values++)
            memcpy(pn_self_cache_at(to, layer, values), pn_self_cache_at(from, layer, values), bytes);
    }
}
