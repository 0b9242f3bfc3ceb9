/* linear_avx2.c - products with AVX2 and FMA.
 *
 * AVX2 multiplies u8 by s8 into saturating 16-bit pairs, so the activations are moved to s = a - 128 and
 * multiplied as |s| * (w with the sign of s): a pair is at most 2 * 128 * 127 = 32512 and exact. The 128 * w
 * that is missing is added with the zero point. A block of rows is moved once; each panel of weights passes
 * over it in tiles of 5 rows x 16 columns, while the next panel is fetched from wherever it lies. Register
 * tiles in f32 are 6 x 16. Fewer rows have wider tiles; every tile sums over k in the same order.
 *
 * The loops over a tile are unrolled by pragma, and the integer step is written in assembly: else gcc keeps
 * sums in memory. */
#include "nn/kern_levels.h"
#include "nn/quantize.h"
#include "nn/x86/math_avx2.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

enum {
    TILE_S8 = 5, /* rows of a tile */
    BLOCK_S8 = 4 * TILE_S8,
    STRETCH = 2048, /* of k that a block holds; more is moved anew for every panel */
    CHUNK = 512,    /* of k whose 16 columns stay in the first cache while tiles take turns */
    ROWS_F32 = 6,
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

/* How many of `left` rows the next tile takes, so that the fewest tiles do, as equal as can be. */
static int tile_rows(int left, int most)
{
    int tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
}

/* ---- int8 ---- */

/* A stretch of a block of rows: s = a - 128 and its magnitude. */
struct signed_rows {
    int8_t s[BLOCK_S8][STRETCH];
    uint8_t mag[BLOCK_S8][STRETCH];
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

/* acc += the sums of four products each of magnitudes and of weights with the signs of s. */
INLINE void add_products(__m256i *acc, __m256i w, __m256i s, __m256i mag)
{
    __m256i t;
    __asm__("vpsignb %[s], %[w], %[t]\n\t"
            "vpmaddubsw %[t], %[mag], %[t]\n\t"
            "vpmaddwd %[ones], %[t], %[t]\n\t"
            "vpaddd %[t], %[acc], %[acc]"
            : [acc] "+x"(*acc), [t] "=&x"(t)
            : [w] "x"(w), [s] "x"(s), [mag] "x"(mag), [ones] "x"(_mm256_set1_epi16(1)));
}

/* Where a tile stands: rows from `row` of a block, `len` of k from `from` on. */
struct place {
    const struct signed_rows *t;
    int row, from, len;
    const char *next; /* what to fetch meanwhile, as many bytes as are read; NULL: nothing */
};

/* sum[r][8v ...] += s w for `vecs` times eight columns. */
INLINE void tile_s8(const int rows, const int vecs, const struct place *p, const int8_t *w,
                    int32_t (*sum)[PN_PANEL])
{
    const int8_t *s = &p->t->s[p->row][p->from];
    const uint8_t *mag = &p->t->mag[p->row][p->from];
    const char *next = p->next;
    __m256i acc[TILE_S8][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            acc[r][v] = _mm256_loadu_si256((const __m256i *)&sum[r][8 * v]);
    for (int i = 0; i < p->len; i += 4, w += 4 * PN_PANEL) {
        __m256i b[8];
        if (next) {
            __builtin_prefetch(next, 0, 2);
            next += 32 * vecs;
        }
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            b[v] = _mm256_load_si256((const __m256i *)(w + 32 * v));
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256i x = quad(s + r * STRETCH + i), y = quad(mag + r * STRETCH + i);
#pragma GCC unroll 8
            for (int v = 0; v < vecs; v++)
                add_products(&acc[r][v], b[v], x, y);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
#pragma GCC unroll 8
        for (int v = 0; v < vecs; v++)
            _mm256_storeu_si256((__m256i *)&sum[r][8 * v], acc[r][v]);
}

static void tile_rows_s8(int rows, const struct place *p, const int8_t *w, int32_t (*sum)[PN_PANEL])
{
    if (rows == 5)
        tile_s8(5, 2, p, w, sum);
    else if (rows == 4)
        tile_s8(4, 2, p, w, sum);
    else if (rows == 3)
        tile_s8(3, 2, p, w, sum);
    else if (rows == 2)
        tile_s8(2, 2, p, w, sum);
    else
        tile_s8(1, 2, p, w, sum);
}

/* Columns [c, PN_PANEL) of a panel's sums. */
INLINE int32_t (*sums_from(int32_t (*sum)[PN_PANEL], int c))[PN_PANEL]
{
    return (int32_t(*)[PN_PANEL])(&sum[0][c]);
}

/* A chunk of a panel for one or two rows, read straight through, as memory likes it. */
static void chunk_few_s8(int rows, const struct place *p, const int8_t *w, int32_t (*sum)[PN_PANEL])
{
    if (rows == 1)
        tile_s8(1, 8, p, w, sum);
    for (int c = 0; rows == 2 && c < PN_PANEL; c += 32)
        tile_s8(2, 4, p, w + 4 * c, sums_from(sum, c));
}

/* The same for a block of rows, in tiles as equal as can be. `next`: the next panel's chunk, or NULL. */
static void chunk_s8(int rows, struct place p, const int8_t *w, const char *next, int32_t (*sum)[PN_PANEL])
{
    for (int c = 0; c < PN_PANEL; c += 16)
        for (int n, from = 0; from < rows; from += n) {
            n = tile_rows(rows - from, TILE_S8);
            p.row = from;
            p.next = next && from == 0 ? next + (size_t)c * (size_t)p.len : NULL;
            tile_rows_s8(n, &p, w + 4 * c, sums_from(sum + from, c));
        }
}

/* `len` of k of one panel for a block of rows. `w`: its first byte there; `next`: the next panel's, or NULL.
 */
static void stretch_s8(int rows, const struct signed_rows *t, int len, const int8_t *w, const char *next,
                       int32_t (*sum)[PN_PANEL])
{
    if (rows <= 2) {
        chunk_few_s8(rows, &(struct place){ t, 0, 0, len, NULL }, w, sum);
        return;
    }
    for (int from = 0; from < len; from += CHUNK) {
        size_t at = (size_t)from * PN_PANEL;
        chunk_s8(rows, (struct place){ t, 0, from, PN_MIN(CHUNK, len - from), NULL }, w + at,
                 next ? next + at : NULL, sum);
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

/* Rows [i, i + rows) of the product. */
static void block_s8(const struct pn_gemm_u8s8 *g, int i, int rows)
{
    struct signed_rows t;
    const uint8_t *a = g->a + (size_t)i * g->lda;
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const int8_t *w = g->w + (size_t)j * (size_t)g->k;
        int32_t sum[BLOCK_S8][PN_PANEL];
        memset(sum, 0, (size_t)rows * sizeof(sum[0]));
        for (int from = 0; from < g->k; from += STRETCH) {
            int len = PN_MIN(STRETCH, g->k - from);
            if (j == g->n_from || g->k > STRETCH)
                signed_rows_fill(&t, a + from, g->lda, rows, len);
            const int8_t *at = w + (size_t)from * PN_PANEL;
            const int8_t *next = j + PN_PANEL < g->n_to ? at + (size_t)g->k * PN_PANEL : NULL;
            stretch_s8(rows, &t, len, at, (const char *)next, sum);
        }
        for (int r = 0; r < rows; r++)
            finish_s8(g, i + r, j, sum[r]);
    }
}

static void gemm_u8s8(const struct pn_gemm_u8s8 *g)
{
    int blocks = (g->m + BLOCK_S8 - 1) / BLOCK_S8, each = blocks ? (g->m + blocks - 1) / blocks : 0;
    for (int i = 0; i < g->m; i += each)
        block_s8(g, i, PN_MIN(each, g->m - i));
}

/* ---- f32 ---- */

/* Rows [i, i + rows), columns from j. `next`: as many bytes to be fetched meanwhile as are read, or NULL. */
INLINE void tile_f32(const int rows, const int vecs, const struct pn_gemm_f32 *g, int i, int j,
                     const char *next)
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
        if (next) {
            __builtin_prefetch(next, 0, 2);
            next += 32 * vecs;
        }
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

/* Columns [j, j + 64) of one or two rows, the weights read as memory likes it. */
static void rows_few_f32(const struct pn_gemm_f32 *g, int i, int j, int rows)
{
    if (rows == 1)
        tile_f32(1, 8, g, i, j, NULL);
    for (int c = 0; rows == 2 && c < PN_PANEL; c += 32)
        tile_f32(2, 4, g, i, j + c, NULL);
}

/* Columns [j, j + 16) of up to six rows. */
static void tile_rows_f32(const struct pn_gemm_f32 *g, int i, int j, int rows, const char *next)
{
    if (rows == 6)
        tile_f32(6, 2, g, i, j, next);
    else if (rows == 5)
        tile_f32(5, 2, g, i, j, next);
    else if (rows == 4)
        tile_f32(4, 2, g, i, j, next);
    else if (rows == 3)
        tile_f32(3, 2, g, i, j, next);
    else if (rows == 2)
        tile_f32(2, 2, g, i, j, next);
    else
        tile_f32(1, 2, g, i, j, next);
}

/* Columns [j, j + 64) of a block of rows; `next`: the next panel, or NULL. */
static void block_f32(const struct pn_gemm_f32 *g, int i, int rows, int j, const char *next)
{
    if (rows <= 2) {
        rows_few_f32(g, i, j, rows);
        return;
    }
    for (int c = 0; c < PN_PANEL; c += 16)
        for (int n, from = 0; from < rows; from += n) {
            n = tile_rows(rows - from, ROWS_F32);
            const char *fetch = next && from == 0 ? next + (size_t)c * sizeof(float) * (size_t)g->k : NULL;
            tile_rows_f32(g, i + from, j + c, n, fetch);
        }
}

/* A block of rows stays in the second-level cache while the panel's columns pass over it; during the last,
 * the next panel is fetched. */
static void gemm_f32(const struct pn_gemm_f32 *g)
{
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const char *next = NULL;
        if (j + PN_PANEL < g->n_to)
            next = (const char *)(g->w + (size_t)(j + PN_PANEL) * (size_t)g->k);
        for (int i = 0; i < g->m; i += ROW_BLOCK) {
            int rows = PN_MIN(ROW_BLOCK, g->m - i);
            block_f32(g, i, rows, j, i + rows == g->m ? next : NULL);
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
