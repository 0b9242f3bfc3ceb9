/* linear_vnni.c - u8 x s8 products with AVX-512 VNNI.
 *
 * A tile is up to six rows by one panel: 24 accumulators, and four loads of weights serve six rows. All rows
 * of the call pass over a panel while it lies in the nearest caches, and fetch the next panel meanwhile, a
 * share in each pass: with few rows the weights come from memory, and computing must not wait for them.
 * Sums of integers are exact, so neither the tile that a row lands in nor the order over k can be seen. */
#include "nn/kern_levels.h"
#include "nn/x86/store_avx512.h"

#include "base/attr.h"

#include <string.h>

enum {
    TILE = 6,
    VECTORS = PN_PANEL / 16,
    STEP = PN_PANEL * 4,    /* bytes of weights for four inputs */
    BLOCK_BYTES = 256 << 10 /* activations that stay in L2 while the panels pass by */
};

/* One tile's walk over a panel. */
struct walk {
    const uint8_t *a;
    size_t lda;
    const int8_t *w;
    int steps;         /* k / 4 */
    const char *fetch; /* of the next panel: `stride` bytes a step */
    size_t stride;
};

static inline __m512i broadcast4(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return _mm512_set1_epi32(v);
}

/* `rows` and `lines` (cache lines to fetch a step) are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile_sums(const struct walk *t, int rows, int lines,
                                                            __m512i acc[TILE][VECTORS])
{
    const int8_t *w = t->w;
    const char *fetch = t->fetch;
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < VECTORS; v++)
            acc[r][v] = _mm512_setzero_si512();
    for (int i = 0; i < t->steps; i++, w += STEP, fetch += t->stride) {
        for (int l = 0; l < lines; l++)
            _mm_prefetch(fetch + 64 * l, _MM_HINT_T1);
        __m512i b[VECTORS];
        for (int v = 0; v < VECTORS; v++)
            b[v] = _mm512_load_si512(w + 64 * v);
        for (int r = 0; r < rows; r++) {
            __m512i a = broadcast4(t->a + r * t->lda + 4 * i);
            for (int v = 0; v < VECTORS; v++)
                acc[r][v] = _mm512_dpbusd_epi32(acc[r][v], a, b[v]);
        }
    }
}

static inline __attribute__((always_inline)) void tile(const struct pn_gemm_u8s8 *g, const struct walk *t,
                                                       int row, int j, int rows, int lines)
{
    __m512i acc[TILE][VECTORS];
    tile_sums(t, rows, lines, acc);
    for (int v = 0; v < VECTORS && j + 16 * v < g->n_to; v++) {
        __mmask16 mask = pn_tail_mask(g->n_to - j - 16 * v);
        __m512i sum = _mm512_load_si512(g->w_sum + j + 16 * v);
        __m512 scale = _mm512_load_ps(g->w_scale + j + 16 * v);
        __m512 bias = _mm512_load_ps(g->bias + j + 16 * v);
        for (int r = 0; r < rows; r++) {
            const struct pn_quant_row *q = &g->rows[row + r];
            __m512i s = _mm512_sub_epi32(acc[r][v], _mm512_mullo_epi32(_mm512_set1_epi32(q->zero), sum));
            __m512 y =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), _mm512_mul_ps(_mm512_set1_ps(q->scale), scale), bias);
            pn_store_avx512(g->y + (row + r) * g->ldy + j + 16 * v, mask, y, g->epilogue);
        }
    }
}

#define TILES(name, lines)                                                                         \
    static void name(const struct pn_gemm_u8s8 *g, const struct walk *t, int row, int j, int rows) \
    {                                                                                              \
        switch (rows) {                                                                            \
        case 1:                                                                                    \
            tile(g, t, row, j, 1, lines);                                                          \
            break;                                                                                 \
        case 2:                                                                                    \
            tile(g, t, row, j, 2, lines);                                                          \
            break;                                                                                 \
        case 3:                                                                                    \
            tile(g, t, row, j, 3, lines);                                                          \
            break;                                                                                 \
        case 4:                                                                                    \
            tile(g, t, row, j, 4, lines);                                                          \
            break;                                                                                 \
        case 5:                                                                                    \
            tile(g, t, row, j, 5, lines);                                                          \
            break;                                                                                 \
        default:                                                                                   \
            tile(g, t, row, j, TILE, lines);                                                       \
        }                                                                                          \
    }

TILES(tile_fetching_4, 4)
TILES(tile_fetching_2, 2)
TILES(tile_fetching_1, 1)

/* Rows [from, from + m) over all panels: the rows are dealt out evenly, 20 as 5 5 5 5 and not as 6 6 6 2. */
static void rows_u8s8(const struct pn_gemm_u8s8 *g, int from, int m)
{
    int passes = (m + TILE - 1) / TILE;
    size_t panel = (size_t)g->k * PN_PANEL;
    struct walk t = { .lda = g->lda, .steps = g->k / 4, .stride = (size_t)(STEP / passes) };
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        t.w = g->w + (size_t)(j / PN_PANEL) * panel;
        t.fetch = (const char *)t.w + (j + PN_PANEL < g->n_to ? panel : 0);
        for (int p = 0; p < passes; p++, t.fetch += t.stride * (size_t)t.steps) {
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

static void gemm_u8s8_vnni(const struct pn_gemm_u8s8 *g)
{
    int block = PN_MAX(TILE, BLOCK_BYTES / PN_MAX(g->k, 1) / TILE * TILE);
    for (int row = 0; row < g->m; row += block)
        rows_u8s8(g, row, PN_MIN(block, g->m - row));
}

void pn_kern_linear_vnni(struct pn_kern *k)
{
    k->gemm_u8s8 = gemm_u8s8_vnni;
}
