/* flash_avx512.h - softmax over a block of keys with running maxima, shared by
 * the AVX-512 attentions.
 *
 * Queries are taken in tiles of 6 rows (times 4 registers of 16 keys or
 * channels: 24 sums and their operands fit the 32 registers), keys in blocks of
 * 128. For each row a block's probabilities are formed against the largest
 * score of the block or of all blocks so far; sums of earlier blocks are scaled
 * down to match. The order of everything a row goes through is fixed by n
 * alone. */
#ifndef PN_NN_X86_FLASH_AVX512_H
#define PN_NN_X86_FLASH_AVX512_H

#include "nn/kern.h"
#include "nn/x86/softmax_avx512.h"

#include <immintrin.h>
#include <string.h>

enum {
    PN_FLASH_TILE = 6,   /* rows of a register tile */
    PN_FLASH_TILES = 4,  /* tiles that share a block of keys while it is in the first cache */
    PN_FLASH_KEYS = 128, /* keys of a block */
    PN_FLASH_MAX_D = 128,
};

#define PN_FLASH_ROWS (PN_FLASH_TILE * PN_FLASH_TILES)
#define PN_FLASH_NEVER                                                           \
    (-1e30f) /* the score of a key that is not there: finite, so that no NaN can \
                arise */

/* One tile. Lanes of max, shrink and grow are rows; of `sum`, parts of the
 * row's sum. */
struct pn_flash_tile {
    float s[PN_FLASH_TILE][PN_FLASH_KEYS]; /* scores of the block, then what the
                                              product with values needs */
    float sum[PN_FLASH_TILE][16];
    float max[16];    /* of all blocks so far */
    float now[16];    /* of this block */
    float shrink[16]; /* factor for the sums of earlier blocks */
    float grow[16];   /* 2^((now - max) log2 e): what this block's sums weigh */
    float out[PN_FLASH_TILE][PN_FLASH_MAX_D];
};

static inline void pn_flash_start(struct pn_flash_tile *t)
{
    memset(t->sum, 0, sizeof(t->sum));
    memset(t->out, 0, sizeof(t->out));
    _mm512_storeu_ps(t->max, _mm512_set1_ps(PN_FLASH_NEVER));
    _mm512_storeu_ps(t->now, _mm512_set1_ps(PN_FLASH_NEVER));
}

/* 2^t within 8e-5 of its value: enough where the result is rounded to 12 bits.
 */
static inline __m512 pn_exp2_12bit_avx512(__m512 t)
{
    __m512 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(7.802452269e-2f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.260671554e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.958335405e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.999252186e-1f));
    return _mm512_scalef_ps(p, t);
}

static inline float pn_flash_block_max(const float *s)
{
    __m512 a = _mm512_loadu_ps(s), b = _mm512_loadu_ps(s + 16);
    for (int i = 32; i < PN_FLASH_KEYS; i += 32) {
        a = _mm512_max_ps(a, _mm512_loadu_ps(s + i));
        b = _mm512_max_ps(b, _mm512_loadu_ps(s + i + 16));
    }
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
}

/* After the scores of a block are in: hides keys from `keys` on, copies scores
 * out where wanted (row r at scores + r * n, `rows` of them exist), and sets
 * now, max, shrink and grow. */
static inline void pn_flash_scan(struct pn_flash_tile *t, int keys, float *scores, int n, int rows)
{
    const __m512 log2e = _mm512_set1_ps(1.44269504f);
    for (int r = 0; r < PN_FLASH_TILE; r++) {
        if (scores && r < rows)
            memcpy(scores + (size_t)r * (size_t)n, t->s[r], (size_t)keys * sizeof(float));
        for (int j = keys; j < PN_FLASH_KEYS; j++)
            t->s[r][j] = PN_FLASH_NEVER;
        t->now[r] = pn_flash_block_max(t->s[r]);
    }
    __m512 old = _mm512_loadu_ps(t->max), now = _mm512_loadu_ps(t->now), max = _mm512_max_ps(old, now);
    _mm512_storeu_ps(t->max, max);
    _mm512_storeu_ps(t->shrink, pn_exp2_avx512(_mm512_mul_ps(_mm512_sub_ps(old, max), log2e)));
    _mm512_storeu_ps(t->grow, pn_exp2_avx512(_mm512_mul_ps(_mm512_sub_ps(now, max), log2e)));
}

/* Rows r < rows of the finished tile: out * channel / sum; `channel` may be
 * NULL. */
static inline void pn_flash_finish(const struct pn_flash_tile *t, int rows, int d, const float *channel,
                                   float *out, size_t ldo)
{
    for (int r = 0; r < rows; r++) {
        __m512 scale = _mm512_set1_ps(1 / _mm512_reduce_add_ps(_mm512_loadu_ps(t->sum[r])));
        for (int c = 0; c < d; c += 16) {
            __m512 x = _mm512_mul_ps(_mm512_loadu_ps(t->out[r] + c), scale);
            if (channel)
                x = _mm512_mul_ps(x, _mm512_loadu_ps(channel + c));
            _mm512_storeu_ps(out + (size_t)r * ldo + c, x);
        }
    }
}

#endif
