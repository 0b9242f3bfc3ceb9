/* small_neon.c - attention of few queries with the base instructions of aarch64. Tiles are 4 queries x 4
 * keys, summed along the head, and 4 rows x 16 columns of values. */
#include "nn/arm/half_neon.h"
#include "nn/arm/math_neon.h"
#include "nn/kern_levels.h"
#include "nn/small.h"

#define INLINE static inline __attribute__((always_inline))

enum { QUERIES = 4, ROWS = 4 };

INLINE void score_tile(const int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS],
                       int keys, float *s, size_t lds)
{
    float32x4_t acc[QUERIES][PN_SMALL_KEYS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = vdupq_n_f32(0);
    for (int c = 0; c < width; c += 4) {
        float32x4_t x[QUERIES];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            x[r] = vld1q_f32(q + r * PN_SMALL_MAX_D + c);
#pragma GCC unroll 4
        for (int j = 0; j < PN_SMALL_KEYS; j++) {
            float32x4_t y = vld1q_f32(k[j] + c);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                acc[r][j] = vfmaq_f32(acc[r][j], x[r], y);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++) {
        float32x4_t sums = vpaddq_f32(vpaddq_f32(acc[r][0], acc[r][1]), vpaddq_f32(acc[r][2], acc[r][3]));
        pn_store_neon(s + (size_t)r * lds, sums, (size_t)keys);
    }
}

static void scores(int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS], int keys,
                   float *s, size_t lds)
{
    if (rows == 4)
        score_tile(4, width, q, k, keys, s, lds);
    else if (rows == 3)
        score_tile(3, width, q, k, keys, s, lds);
    else if (rows == 2)
        score_tile(2, width, q, k, keys, s, lds);
    else
        score_tile(1, width, q, k, keys, s, lds);
}

INLINE void value_tile(const int rows, int n, const float *p, size_t ldp, const float *v, bool first,
                       float *sum, size_t lds)
{
    float32x4_t acc[ROWS][4];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < 4; b++)
            acc[r][b] = first ? vdupq_n_f32(0) : vld1q_f32(sum + (size_t)r * lds + 4 * b);
    for (int j = 0; j < n; j++, p++, v += PN_SMALL_COLUMNS) {
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            for (int b = 0; b < 4; b++)
                acc[r][b] = vfmaq_n_f32(acc[r][b], vld1q_f32(v + 4 * b), p[(size_t)r * ldp]);
    }
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        for (int b = 0; b < 4; b++)
            vst1q_f32(sum + (size_t)r * lds + 4 * b, acc[r][b]);
}

static void values(int rows, int n, const float *p, size_t ldp, const float *v, bool first, float *sum,
                   size_t lds)
{
    if (rows == 4)
        value_tile(4, n, p, ldp, v, first, sum, lds);
    else if (rows == 3)
        value_tile(3, n, p, ldp, v, first, sum, lds);
    else if (rows == 2)
        value_tile(2, n, p, ldp, v, first, sum, lds);
    else
        value_tile(1, n, p, ldp, v, first, sum, lds);
}

static void small_attention(const struct pn_small_attend *a)
{
    static const struct pn_small_tiles TILES = { QUERIES,           ROWS,           scores, values,
                                                 pn_from_half_neon, pn_softmax_neon };
    pn_small_attend(&TILES, a);
}

void pn_kern_small_neon(struct pn_kern *k)
{
    k->small_attention = small_attention;
}
