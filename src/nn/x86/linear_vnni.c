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

struct sums {
    _Alignas(64) int32_t of[TILE][PN_PANEL];
};

static inline __m512i broadcast4(const uint8_t *p)
{
    int32_t v;
    memcpy(&v, p, sizeof(v));
    return _mm512_set1_epi32(v);
}

/* The sums of one row, and the weights that four inputs have in a panel: 64 columns. */
struct columns {
    __m512i v0, v1, v2, v3;
};

/* As an instruction: the compiler's builtin copies its sums around, and those fill all registers. */
static inline __attribute__((always_inline)) void dot4(__m512i *sum, __m512i x, __m512i w)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(*sum) : "v"(x), "v"(w));
}

static inline __attribute__((always_inline)) void dot_row(struct columns *sum, const uint8_t *a,
                                                          const struct columns *w)
{
    __m512i x = broadcast4(a);
    dot4(&sum->v0, x, w->v0);
    dot4(&sum->v1, x, w->v1);
    dot4(&sum->v2, x, w->v2);
    dot4(&sum->v3, x, w->v3);
}

static inline void store_row(int32_t *out, const struct columns *sum)
{
    _mm512_store_si512(out, sum->v0);
    _mm512_store_si512(out + 16, sum->v1);
    _mm512_store_si512(out + 32, sum->v2);
    _mm512_store_si512(out + 48, sum->v3);
}

/* Does `what` to each row of the tile; a constant `rows` leaves the others out. */
#define EACH_ROW(what) \
    do {               \
        what(0);       \
        if (rows > 1)  \
            what(1);   \
        if (rows > 2)  \
            what(2);   \
        if (rows > 3)  \
            what(3);   \
        if (rows > 4)  \
            what(4);   \
        if (rows > 5)  \
            what(5);   \
    } while (0)

/* `rows` and `lines` (cache lines to fetch a step) are constants where this is inlined. */
static inline __attribute__((always_inline)) void tile_sums(const struct walk *t, int rows, int lines,
                                                            struct sums *ret)
{
    const struct columns none = { 0 };
    struct columns c0 = none, c1 = none, c2 = none, c3 = none, c4 = none, c5 = none;
    const uint8_t *a = t->a, *a3 = t->a + 3 * t->lda;
    const int8_t *w = t->w;
    const char *fetch = t->fetch;
    size_t lda = t->lda, stride = t->stride;
    for (int i = t->steps; i > 0; i--, a += 4, a3 += 4, w += STEP, fetch += stride) {
        for (int l = 0; l < lines; l++)
            _mm_prefetch(fetch + 64 * l, _MM_HINT_T1);
        struct columns b = { _mm512_load_si512(w), _mm512_load_si512(w + 64), _mm512_load_si512(w + 128),
                             _mm512_load_si512(w + 192) };
#define DOT_ROW(r) dot_row(&c##r, r < 3 ? a + r * lda : a3 + (r - 3) * lda, &b)
        EACH_ROW(DOT_ROW);
    }
#define STORE_ROW(r) store_row(ret->of[r], &c##r)
    EACH_ROW(STORE_ROW);
}

/* Sixteen columns from j on, of all rows of the tile; `e` is a constant where this is inlined. */
static inline __attribute__((always_inline)) void finish_columns(const struct pn_gemm_u8s8 *g, int row,
                                                                 int rows, int j, const int32_t *sums,
                                                                 enum pn_epilogue e)
{
    const __m512i w_sum = _mm512_load_si512(g->w_sum + j);
    const __m512 w_scale = _mm512_load_ps(g->w_scale + j), bias = _mm512_load_ps(g->bias + j);
    const __mmask16 mask = pn_tail_mask(g->n_to - j);
    const struct pn_quant_row *q = &g->rows[row];
    float *y = g->y + row * g->ldy + j;
    for (int r = 0; r < rows; r++, q++, sums += PN_PANEL, y += g->ldy) {
        __m512i s = _mm512_mullo_epi32(_mm512_set1_epi32(q->zero), w_sum);
        s = _mm512_sub_epi32(_mm512_load_si512(sums), s);
        __m512 scale = _mm512_mul_ps(_mm512_set1_ps(q->scale), w_scale);
        pn_store_avx512(y, mask, _mm512_fmadd_ps(_mm512_cvtepi32_ps(s), scale, bias), e);
    }
}

/* Zero points, scales, bias and epilogue for the sums of rows [row, row + rows) and the panel at column j. */
static void finish(const struct pn_gemm_u8s8 *g, int row, int rows, int j, const struct sums *sums)
{
    for (int v = 0; v < PN_PANEL && j + v < g->n_to; v += 16) {
        const int32_t *s = &sums->of[0][v];
        switch (g->epilogue) {
        case PN_STORE:
            finish_columns(g, row, rows, j + v, s, PN_STORE);
            break;
        case PN_GELU:
            finish_columns(g, row, rows, j + v, s, PN_GELU);
            break;
        case PN_RELU:
            finish_columns(g, row, rows, j + v, s, PN_RELU);
            break;
        case PN_ADD:
            finish_columns(g, row, rows, j + v, s, PN_ADD);
            break;
        }
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
TILES(1)
TILES(2)
TILES(4)

typedef void (*sums_fn)(const struct walk *t, struct sums *ret);

/* By lines to fetch a step and rows. */
static const sums_fn SUMS[3][TILE] = {
    { sums_1_1, sums_2_1, sums_3_1, sums_4_1, sums_5_1, sums_6_1 },
    { sums_1_2, sums_2_2, sums_3_2, sums_4_2, sums_5_2, sums_6_2 },
    { sums_1_4, sums_2_4, sums_3_4, sums_4_4, sums_5_4, sums_6_4 },
};

/* Rows [from, from + m) over all panels: the rows are dealt out evenly, 20 as 5 5 5 5 and not as 6 6 6 2. */
static void rows_u8s8(const struct pn_gemm_u8s8 *g, int from, int m)
{
    int passes = (m + TILE - 1) / TILE;
    size_t panel = (size_t)g->k * PN_PANEL;
    const sums_fn *sums_of = SUMS[passes == 1 ? 2 : passes < 4 ? 1 : 0];
    struct walk t = { .lda = g->lda, .steps = g->k / 4, .stride = (size_t)(STEP / passes) };
    struct sums sums;
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        t.w = g->w + (size_t)(j / PN_PANEL) * panel;
        t.fetch = (const char *)t.w + (j + PN_PANEL < g->n_to ? panel : 0);
        for (int p = 0; p < passes; p++, t.fetch += t.stride * (size_t)t.steps) {
            int row = from + m * p / passes, rows = from + m * (p + 1) / passes - row;
            t.a = g->a + row * g->lda;
            sums_of[rows - 1](&t, &sums);
            finish(g, row, rows, j, &sums);
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
