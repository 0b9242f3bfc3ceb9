/* linear_f32_avx2.c - products of floats with AVX2 and FMA.
 *
 * Register tiles are 6 rows x 16 columns. Columns of a panel lie 256 bytes apart from one k to the next, so
 * 16 of them are put side by side for the tiles of a block of rows. One and two rows have wider tiles. Every
 * tile sums over k in the same order. */
#include "nn/kern_levels.h"
#include "nn/x86/store_avx2.h"

#include <string.h>

enum {
    TILE = 6, /* rows of a tile */
    BLOCK = 8 * TILE,
    CHUNK = 256,        /* of k whose 16 columns stay in the first cache while tiles take turns */
    CACHED = 256 << 10, /* bytes of activations that stay in the second */
};

/* Some rows and columns over a stretch of k: a[r * lda + k], w[k * ldw + column]. */
struct span {
    const float *a;
    size_t lda;
    const float *w;
    size_t ldw;
    int len;
    const char *next; /* as many bytes to be fetched meanwhile as are read, or NULL */
};

/* sum[r][8v ...] += a w for `vecs` times eight columns. */
PN_AVX2_INLINE void tile(const int rows, const int vecs, struct span s, float (*sum)[PN_PANEL])
{
    __m256 acc[TILE][8];
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            acc[r][v] = _mm256_loadu_ps(&sum[r][8 * v]);
    for (int k = 0; k < s.len; k++, s.w += s.ldw) {
        __m256 b[8];
        if (s.next) {
            __builtin_prefetch(s.next, 0, 2);
            s.next += 32 * vecs;
        }
        for (int v = 0; v < vecs; v++)
            b[v] = _mm256_loadu_ps(s.w + 8 * v);
#pragma GCC unroll 8
        for (int r = 0; r < rows; r++) {
            __m256 x = _mm256_broadcast_ss(s.a + (size_t)r * s.lda + k);
            for (int v = 0; v < vecs; v++)
                acc[r][v] = _mm256_fmadd_ps(x, b[v], acc[r][v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            _mm256_storeu_ps(&sum[r][8 * v], acc[r][v]);
}

static void tile_rows(int rows, struct span s, float (*sum)[PN_PANEL])
{
    if (rows == 6)
        tile(6, 2, s, sum);
    else if (rows == 5)
        tile(5, 2, s, sum);
    else if (rows == 4)
        tile(4, 2, s, sum);
    else if (rows == 3)
        tile(3, 2, s, sum);
    else if (rows == 2)
        tile(2, 2, s, sum);
    else
        tile(1, 2, s, sum);
}

/* Columns [c, PN_PANEL) of a panel's sums. */
PN_AVX2_INLINE float (*sums_from(float (*sum)[PN_PANEL], int c))[PN_PANEL]
{
    return (float(*)[PN_PANEL])(&sum[0][c]);
}

/* A panel for one or two rows, the weights read as memory likes it. */
static void few_rows(int rows, struct span s, float (*sum)[PN_PANEL])
{
    if (rows == 1)
        tile(1, 8, s, sum);
    for (int c = 0; rows == 2 && c < PN_PANEL; c += 32, s.w += 32)
        tile(2, 4, s, sums_from(sum, c));
}

/* 16 columns side by side: in their panel they use a quarter of the first cache. */
static void gather16(struct span s, float (*strip)[16])
{
    for (int k = 0; k < s.len; k++, s.w += s.ldw) {
        _mm256_store_ps(strip[k], _mm256_loadu_ps(s.w));
        _mm256_store_ps(strip[k] + 8, _mm256_loadu_ps(s.w + 8));
    }
}

/* A chunk of a panel for a block of rows, in tiles as equal as can be. */
static void chunk(int rows, struct span s, float (*sum)[PN_PANEL])
{
    _Alignas(32) float strip[CHUNK][16];
    const char *next = s.next;
    for (int c = 0; c < PN_PANEL; c += 16, s.w += 16) {
        struct span at = s;
        if (rows > TILE) {
            gather16(s, strip);
            at.w = strip[0];
            at.ldw = 16;
        }
        at.next = next ? next + (size_t)c * sizeof(float) * (size_t)s.len : NULL;
        for (int n, from = 0; from < rows; from += n) {
            n = pn_tile_rows(rows - from, TILE);
            at.a = s.a + (size_t)from * s.lda;
            tile_rows(n, at, sums_from(sum + from, c));
            at.next = NULL;
        }
    }
}

static void finish(const struct pn_gemm_f32 *g, int i, int j, const float *sum)
{
    float *y = g->y + (size_t)i * g->ldy + j;
    for (int c = 0; c < PN_PANEL; c += 8)
        pn_store8_avx2(_mm256_add_ps(_mm256_loadu_ps(sum + c), _mm256_loadu_ps(g->bias + j + c)), y + c,
                       g->n_to - j - c, g->epilogue);
}

/* Rows [i, i + rows) of one panel; `next`: the panel to be fetched meanwhile, or NULL. */
static void block(const struct pn_gemm_f32 *g, int i, int rows, int j, const float *next)
{
    const float *a = g->a + (size_t)i * g->lda, *w = g->w + (size_t)j * (size_t)g->k;
    float sum[BLOCK][PN_PANEL];
    memset(sum, 0, (size_t)rows * sizeof(sum[0]));
    if (rows <= 2)
        few_rows(rows, (struct span){ a, g->lda, w, PN_PANEL, g->k, NULL }, sum);
    for (int from = 0; rows > 2 && from < g->k; from += CHUNK) {
        size_t at = (size_t)from * PN_PANEL;
        chunk(rows,
              (struct span){ a + from, g->lda, w + at, PN_PANEL, PN_MIN(CHUNK, g->k - from),
                             next ? (const char *)(next + at) : NULL },
              sum);
    }
    for (int r = 0; r < rows; r++)
        finish(g, i + r, j, sum[r]);
}

/* Rows that stay in the second cache while all panels pass over them, a block after the other. */
static void row_group(const struct pn_gemm_f32 *g, int from, int to)
{
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const float *next = j + PN_PANEL < g->n_to ? g->w + (size_t)(j + PN_PANEL) * (size_t)g->k : NULL;
        for (int i = from; i < to; i += BLOCK) {
            int rows = PN_MIN(BLOCK, to - i);
            block(g, i, rows, j, i + rows == to ? next : NULL);
        }
    }
}

static void gemm(const struct pn_gemm_f32 *g)
{
    int blocks = CACHED / (int)sizeof(float) / PN_MAX(g->k, 1) / BLOCK, most = PN_MAX(blocks, 1) * BLOCK;
    for (int i = 0; i < g->m; i += most)
        row_group(g, i, PN_MIN(i + most, g->m));
}

void pn_kern_linear_f32_avx2(struct pn_kern *k)
{
    k->gemm_f32 = gemm;
}
