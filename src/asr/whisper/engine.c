/* engine.c - memory of the streams of one model.
 *
 * Blocks of tens of megabytes come and go with every window; a few idle ones of each kind are kept, so that
 * their pages are not faulted in again. In debug builds an idle block is filled with 0xff, which is NaN as a
 * float: a value that leaks from one request into another spoils the second one's result for all to see. */
#include "asr/whisper/engine.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { HUGE_PAGE = 2 << 20 };

/* Idle blocks kept of each kind. */
static const int KEEP[PN_N_BLOCKS] = {
    [PN_BLOCK_RUN] = 2, [PN_BLOCK_CROSS] = 4, [PN_BLOCK_CACHE] = PN_IDLE_MAX
};

/* Runs and crosses are filled whole and read often, so they ask for huge pages; caches grow slowly and would
 * waste them. */
static void *block_new(const struct pn_whisper_engine *e, enum pn_block kind)
{
    size_t size = e->block_size[kind];
    bool huge = kind != PN_BLOCK_CACHE && size >= HUGE_PAGE;
    void *block = NULL;
    if (posix_memalign(&block, huge ? HUGE_PAGE : 64, size) != 0)
        return NULL;
    if (huge)
        (void)madvise(block, size, MADV_HUGEPAGE);
    return block;
}

void *pn_engine_take(struct pn_whisper_engine *e, enum pn_block kind)
{
    void *block = NULL;
    pthread_mutex_lock(&e->mu);
    if (e->idle[kind].n > 0)
        block = e->idle[kind].block[--e->idle[kind].n];
    pthread_mutex_unlock(&e->mu);
    return block ? block : block_new(e, kind);
}

void pn_engine_give(struct pn_whisper_engine *e, enum pn_block kind, void *block)
{
#ifndef NDEBUG
    memset(block, 0xff, e->block_size[kind]);
#endif
    pthread_mutex_lock(&e->mu);
    if (e->idle[kind].n < KEEP[kind]) {
        e->idle[kind].block[e->idle[kind].n++] = block;
        block = NULL;
    }
    pthread_mutex_unlock(&e->mu);
    free(block);
}

void *pn_engine_scratch(const struct pn_whisper_engine *e, int thread)
{
    assert(thread >= 0 && thread < e->threads);
    return e->scratch + (size_t)thread * e->scratch_size;
}

static int index_heads(struct pn_whisper_engine *e)
{
    const struct pn_whisper_dims *d = &e->w->dims;
    int n = d->n_text_layer * d->n_text_head;
    e->align_index = malloc((size_t)n * sizeof(*e->align_index));
    if (!e->align_index)
        return -PN_ENOMEM;
    for (int i = 0; i < n; i++)
        e->align_index[i] = -1;
    for (int i = 0; i < e->w->n_align_heads; i++)
        e->align_index[e->w->align_heads[i]] = i;
    return 0;
}

int pn_whisper_engine_new(const struct pn_whisper *w, struct pn_pool *pool, struct pn_whisper_engine **ret)
{
    struct pn_whisper_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return -PN_ENOMEM;
    e->w = w;
    e->pool = pool;
    e->threads = pool ? pn_pool_threads(pool) : 1;
    pthread_mutex_init(&e->mu, NULL);
    e->block_size[PN_BLOCK_RUN] = pn_encoder_run_size(w);
    e->block_size[PN_BLOCK_CROSS] = pn_cross_size(w);
    e->block_size[PN_BLOCK_CACHE] = pn_self_cache_size(w);
    /* An odd line between two threads' parts keeps them off the same cache sets. */
    e->scratch_size = PN_MAX(pn_encoder_scratch_size(w), pn_decoder_scratch_size(w)) + 64;
    void *scratch = NULL;
    if (posix_memalign(&scratch, 64, (size_t)e->threads * e->scratch_size) == 0)
        e->scratch = scratch;
    size_t biases = pn_floats(1, w->decoder[0].cross_kv.n + PN_PANEL);
    void *no_bias = NULL;
    if (posix_memalign(&no_bias, 64, biases) == 0)
        e->no_bias = memset(no_bias, 0, biases);
    if (!e->scratch || !e->no_bias || index_heads(e) < 0) {
        pn_whisper_engine_free(e);
        return -PN_ENOMEM;
    }
    *ret = e;
    return 0;
}

struct pn_whisper_engine *pn_whisper_engine_free(struct pn_whisper_engine *e)
{
    if (!e)
        return NULL;
    for (int kind = 0; kind < PN_N_BLOCKS; kind++) {
        while (e->idle[kind].n > 0)
            free(e->idle[kind].block[--e->idle[kind].n]);
    }
    pthread_mutex_destroy(&e->mu);
    pn_decoder_buffers_done(&e->decoder);
    free(e->align_index);
    free(e->no_bias);
    free(e->scratch);
    free(e);
    return NULL;
}

const struct pn_whisper *pn_whisper_engine_model(const struct pn_whisper_engine *e)
{
    return e->w;
}
