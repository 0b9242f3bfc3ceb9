/* linear_avx2.c - products of bytes with AVX2, and how activations become bytes.
 *
 * AVX2 multiplies u8 by s8 and adds pairs in 16 bits. With activations up to 127 and packed weights' groups
 * of PN_MAX_GROUP (kern.h) even two such pairs fit, so five instructions add 64 products to 32-bit sums,
 * exactly. A panel of weights passes over blocks of rows in tiles of 4 rows x 16 columns, the weights as
 * operands in memory, while the next panel is fetched from wherever it lies. Fewer rows have wider tiles.
 *
 * The loops over a tile are unrolled by pragma, and the step is written in assembly: else gcc keeps sums in
 * memory. */
#include "nn/kern_levels.h"
#include "nn/quantize.h"
#include "nn/x86/store_avx2.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    TILE_S8 = 4, /* rows of a tile */
    BLOCK_S8 = 6 * TILE_S8,
    CHUNK = 512,           /* of k whose 16 columns stay in the first cache while tiles take turns */
    CHUNK_TWO = 128,       /* the same of 64 columns, for two rows */
    CACHED_S8 = 128 << 10, /* bytes of activations that stay in the second */
};

/* ---- products ---- */

PN_AVX2_INLINE __m256i quad(const uint8_t *p)
{
    int32_t q;
    memcpy(&q, p, 4);
    return _mm256_set1_epi32(q);
}

/* acc += the products of two quads of activations and of weights. */
PN_AVX2_INLINE void add_two_quads(__m256i *acc, __m256i x, __m256i y, const int8_t *w)
{
    __m256i t, u;
    __asm__("vpmaddubsw %[v], %[x], %[t]\n\t"
            "vpmaddubsw %[w], %[y], %[u]\n\t"
            "vpaddw %[u], %[t], %[t]\n\t"
            "vpmaddwd %[ones], %[t], %[t]\n\t"
            "vpaddd %[t], %[acc], %[acc]"
            : [acc] "+x"(*acc), [t] "=&x"(t), [u] "=&x"(u)
            : [x] "x"(x), [y] "x"(y), [v] "m"(*(const __m256i *)w),
              [w] "m"(*(const __m256i *)(w + 4 * PN_PANEL)), [ones] "x"(_mm256_set1_epi16(1)));
}

PN_AVX2_INLINE __m256i add_quad(__m256i acc, __m256i x, const int8_t *w)
{
    __m256i t = _mm256_maddubs_epi16(x, _mm256_load_si256((const __m256i *)w));
    return _mm256_add_epi32(acc, _mm256_madd_epi16(t, _mm256_set1_epi16(1)));
}

/* A stretch of k of some rows: where it stands in the first of them. */
struct stretch {
    const uint8_t *a;
    size_t lda;
    int len;
};

/* What a tile fetches meanwhile: `lines` (0, 1, 2 or 4) of 64 bytes for every eight of k. */
struct fetch {
    const char *from;
    int lines;
};

/* sum[r][8v ...] += a w for `vecs` times eight columns. */
PN_AVX2_INLINE void tile_s8(const int rows, const int vecs, struct stretch s, const int8_t *w, struct fetch f,
                            int32_t (*sum)[PN_PANEL])
{
    __m256i acc[TILE_S8][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            acc[r][v] = _mm256_loadu_si256((const __m256i *)&sum[r][8 * v]);
    int i = 0;
    for (; i + 8 <= s.len; i += 8, w += 8 * PN_PANEL) {
        if (f.lines > 0)
            __builtin_prefetch(f.from, 0, 2);
        if (f.lines > 1)
            __builtin_prefetch(f.from + 64, 0, 2);
        if (f.lines > 2) {
            __builtin_prefetch(f.from + 128, 0, 2);
            __builtin_prefetch(f.from + 192, 0, 2);
        }
        f.from += 64 * f.lines;
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            const uint8_t *a = s.a + (size_t)r * s.lda + i;
            __m256i x = quad(a), y = quad(a + 4);
#pragma GCC unroll 8
            for (int v = 0; v < vecs; v++)
                add_two_quads(&acc[r][v], x, y, w + 32 * v);
        }
    }
    if (i < s.len) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
            for (int v = 0; v < vecs; v++)
                acc[r][v] = add_quad(acc[r][v], quad(s.a + (size_t)r * s.lda + i), w + 32 * v);
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            _mm256_storeu_si256((__m256i *)&sum[r][8 * v], acc[r][v]);
}

