/* linear_avx512.c - f32 products and row quantisation with AVX-512.
 *
 * The product is tiled as in linear_vnni.c: up to six rows by one panel, the next panel fetched meanwhile.
 * Every output is one chain of fused multiply-adds over k, from zero, whatever tile its row is in. */
#include "nn/kern_levels.h"
#include "nn/quantize.h"
#include "nn/x86/store_avx512.h"

#include "base/attr.h"

#include <stdbool.h>
#include <string.h>

enum {
    TILE = 6,
    VECTORS = PN_PANEL / 16,
    STEP = PN_PANEL * 4,    /* bytes of weights for one input */
    BLOCK_BYTES = 256 << 10 /* activations that stay in L2 while the panels pass by */
};

/* One tile's walk over a panel. */
struct walk {
    const float *a;
    size_t lda;
    const float *w;
    int k;
    const char *fetch; /* of the next panel: `stride` bytes an input */
    size_t stride;
};

struct sums {
    _Alignas(64) float of[TILE][PN_PANEL];
};

/* `rows` and `lines` (cache lines to fetch an input) are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile_sums(const struct walk *t, int rows, int lines,
                                                            struct sums *ret)
{
    __m512 acc[TILE][VECTORS];
    const float *a = t->a, *a3 = t->a + 3 * t->lda, *w = t->w;
    const char *fetch = t->fetch;
    size_t lda = t->lda, stride = t->stride;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            acc[r][v] = _mm512_setzero_ps();
    for (int i = t->k; i > 0; i--, a++, a3++, w += PN_PANEL, fetch += stride) {
        for (int l = 0; l < lines; l++)
            _mm_prefetch(fetch + 64 * l, _MM_HINT_T1);
        __m512 b[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            b[v] = _mm512_load_ps(w + 16 * v);
        for (int r = 0; r < rows; r++) {
            __m512 x = _mm512_set1_ps(r < 3 ? a[r * lda] : a3[(r - 3) * lda]);
            for (int v = 0; v < VECTORS; v++)
                acc[r][v] = _mm512_fmadd_ps(x, b[v], acc[r][v]);
        }
    }
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            _mm512_store_ps(&ret->of[r][16 * v], acc[r][v]);
}

/* Bias and epilogue for the sums of rows [row, row + rows) and the panel at column j. */
static void finish(const struct pn_gemm_f32 *g, int row, int rows, int j, const struct sums *sums)
{
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < PN_PANEL && j + v < g->n_to; v += 16) {
            __m512 y = _mm512_add_ps(_mm512_load_ps(&sums->of[r][v]), _mm512_load_ps(g->bias + j + v));
            pn_store_avx512(g->y + (row + r) * g->ldy + j + v, pn_tail_mask(g->n_to - j - v), y, g->epilogue);
        }
}

#define TILE_SUMS(rows, lines)                                                \
    static void sums_##rows##_##lines(const struct walk *t, struct sums *ret) \
    {                                                                         \
        tile_sums(t, rows, lines, ret);                                       \
    }
#define TILES(lines)    \
    TILE_SUMS(1, lines) \
    TILE_SUMS(2, lines) \
    TILE_SUMS(3, lines) \
    TILE_SUMS(4, lines) \
    TILE_SUMS(5, lines) \
    TILE_SUMS(6, lines)
TILES(0)
TILES(1)

typedef void (*sums_fn)(const struct walk *t, struct sums *ret);

/* By lines to fetch an input and rows. Few passes fetch nothing: the CPU sees their stream by itself. */
static const sums_fn SUMS[2][TILE] = {
    { sums_1_0, sums_2_0, sums_3_0, sums_4_0, sums_5_0, sums_6_0 },
    { sums_1_1, sums_2_1, sums_3_1, sums_4_1, sums_5_1, sums_6_1 },
};

/* Rows [from, from + m) over all panels: the rows are dealt out evenly, 20 as 5 5 5 5 and not as 6 6 6 2. */
static void rows_f32(const struct pn_gemm_f32 *g, int from, int m)
{
    int passes = (m + TILE - 1) / TILE;
    size_t panel = (size_t)g->k * PN_PANEL;
    const sums_fn *sums_of = SUMS[passes < 4 ? 0 : 1];
    struct walk t = { .lda = g->lda, .k = g->k, .stride = (size_t)(STEP / passes) };
    struct sums sums;
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        t.w = g->w + (size_t)(j / PN_PANEL) * panel;
        t.fetch = (const char *)(t.w + (j + PN_PANEL < g->n_to ? panel : 0));
        for (int p = 0; p < passes; p++, t.fetch += t.stride * (size_t)t.k) {
            int row = from + m * p / passes, rows = from + m * (p + 1) / passes - row;
            t.a = g->a + row * g->lda;
            sums_of[rows - 1](&t, &sums);
            finish(g, row, rows, j, &sums);
        }
    }
}

static void gemm_f32_avx512(const struct pn_gemm_f32 *g)
{
    int block = PN_MAX(TILE, BLOCK_BYTES / 4 / PN_MAX(g->k, 1) / TILE * TILE);
    for (int row = 0; row < g->m; row += block)
        rows_f32(g, row, PN_MIN(block, g->m - row));
}

/* ---- quantisation ---- */

/* Smallest and largest of x and 0; returns whether one of x is not a number. */
static bool range(const float *x, int k, float *ret_lo, float *ret_hi)
{
    __m512 lo = _mm512_setzero_ps(), hi = lo;
    __mmask16 nan = 0;
    for (int i = 0; i < k; i += 16) {
        __m512 v = _mm512_maskz_loadu_ps(pn_tail_mask(k - i), x + i);
        nan |= _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
        lo = _mm512_min_ps(lo, v);
        hi = _mm512_max_ps(hi, v);
    }
    *ret_lo = _mm512_reduce_min_ps(lo);
    *ret_hi = _mm512_reduce_max_ps(hi);
    return nan;
}

static void quantize_row_avx512(const float *x, int k, int top, uint8_t *q, struct pn_quant_row *ret)
{
    float lo, hi;
    bool nan = range(x, k, &lo, &hi);
    size_t padded = (size_t)(k + 3) / 4 * 4;
    float inverse = pn_quant_range(lo, hi, nan, top, ret);
    if (inverse == 0) {
        memset(q, 0, padded);
        return;
    }
    const __m512i offset = _mm512_set1_epi32(ret->zero), none = _mm512_setzero_si512(),
                  most = _mm512_set1_epi32(top);
    for (int i = 0; i < k; i += 16) {
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(pn_tail_mask(k - i), x + i), _mm512_set1_ps(inverse));
        __m512i n = _mm512_add_epi32(_mm512_cvtps_epi32(v), offset);
        n = _mm512_min_epi32(_mm512_max_epi32(n, none), most);
        _mm512_mask_cvtepi32_storeu_epi8(q + i, pn_tail_mask(k - i), n);
    }
    memset(q + k, 0, padded - (size_t)k);
}

void pn_kern_linear_avx512(struct pn_kern *k)
{
    k->gemm_f32 = gemm_f32_avx512;
    k->quantize_row = quantize_row_avx512;
}
