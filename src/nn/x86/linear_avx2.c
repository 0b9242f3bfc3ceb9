/* linear_avx2.c - products with AVX2 and FMA.
 *
 * AVX2 multiplies u8 by s8 into saturating 16-bit pairs, so the activations are moved to s = a - 128 and
 * multiplied as |s| * (w with the sign of s): a pair is at most 2 * 128 * 127 = 32512 and exact. The 128 * w
 * that is missing is added with the zero point. Register tiles are 4 rows x 16 columns (int8) and 6 x 16
 * (f32), wider where there are fewer rows; every tile sums over k in the same order.
 *
 * The loops over a tile are unrolled by pragma: else gcc keeps the sums in memory. */
#include "nn/kern_levels.h"
#include "nn/quantize.h"
#include "nn/x86/math_avx2.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    ROWS_S8 = 4,
    ROWS_F32 = 6,
    CHUNK = 1024, /* of k, converted at a time */
    ROW_BLOCK = 48,
};

/* The first `left` of eight lanes. */
INLINE __m256i lanes(int left)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE __m256 epilogue(__m256 v, __m256 old, enum pn_epilogue e)
{
    switch (e) {
    case PN_STORE:
        return v;
    case PN_GELU:
        return pn_gelu_avx2(v);
    case PN_RELU:
        return _mm256_max_ps(_mm256_setzero_ps(), v); /* NaN stays: it is the second operand */
    case PN_ADD:
        return _mm256_add_ps(old, v);
    }
    PN_UNREACHABLE();
}

/* `left` columns of y are still wanted; any more than eight are the next call's. */
INLINE void finish8(__m256 v, float *y, int left, enum pn_epilogue e)
{
    if (left >= 8) {
        _mm256_storeu_ps(y, epilogue(v, e == PN_ADD ? _mm256_loadu_ps(y) : v, e));
    } else if (left > 0) {
        __m256i mask = lanes(left);
        _mm256_maskstore_ps(y, mask, epilogue(v, e == PN_ADD ? _mm256_maskload_ps(y, mask) : v, e));
    }
}

/* ---- int8 ---- */

/* A chunk of up to four rows: s = a - 128 and its magnitude. */
struct signed_rows {
    int8_t s[ROWS_S8][CHUNK];
    uint8_t mag[ROWS_S8][CHUNK];
};

static void signed_rows_fill(struct signed_rows *t, const uint8_t *a, size_t lda, int rows, int len)
{
    const __m256i flip = _mm256_set1_epi8((char)-128);
    for (int r = 0; r < rows; r++, a += lda) {
        int i = 0;
        for (; i + 32 <= len; i += 32) {
            __m256i s = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(a + i)), flip);
            _mm256_storeu_si256((__m256i *)&t->s[r][i], s);
            _mm256_storeu_si256((__m256i *)&t->mag[r][i], _mm256_abs_epi8(s));
        }
        for (; i < len; i++) {
            int s = a[i] - 128;
            t->s[r][i] = (int8_t)s;
            t->mag[r][i] = (uint8_t)(s < 0 ? -s : s);
        }
    }
}

INLINE __m256i quad(const void *p)
{
    int32_t q;
    memcpy(&q, p, 4);
    return _mm256_set1_epi32(q);
}

