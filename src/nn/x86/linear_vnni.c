/* linear_vnni.c - u8 x s8 products with AVX-512 VNNI.
 *
 * A tile is up to six rows by one panel: 24 accumulators, and four loads of weights serve six rows. All rows
 * of the call pass over a panel while it lies in the nearest caches, and fetch what comes next meanwhile, a
 * share in each pass: with few rows the weights come from memory, and computing must not wait for them.
 * Sums of integers are exact, so neither the tile that a row lands in nor the order over k can be seen. */
#include "nn/kern_levels.h"
#include "nn/x86/store_avx512.h"

#include "base/attr.h"

#include <stdbool.h>
#include <string.h>

enum {
    TILE = 6,
    STEP = PN_PANEL * 4, /* bytes of weights for four inputs */
    FEW_PASSES = 3,      /* up to here a panel is taken in parts of PART inputs, which stay in L1 */
    PART = 256,
    BLOCK_BYTES = 256 << 10 /* activations that stay in L2 while the panels pass by */
};

/* One tile's walk over a panel. */
struct walk {
    const uint8_t *a;
    size_t lda;
    const int8_t *w;
    int steps;         /* k / 4 */
    const char *fetch; /* what comes next: `stride` bytes a step; may end behind the weights */
    size_t stride;
    bool more; /* go on from the sums that are there */
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

static inline void load_row(const int32_t *from, struct columns *ret)
{
    *ret = (struct columns){ _mm512_load_si512(from), _mm512_load_si512(from + 16),
                             _mm512_load_si512(from + 32), _mm512_load_si512(from + 48) };
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
#define LOAD_ROW(r) load_row(ret->of[r], &c##r)
    if (t->more)
        EACH_ROW(LOAD_ROW);
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
TILES(0)
TILES(1)
TILES(2)

typedef void (*sums_fn)(const struct walk *t, struct sums *ret);

/* By lines to fetch a step and rows. */
static const sums_fn SUMS[3][TILE] = {
    { sums_1_0, sums_2_0, sums_3_0, sums_4_0, sums_5_0, sums_6_0 },
    { sums_1_1, sums_2_1, sums_3_1, sums_4_1, sums_5_1, sums_6_1 },
    { sums_1_2, sums_2_2, sums_3_2, sums_4_2, sums_5_2, sums_6_2 },
};

/* How the rows of a block are dealt out to passes: evenly, 20 as 5 5 5 5 and not as 6 6 6 2. */
struct deal {
    int from, m, passes;
};

static int first_row(const struct deal *d, int pass)
{
    return d->from + d->m * pass / d->passes;
}

/* One pass after the other over the part of a panel that begins with `t->w`, after `done` inputs. */
static void part_sums(const struct pn_gemm_u8s8 *g, const struct deal *d, struct walk *t, size_t done,
                      struct sums *sums)
{
    const sums_fn *sums_of = SUMS[d->passes == 1 ? 0 : 2];
    t->fetch = (const char *)t->w + (size_t)STEP * t->steps;
    t->more = done > 0;
    for (int p = 0; p < d->passes; p++, t->fetch += t->stride * (size_t)t->steps) {
        int row = first_row(d, p);
        t->a = g->a + row * g->lda + done;
        sums_of[first_row(d, p + 1) - row - 1](t, &sums[p]);
    }
}

/* Few rows: computing takes about as long as fetching, and the two mix evenly only in small parts, all of one
 * size: each fetches as much as it is long. One pass alone computes while it waits, and the CPU sees its
 * stream by itself. */
static void panel_in_parts(const struct pn_gemm_u8s8 *g, const struct deal *d, int j)
{
    struct sums sums[FEW_PASSES];
    struct walk t = { .lda = g->lda, .stride = (size_t)(STEP / d->passes) };
    const int steps = g->k / 4, parts = d->passes == 1 ? 1 : (g->k + PART - 1) / PART;
    for (int done = 0, i = 0; i < parts; i++, done += t.steps) {
        t.w = g->w + (size_t)(j / PN_PANEL) * PN_PANEL * g->k + (size_t)done * STEP;
        t.steps = (int)((int64_t)steps * (i + 1) / parts) - done;
        part_sums(g, d, &t, 4 * (size_t)done, sums);
    }
    for (int p = 0; p < d->passes; p++)
        finish(g, first_row(d, p), first_row(d, p + 1) - first_row(d, p), j, &sums[p]);
}

static void panel_at_once(const struct pn_gemm_u8s8 *g, const struct deal *d, int j)
{
    size_t panel = (size_t)g->k * PN_PANEL;
    struct walk t = { .lda = g->lda, .steps = g->k / 4, .stride = (size_t)(STEP / d->passes) };
    struct sums sums;
    t.w = g->w + (size_t)(j / PN_PANEL) * panel;
    t.fetch = (const char *)t.w + panel;
    for (int p = 0; p < d->passes; p++, t.fetch += t.stride * (size_t)t.steps) {
        int row = first_row(d, p), rows = first_row(d, p + 1) - row;
        t.a = g->a + row * g->lda;
        SUMS[1][rows - 1](&t, &sums);
        finish(g, row, rows, j, &sums);
    }
}

/* Rows [from, from + m) over all panels. */
static void rows_u8s8(const struct pn_gemm_u8s8 *g, int from, int m)
{
    struct deal d = { .from = from, .m = m, .passes = (m + TILE - 1) / TILE };
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL)
        if (d.passes <= FEW_PASSES)
            panel_in_parts(g, &d, j);
        else
            panel_at_once(g, &d, j);
}

static void gemm_u8s8_vnni(const struct pn_gemm_u8s8 *g)
{
    int block = PN_MAX(TILE, BLOCK_BYTES / PN_MAX(g->k, 1) / TILE * TILE);
    for (int row = 0; row < g->m; row += block)
        rows_u8s8(g, row, PN_MIN(block, g->m - row));
}

void pn_kern_linear_vnni(struct pn_kern *k)
{
    k->activation_top = 255;
    k->gemm_u8s8 = gemm_u8s8_vnni;
}
