/* linear_avx512.c - f32 products and row quantisation with AVX-512.
 *
 * The product is tiled as in linear_vnni.c: up to six rows by one panel, the next panel fetched meanwhile.
 * Every output is one chain of fused multiply-adds over k, from zero, whatever tile its row is in. */
#include "nn/kern_levels.h"
#include "nn/x86/store_avx512.h"

#include "base/attr.h"

#include <math.h>
#include <string.h>

enum {
    TILE = 6,
    VECTORS = PN_PANEL / 16,
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

/* `rows` and `lines` (cache lines to fetch an input) are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile_sums(const struct walk *t, int rows, int lines,
                                                            __m512 acc[TILE][VECTORS])
{
    const float *w = t->w;
    const char *fetch = t->fetch;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            acc[r][v] = _mm512_setzero_ps();
    for (int i = 0; i < t->k; i++, w += PN_PANEL, fetch += t->stride) {
        for (int l = 0; l < lines; l++)
            _mm_prefetch(fetch + 64 * l, _MM_HINT_T1);
        __m512 b[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            b[v] = _mm512_load_ps(w + 16 * v);
        for (int r = 0; r < rows; r++) {
            __m512 a = _mm512_set1_ps(t->a[r * t->lda + i]);
            for (int v = 0; v < VECTORS; v++)
                acc[r][v] = _mm512_fmadd_ps(a, b[v], acc[r][v]);
        }
    }
}

static inline __attribute__((always_inline)) void tile(const struct pn_gemm_f32 *g, const struct walk *t,
                                                       int row, int j, int rows, int lines)
{
    __m512 acc[TILE][VECTORS];
    tile_sums(t, rows, lines, acc);
    for (int v = 0; v < VECTORS && j + 16 * v < g->n_to; v++) {
        __mmask16 mask = pn_tail_mask(g->n_to - j - 16 * v);
        __m512 bias = _mm512_load_ps(g->bias + j + 16 * v);
        for (int r = 0; r < rows; r++)
            pn_store_avx512(g->y + (row + r) * g->ldy + j + 16 * v, mask, _mm512_add_ps(acc[r][v], bias),
                            g->epilogue);
    }
}

#define TILES(name, lines)                                                                        \
    static void name(const struct pn_gemm_f32 *g, const struct walk *t, int row, int j, int rows) \
    {                                                                                             \
        switch (rows) {                                                                           \
        case 1:                                                                                   \
            tile(g, t, row, j, 1, lines);                                                         \
            break;                                                                                \
        case 2:                                                                                   \
            tile(g, t, row, j, 2, lines);                                                         \
            break;                                                                                \
        case 3:                                                                                   \
            tile(g, t, row, j, 3, lines);                                                         \
            break;                                                                                \
        case 4:                                                                                   \
            tile(g, t, row, j, 4, lines);                                                         \
            break;                                                                                \
        case 5:                                                                                   \
            tile(g, t, row, j, 5, lines);                                                         \
            break;                                                                                \
        default:                                                                                  \
            tile(g, t, row, j, TILE, lines);                                                      \
        }                                                                                         \
    }

TILES(tile_fetching_4, 4)
TILES(tile_fetching_2, 2)
TILES(tile_fetching_1, 1)

/* Rows [from, from + m) over all panels: the rows are dealt out evenly, 20 as 5 5 5 5 and not as 6 6 6 2. */
static void rows_f32(const struct pn_gemm_f32 *g, int from, int m)
{
    int passes = (m + TILE - 1) / TILE;
    size_t panel = (size_t)g->k * PN_PANEL;
    struct walk t = { .lda = g->lda, .k = g->k, .stride = PN_PANEL * sizeof(float) / (size_t)passes };
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        t.w = g->w + (size_t)(j / PN_PANEL) * panel;
        t.fetch = (const char *)(t.w + (j + PN_PANEL < g->n_to ? panel : 0));
        for (int p = 0; p < passes; p++, t.fetch += t.stride * (size_t)t.k) {
            int row = from + m * p / passes, rows = from + m * (p + 1) / passes - row;
            t.a = g->a + row * g->lda;
            if (passes == 1)
                tile_fetching_4(g, &t, row, j, rows);
            else if (passes < 4)
                tile_fetching_2(g, &t, row, j, rows);
            else
                tile_fetching_1(g, &t, row, j, rows);
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

/* Smallest and largest of x and 0; NaN in *ret_hi when one of them is not a number. */
static void range(const float *x, int k, float *ret_lo, float *ret_hi)
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
    *ret_hi = nan ? NAN : _mm512_reduce_max_ps(hi);
}

static void quantize_row_avx512(const float *x, int k, uint8_t *q, struct pn_quant_row *ret)
{
    float lo, hi;
    range(x, k, &lo, &hi);
    size_t padded = (size_t)(k + 3) / 4 * 4;
    float scale = hi / 255.0f - lo / 255.0f;
    if (isnan(scale) || isinf(scale) || scale < 1e-30f) {
        memset(q, 0, padded);
        *ret = (struct pn_quant_row){ .scale = isfinite(scale) ? 1.0f : NAN, .zero = 0 };
        return;
    }
    float per = 1.0f / scale;
    int zero = (int)nearbyintf(-lo * per);
    const __m512i offset = _mm512_set1_epi32(zero), none = _mm512_setzero_si512();
    for (int i = 0; i < k; i += 16) {
        __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(pn_tail_mask(k - i), x + i), _mm512_set1_ps(per));
        __m512i n = _mm512_add_epi32(_mm512_cvtps_epi32(v), offset);
        _mm512_mask_cvtusepi32_storeu_epi8(q + i, pn_tail_mask(k - i), _mm512_max_epi32(n, none));
    }
    memset(q + k, 0, padded - (size_t)k);
    *ret = (struct pn_quant_row){ .scale = scale, .zero = zero };
}

void pn_kern_linear_avx512(struct pn_kern *k)
{
    k->gemm_f32 = gemm_f32_avx512;
    k->quantize_row = quantize_row_avx512;
}