static void tile_rows_s8(int rows, struct stretch s, const int8_t *w, struct fetch f,
                         int32_t (*sum)[PN_PANEL])
{
    if (rows == 4)
        tile_s8(4, 2, s, w, f, sum);
    else if (rows == 3)
        tile_s8(3, 2, s, w, f, sum);
    else if (rows == 2)
        tile_s8(2, 2, s, w, f, sum);
    else
        tile_s8(1, 2, s, w, f, sum);
}

/* Columns [c, PN_PANEL) of a panel's sums. */
PN_AVX2_INLINE int32_t (*sums_from(int32_t (*sum)[PN_PANEL], int c))[PN_PANEL]
{
    return (int32_t(*)[PN_PANEL])(&sum[0][c]);
}

/* A panel for two rows, in chunks so small that the second half of their columns is still in the first cache,
 * each fetching what lies behind it: the next, of this panel or of the next one. */
static void two_rows_s8(struct stretch s, const int8_t *w, int32_t (*sum)[PN_PANEL])
{
    for (int from = 0; from < s.len; from += CHUNK_TWO) {
        struct stretch at = { s.a + from, s.lda, PN_MIN(CHUNK_TWO, s.len - from) };
        const int8_t *chunk = w + (size_t)from * PN_PANEL, *next = chunk + CHUNK_TWO * PN_PANEL;
        for (int c = 0; c < PN_PANEL; c += 32)
            tile_s8(2, 4, at, chunk + 4 * c, (struct fetch){ (const char *)next + c * CHUNK_TWO, 4 },
                    sums_from(sum, c));
    }
}

/* A chunk of a panel for a block of rows, in tiles as equal as can be. `next`: as many bytes to be fetched,
 * by the first two tiles of each 16 columns; or NULL. */
static void chunk_s8(int rows, struct stretch s, const int8_t *w, const char *next, int32_t (*sum)[PN_PANEL])
{
    for (int c = 0; c < PN_PANEL; c += 16) {
        const char *half = next ? next + (c + 8) * s.len : NULL;
        struct fetch f = { next ? next + c * s.len : NULL, !next ? 0 : rows <= TILE_S8 ? 2 : 1 };
        for (int n, from = 0; from < rows; from += n) {
            n = pn_tile_rows(rows - from, TILE_S8);
            struct stretch at = { s.a + (size_t)from * s.lda, s.lda, s.len };
            tile_rows_s8(n, at, w + 4 * c, f, sums_from(sum + from, c));
            f = half && from == 0 ? (struct fetch){ half, 1 } : (struct fetch){ NULL, 0 };
        }
    }
}

/* v + what row i of the activations gives for eight columns from j. */
PN_AVX2_INLINE __m256 add_row8(const struct pn_gemm_u8s8 *g, int i, int j, const int32_t *sum, __m256 v)
{
    __m256i w_sum = _mm256_loadu_si256((const __m256i *)(g->w_sum + j));
    __m256i zero = _mm256_mullo_epi32(w_sum, _mm256_set1_epi32(g->rows[i].zero));
    __m256i s = _mm256_sub_epi32(_mm256_loadu_si256((const __m256i *)sum), zero);
    __m256 scale = _mm256_mul_ps(_mm256_set1_ps(g->rows[i].scale), _mm256_loadu_ps(g->w_scale + j));
    return _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), scale, v);
}

/* Sums of row i of the activations, or of rows i and i + 1, columns from j, to y. */
static void finish_s8(const struct pn_gemm_u8s8 *g, int i, int j, int32_t (*sum)[PN_PANEL])
{
    float *y = g->y + (size_t)(g->paired ? i / 2 : i) * g->ldy + j;
    for (int c = 0; c < PN_PANEL; c += 8) {
        __m256 v = add_row8(g, i, j + c, &sum[0][c], _mm256_loadu_ps(g->bias + j + c));
        if (g->paired)
            v = add_row8(g, i + 1, j + c, &sum[1][c], v);
        pn_store8_avx2(v, y + c, g->n_to - j - c, g->epilogue);
    }
}

