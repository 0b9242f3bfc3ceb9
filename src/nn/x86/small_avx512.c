/* small_avx512.c - attention of few queries with AVX-512. Tiles are 4 queries x 4 keys, summed along the
 * head, and 8 rows x 16 columns of values. */
#include "nn/kern_levels.h"
#include "nn/small.h"
#include "nn/x86/half_avx512.h"
#include "nn/x86/sums_avx2.h"

#define INLINE static inline __attribute__((always_inline))

enum { QUERIES = 4, ROWS = 8 };

INLINE __m256 folded(__m512 x)
{
    return _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
}

INLINE void score_tile(const int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS],
                       int keys, float *s, size_t lds)
{
    __m512 acc[QUERIES][PN_SMALL_KEYS];
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = acc[r][2] = acc[r][3] = _mm512_setzero_ps();
    for (int c = 0; c < width; c += 16) {
        __m512 x[QUERIES];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            x[r] = _mm512_loadu_ps(q + r * PN_SMALL_MAX_D + c);
#pragma GCC unroll 4
        for (int j = 0; j < PN_SMALL_KEYS; j++) {
            __m512 y = _mm512_loadu_ps(k[j] + c);
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                acc[r][j] = _mm512_fmadd_ps(x[r], y, acc[r][j]);
        }
    }
    const __mmask8 mask = (__mmask8)((1u << keys) - 1);
#pragma GCC unroll 4
    for (int r = 0; r < rows; r++)
        _mm_mask_storeu_ps(
            s + (size_t)r * lds, mask,
            pn_sums_avx2(folded(acc[r][0]), folded(acc[r][1]), folded(acc[r][2]), folded(acc[r][3])));
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
    __m512 acc[ROWS];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        acc[r] = first ? _mm512_setzero_ps() : _mm512_loadu_ps(sum + (size_t)r * lds);
    for (int j = 0; j < n; j++, p++, v += PN_SMALL_COLUMNS) {
        __m512 x = _mm512_loadu_ps(v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
            acc[r] = _mm512_fmadd_ps(_mm512_set1_ps(p[(size_t)r * ldp]), x, acc[r]);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        _mm512_storeu_ps(sum + (size_t)r * lds, acc[r]);
}

static void values(int rows, int n, const float *p, size_t ldp, const float *v, bool first, float *sum,
                   size_t lds)
{
    switch (rows) {
    case 8:
        value_tile(8, n, p, ldp, v, first, sum, lds);
        break;
    case 7:
        value_tile(7, n, p, ldp, v, first, sum, lds);
        break;
    case 6:
        value_tile(6, n, p, ldp, v, first, sum, lds);
        break;
    case 5:
        value_tile(5, n, p, ldp, v, first, sum, lds);
        break;
    case 4:
        value_tile(4, n, p, ldp, v, first, sum, lds);
        break;
    case 3:
        value_tile(3, n, p, ldp, v, first, sum, lds);
        break;
    case 2:
        value_tile(2, n, p, ldp, v, first, sum, lds);
        break;
    default:
        value_tile(1, n, p, ldp, v, first, sum, lds);
    }
}

static void small_attention(const struct pn_small_attend *a)
{
    static const struct pn_small_tiles TILES = { QUERIES,          ROWS, scores, values, pn_from_half_avx512,
                                                 pn_softmax_avx512 };
    pn_small_attend(&TILES, a);
}

void pn_kern_small_avx512(struct pn_kern *k)
{
    k->small_attention = small_attention;
}
