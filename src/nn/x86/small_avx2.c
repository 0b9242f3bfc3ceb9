/* small_avx2.c - attention of few queries with AVX2, FMA and F16C. Tiles are 3 queries x 4 keys, summed along
 * the head, and 6 rows x 16 columns of values. */
#include "nn/kern_levels.h"
#include "nn/small.h"
#include "nn/x86/half_avx2.h"
#include "nn/x86/softmax_avx2.h"
#include "nn/x86/sums_avx2.h"

#define INLINE static inline __attribute__((always_inline))

enum { QUERIES = 3, ROWS = 6 };

INLINE void score_tile(const int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS],
                       int keys, float *s, size_t lds)
{
    const float *k0 = k[0], *k1 = k[1], *k2 = k[2], *k3 = k[3];
    __m256 acc[QUERIES][PN_SMALL_KEYS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = _mm256_setzero_ps();
    for (int c = 0; c < width; c += 8) {
        __m256 x[QUERIES];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            x[r] = _mm256_loadu_ps(q + r * PN_SMALL_MAX_D + c);
        const float *const at[PN_SMALL_KEYS] = { k0 + c, k1 + c, k2 + c, k3 + c };
#pragma GCC unroll 4
        for (int j = 0; j < PN_SMALL_KEYS; j++) {
            __m256 y = _mm256_loadu_ps(at[j]);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                acc[r][j] = _mm256_fmadd_ps(x[r], y, acc[r][j]);
        }
    }
    const __m128i mask = _mm_cmpgt_epi32(_mm_set1_epi32(keys), _mm_setr_epi32(0, 1, 2, 3));
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        _mm_maskstore_ps(s + (size_t)r * lds, mask, pn_sums_avx2(acc[r][0], acc[r][1], acc[r][2], acc[r][3]));
}

static void scores(int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS], int keys,
                   float *s, size_t lds)
{
    if (rows == 3)
        score_tile(3, width, q, k, keys, s, lds);
    else if (rows == 2)
        score_tile(2, width, q, k, keys, s, lds);
    else
        score_tile(1, width, q, k, keys, s, lds);
}

INLINE void value_tile(const int rows, int n, const float *p, size_t ldp, const float *v, bool first,
                       float *sum, size_t lds)
{
    __m256 acc[ROWS][2];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        acc[r][0] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(sum + (size_t)r * lds);
        acc[r][1] = first ? _mm256_setzero_ps() : _mm256_loadu_ps(sum + (size_t)r * lds + 8);
    }
    for (int j = 0; j < n; j++, p++, v += PN_SMALL_COLUMNS) {
        __m256 a = _mm256_loadu_ps(v), b = _mm256_loadu_ps(v + 8);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256 x = _mm256_broadcast_ss(p + (size_t)r * ldp);
            acc[r][0] = _mm256_fmadd_ps(x, a, acc[r][0]);
            acc[r][1] = _mm256_fmadd_ps(x, b, acc[r][1]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++) {
        _mm256_storeu_ps(sum + (size_t)r * lds, acc[r][0]);
        _mm256_storeu_ps(sum + (size_t)r * lds + 8, acc[r][1]);
    }
}

static void values(int rows, int n, const float *p, size_t ldp, const float *v, bool first, float *sum,
                   size_t lds)
{
    if (rows == 6)
        value_tile(6, n, p, ldp, v, first, sum, lds);
    else if (rows == 5)
        value_tile(5, n, p, ldp, v, first, sum, lds);
    else if (rows == 4)
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
                                                 pn_from_half_avx2, pn_softmax_avx2 };
    pn_small_attend(&TILES, a);
}

void pn_kern_small_avx2(struct pn_kern *k)
{
    k->small_attention = small_attention;
}
