/* cache.h - the layouts of the decoder's two caches. */
#ifndef PN_ASR_WHISPER_CACHE_H
#define PN_ASR_WHISPER_CACHE_H

#include "asr/whisper/engine.h"

#include <stdatomic.h>

struct pn_cross {
    struct pn_whisper_engine *engine;
    atomic_int refs;
    int n_ctx;
    size_t head_size;            /* bytes of one packed head */
    _Alignas(64) uint8_t data[]; /* [n_text_layer][n_text_head][head_size] */
};

struct pn_self_cache {
    struct pn_whisper_engine *engine;
    _Alignas(64) float data[]; /* [n_text_layer][2][n_text_ctx][S]: keys, then values */
};

PN_MUST_CHECK int pn_cross_new(struct pn_whisper_engine *e, int n_ctx, struct pn_cross **ret);
void *pn_cross_head(const struct pn_cross *c, int layer, int head);
/* Keys (0) or values (1) of a layer, [n_text_ctx][S]. */
float *pn_self_cache_at(const struct pn_self_cache *c, int layer, int values);

#endif
