/* engine.h - what encoder.c, cache.c and decoder.c share: recycled blocks and the threads' scratch memory. */
#ifndef PN_ASR_WHISPER_ENGINE_H
#define PN_ASR_WHISPER_ENGINE_H

#include "asr/whisper/decoder.h"

#include <pthread.h>

enum {
    PN_TILE_ROWS = 72,    /* at most so many encoder rows go through a layer together: their f32 values and
                             one layer's int8 weights share an L2 cache; kernels like multiples of 6 */
    PN_ATTEND_ROWS = 128, /* queries of an encoder attention task */
    PN_CROSS_ROWS = 16,   /* rows of one window that read its keys and values together */
    PN_LOGIT_ROWS = 32,   /* rows whose logits are computed together */
    PN_IDLE_MAX = 16,
};

/* A block is one kind's struct followed by its arrays, always of the size that the model's full context
 * needs, so that any block serves any request. */
enum pn_block { PN_BLOCK_RUN, PN_BLOCK_CROSS, PN_BLOCK_CACHE, PN_N_BLOCKS };

struct pn_decoder_buffers {
    float *x, *norm, *qkv, *attended, *hidden; /* [cap][S], [S], [3S], [S], [4S] */
    void *linear;                              /* scratch of the widest layer */
    struct pn_decoder_group *group;            /* [cap] */
    float *logits;                             /* [n_logits][n_vocab], for more than one row */
    void *memory;                              /* holds all but the logits */
    int cap, n_logits;
};

struct pn_whisper_engine {
    const struct pn_whisper *w;
    struct pn_pool *pool;
    int threads;
    float *no_bias;   /* zeros, as many as cross_kv has outputs, padded */
    int *align_index; /* [n_text_layer * n_text_head]: place among the alignment heads, or -1 */

    pthread_mutex_t mu; /* guards idle */
    struct {
        void *block[PN_IDLE_MAX];
        int n;
    } idle[PN_N_BLOCKS];
    size_t block_size[PN_N_BLOCKS];

    uint8_t *scratch; /* [threads][scratch_size]: used within one task, by the thread that runs it */
    size_t scratch_size;
    struct pn_decoder_buffers decoder;
};

/* A block of `kind`, recycled or new (its bytes are anything), or NULL. Any thread. */
void *pn_engine_take(struct pn_whisper_engine *e, enum pn_block kind);
void pn_engine_give(struct pn_whisper_engine *e, enum pn_block kind, void *block);
void *pn_engine_scratch(const struct pn_whisper_engine *e, int thread);

/* Sizes of the blocks and of the scratch memory of a task. */
size_t pn_encoder_run_size(const struct pn_whisper *w);
size_t pn_encoder_scratch_size(const struct pn_whisper *w);
size_t pn_cross_size(const struct pn_whisper *w);
size_t pn_self_cache_size(const struct pn_whisper *w);
size_t pn_decoder_scratch_size(const struct pn_whisper *w);
void pn_decoder_buffers_done(struct pn_decoder_buffers *b);

/* Every array begins on a cache line. */
static inline size_t pn_round64(size_t n)
{
    return pn_round_up(n, 64);
}

static inline size_t pn_floats(int64_t rows, int64_t cols)
{
    return pn_round64((size_t)rows * (size_t)cols * sizeof(float));
}

#endif