/* Rows [i, i + rows) of one panel; `next`: the panel to be fetched meanwhile, or NULL. */
static void block_s8(const struct pn_gemm_u8s8 *g, int i, int rows, int j, const char *next)
{
    const struct stretch s = { g->a + (size_t)i * g->lda, g->lda, g->k };
    const int8_t *w = g->w + (size_t)j * (size_t)g->k;
    int32_t sum[BLOCK_S8][PN_PANEL];
    memset(sum, 0, (size_t)rows * sizeof(sum[0]));
    if (rows == 1)
        tile_s8(1, 8, s, w, (struct fetch){ NULL, 0 }, sum);
    else if (rows == 2)
        two_rows_s8(s, w, sum);
    for (int from = 0; rows > 2 && from < g->k; from += CHUNK) {
        size_t at = (size_t)from * PN_PANEL;
        chunk_s8(rows, (struct stretch){ s.a + from, s.lda, PN_MIN(CHUNK, g->k - from) }, w + at,
                 next ? next + at : NULL, sum);
    }
    for (int r = 0; r < rows; r += g->paired ? 2 : 1)
        finish_s8(g, i + r, j, sum + r);
}

/* Rows [from, to), few enough to stay in the second cache while all panels pass over them. */
static void rows_s8(const struct pn_gemm_u8s8 *g, int from, int to)
{
    int blocks = (to - from + BLOCK_S8 - 1) / BLOCK_S8, each = (to - from + blocks - 1) / blocks;
    each += g->paired && each % 2;
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const int8_t *next = j + PN_PANEL < g->n_to ? g->w + (size_t)(j + PN_PANEL) * (size_t)g->k : NULL;
        for (int i = from; i < to; i += each)
            block_s8(g, i, PN_MIN(each, to - i), j, i + each >= to ? (const char *)next : NULL);
    }
}

static void gemm_u8s8(const struct pn_gemm_u8s8 *g)
{
    int rows = g->paired ? 2 * g->m : g->m, most = PN_MAX(BLOCK_S8, CACHED_S8 / PN_MAX(g->k, 1) / 2 * 2);
    for (int i = 0; i < rows; i += most)
        rows_s8(g, i, PN_MIN(i + most, rows));
}

/* ---- activations ---- */

PN_AVX2_INLINE float min8(__m256 v)
{
    __m128 x = _mm_min_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    x = _mm_min_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_min_ss(x, _mm_shuffle_ps(x, x, 1)));
}

/* The range of x with 0 in it; true when there is a NaN. */
static bool range(const float *x, int k, float *ret_low, float *ret_high)
{
    __m256 low = _mm256_setzero_ps(), high = low, nan = low;
    for (int i = 0; i < k; i += 8) {
        __m256 v = k - i >= 8 ? _mm256_loadu_ps(x + i) : _mm256_maskload_ps(x + i, pn_lanes_avx2(k - i));
        low = _mm256_min_ps(v, low);
        high = _mm256_max_ps(v, high);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    }
    *ret_low = min8(low);
    *ret_high = -min8(_mm256_sub_ps(_mm256_setzero_ps(), high));
    return _mm256_movemask_ps(nan) != 0;
}

/* How a row becomes bytes. */
struct steps {
    __m256 inverse; /* of the scale */
    __m256i zero;
    __m128i top;
};

/* Eight activations as bytes in the low half. */
PN_AVX2_INLINE __m128i quantize8(__m256 x, struct steps s)
{
    __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(x, s.inverse)), s.zero);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_min_epu8(_mm_packus_epi16(words, words), s.top);
}

static void quantize_row(const float *x, int k, int top, uint8_t *q, struct pn_quant_row *ret)
{
    float low, high;
    bool nan = range(x, k, &low, &high);
    float inverse = pn_quant_range(low, high, nan, top, ret);
    if (inverse == 0) {
        memset(q, 0, (size_t)(k + 3) / 4 * 4);
        return;
    }
    const struct steps s = { _mm256_set1_ps(inverse), _mm256_set1_epi32(ret->zero),
                             _mm_set1_epi8((char)top) };
    int i = 0;
    for (; i + 8 <= k; i += 8)
        _mm_storel_epi64((__m128i *)(q + i), quantize8(_mm256_loadu_ps(x + i), s));
    if (i < k) {
        uint8_t last[16];
        _mm_storeu_si128((__m128i *)last, quantize8(_mm256_maskload_ps(x + i, pn_lanes_avx2(k - i)), s));
        memset(last + (k - i), 0, (size_t)(8 - (k - i)));
        memcpy(q + i, last, (size_t)((k + 3) / 4 * 4 - i));
    }
}

void pn_kern_linear_avx2(struct pn_kern *k)
{
    k->activation_top = 127;
    k->quantize_row = quantize_row;
    k->gemm_u8s8 = gemm_u8s8;
}