/* sum[r][8v ...] += s w over len of k, for `vecs` times eight columns. */
INLINE void tile_s8(const int rows, const int vecs, int len, const struct signed_rows *t, const int8_t *w,
                    int32_t (*sum)[PN_PANEL])
{
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i acc[ROWS_S8][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            acc[r][v] = _mm256_loadu_si256((const __m256i *)&sum[r][8 * v]);
    for (int i = 0; i < len; i += 4, w += 4 * PN_PANEL) {
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256i s = quad(&t->s[r][i]), mag = quad(&t->mag[r][i]);
            for (int v = 0; v < vecs; v++) {
                __m256i b = _mm256_load_si256((const __m256i *)(w + 32 * v));
                __m256i pairs = _mm256_maddubs_epi16(mag, _mm256_sign_epi8(b, s));
                acc[r][v] = _mm256_add_epi32(acc[r][v], _mm256_madd_epi16(pairs, ones));
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            _mm256_storeu_si256((__m256i *)&sum[r][8 * v], acc[r][v]);
}

/* A whole panel in tiles; one row is read straight through, as memory likes it. */
static void panel_s8(int rows, int len, const struct signed_rows *t, const int8_t *w,
                     int32_t (*sum)[PN_PANEL])
{
    if (rows == 1) {
        tile_s8(1, 8, len, t, w, sum);
    } else if (rows == 2) {
        for (int j = 0; j < PN_PANEL; j += 32)
            tile_s8(2, 4, len, t, w + 4 * j, (int32_t(*)[PN_PANEL])(&sum[0][j]));
    } else if (rows == 3) {
        for (int j = 0; j < PN_PANEL; j += 16)
            tile_s8(3, 2, len, t, w + 4 * j, (int32_t(*)[PN_PANEL])(&sum[0][j]));
    } else {
        for (int j = 0; j < PN_PANEL; j += 16)
            tile_s8(4, 2, len, t, w + 4 * j, (int32_t(*)[PN_PANEL])(&sum[0][j]));
    }
}

/* Sums of row i, columns from j, to y. */
static void finish_s8(const struct pn_gemm_u8s8 *g, int i, int j, const int32_t *sum)
{
    const __m256i zero = _mm256_set1_epi32(128 - g->rows[i].zero);
    const __m256 scale = _mm256_set1_ps(g->rows[i].scale);
    for (int c = 0; c < PN_PANEL; c += 8) {
        __m256i w_sum = _mm256_loadu_si256((const __m256i *)(g->w_sum + j + c));
        __m256i s =
            _mm256_add_epi32(_mm256_loadu_si256((const __m256i *)(sum + c)), _mm256_mullo_epi32(w_sum, zero));
        __m256 v =
            _mm256_fmadd_ps(_mm256_cvtepi32_ps(s), _mm256_mul_ps(scale, _mm256_loadu_ps(g->w_scale + j + c)),
                            _mm256_loadu_ps(g->bias + j + c));
        finish8(v, g->y + (size_t)i * g->ldy + j + c, g->n_to - j - c, g->epilogue);
    }
}

static void gemm_u8s8(const struct pn_gemm_u8s8 *g)
{
    struct signed_rows t;
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const int8_t *w = g->w + (size_t)j * (size_t)g->k;
        for (int i = 0; i < g->m; i += ROWS_S8) {
            int rows = PN_MIN(ROWS_S8, g->m - i);
            int32_t sum[ROWS_S8][PN_PANEL] = { 0 };
            for (int from = 0; from < g->k; from += CHUNK) {
                int len = PN_MIN(CHUNK, g->k - from);
                signed_rows_fill(&t, g->a + (size_t)i * g->lda + from, g->lda, rows, len);
                panel_s8(rows, len, &t, w + (size_t)from * PN_PANEL, sum);
            }
            for (int r = 0; r < rows; r++)
                finish_s8(g, i + r, j, sum[r]);
        }
    }
}

/* ---- f32 ---- */

INLINE void tile_f32(const int rows, const int vecs, const struct pn_gemm_f32 *g, int i, int j)
{
    const float *a = g->a + (size_t)i * g->lda;
    const float *w = g->w + (size_t)(j / PN_PANEL) * PN_PANEL * (size_t)g->k + j % PN_PANEL;
    __m256 acc[ROWS_F32][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            acc[r][v] = _mm256_setzero_ps();
    for (int k = 0; k < g->k; k++, w += PN_PANEL) {
        __m256 b[8];
        for (int v = 0; v < vecs; v++)
            b[v] = _mm256_loadu_ps(w + 8 * v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256 x = _mm256_broadcast_ss(a + (size_t)r * g->lda + k);
            for (int v = 0; v < vecs; v++)
                acc[r][v] = _mm256_fmadd_ps(x, b[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            finish8(_mm256_add_ps(acc[r][v], _mm256_loadu_ps(g->bias + j + 8 * v)),
                    g->y + (size_t)(i + r) * g->ldy + j + 8 * v, g->n_to - j - 8 * v, g->epilogue);
}

/* Columns [j, j + 64) of up to six rows. */
static void rows_few_f32(const struct pn_gemm_f32 *g, int i, int j, int rows)
{
    if (rows == 1)
        tile_f32(1, 8, g, i, j);
    for (int c = 0; rows == 2 && c < PN_PANEL; c += 32)
        tile_f32(2, 4, g, i, j + c);
}

/* Columns [j, j + 16) of three to six rows. */
static void tile_rows_f32(const struct pn_gemm_f32 *g, int i, int j, int rows)
{
    if (rows == 6)
        tile_f32(6, 2, g, i, j);
    else if (rows == 5)
        tile_f32(5, 2, g, i, j);
    else if (rows == 4)
        tile_f32(4, 2, g, i, j);
    else if (rows == 3)
        tile_f32(3, 2, g, i, j);
}

/* A block of rows stays in the second-level cache while the panel's columns pass over it. */
static void gemm_f32(const struct pn_gemm_f32 *g)
{
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        for (int i = 0; i < g->m; i += ROW_BLOCK) {
            int end = PN_MIN(i + ROW_BLOCK, g->m);
            for (int c = 0; c < PN_PANEL; c += 16)
                for (int r = i; r < end; r += ROWS_F32)
                    tile_rows_f32(g, r, j + c, PN_MIN(ROWS_F32, end - r));
            int rest = (end - i) % ROWS_F32;
            if (rest == 1 || rest == 2)
                rows_few_f32(g, end - rest, j, rest);
        }
    }
}

/* ---- activations ---- */

INLINE float min8(__m256 v)
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
        __m256 v = k - i >= 8 ? _mm256_loadu_ps(x + i) : _mm256_maskload_ps(x + i, lanes(k - i));
        low = _mm256_min_ps(v, low);
        high = _mm256_max_ps(v, high);
        nan = _mm256_or_ps(nan, _mm256_cmp_ps(v, v, _CMP_UNORD_Q));
    }
    *ret_low = min8(low);
    *ret_high = -min8(_mm256_sub_ps(_mm256_setzero_ps(), high));
    return _mm256_movemask_ps(nan) != 0;
}

/* Eight activations as bytes in the low half. */
INLINE __m128i quantize8(__m256 x, __m256 inverse, __m256i zero)
{
    __m256i q = _mm256_add_epi32(_mm256_cvtps_epi32(_mm256_mul_ps(x, inverse)), zero);
    __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(q), _mm256_extracti128_si256(q, 1));
    return _mm_packus_epi16(words, words);
}

static void quantize_row(const float *x, int k, uint8_t *q, struct pn_quant_row *ret)
{
    float low, high;
    bool nan = range(x, k, &low, &high);
    float inverse = pn_quant_range(low, high, nan, ret);
    if (inverse == 0) {
        memset(q, 0, (size_t)(k + 3) / 4 * 4);
        return;
    }
    __m256 by = _mm256_set1_ps(inverse);
    __m256i zero = _mm256_set1_epi32(ret->zero);
    int i = 0;
    for (; i + 8 <= k; i += 8)
        _mm_storel_epi64((__m128i *)(q + i), quantize8(_mm256_loadu_ps(x + i), by, zero));
    if (i < k) {
        uint8_t last[16];
        _mm_storeu_si128((__m128i *)last, quantize8(_mm256_maskload_ps(x + i, lanes(k - i)), by, zero));
        memset(last + (k - i), 0, (size_t)(8 - (k - i)));
        memcpy(q + i, last, (size_t)((k + 3) / 4 * 4 - i));
    }
}

void pn_kern_linear_avx2(struct pn_kern *k)
{
    k->quantize_row = quantize_row;
    k->gemm_u8s8 = gemm_u8s8;
    k->gemm_f32 = gemm_f32;
}
