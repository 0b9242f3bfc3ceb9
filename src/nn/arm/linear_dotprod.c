/* linear_dotprod.c - the int8 product with SDOT: four k of four columns an instruction, just as the weights
 * lie. Activations are moved to s = a - 128; the 128 * w that is missing is added with the zero point. */
#include "nn/arm/math_neon.h"
#include "nn/kern_levels.h"

#define INLINE static inline __attribute__((always_inline))

enum { ROWS = 4 };

/* Columns [j, j + 4 vecs) of a panel into sum[r][j ...]. */
INLINE void tile(const int rows, const int vecs, const uint8_t *a, size_t lda, int k, const int8_t *w, int j,
                 int32_t (*sum)[PN_PANEL])
{
    int32x4_t acc[ROWS][16];
    w += 4 * j;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            acc[r][v] = vdupq_n_s32(0);
    for (int i = 0; i < k; i += 4, w += 4 * PN_PANEL) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            uint32_t quad;
            memcpy(&quad, a + (size_t)r * lda + i, 4);
            int8x16_t s = vreinterpretq_s8_u32(vdupq_n_u32(quad ^ 0x80808080u));
            for (int v = 0; v < vecs; v++)
                acc[r][v] = vdotq_s32(acc[r][v], vld1q_s8(w + 16 * v), s);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            vst1q_s32(&sum[r][j + 4 * v], acc[r][v]);
}

/* One row is read straight through, as memory likes it. */
static void panel(const struct pn_gemm_u8s8 *g, int i, int rows, const int8_t *w, int32_t (*sum)[PN_PANEL])
{
    const uint8_t *a = g->a + (size_t)i * g->lda;
    if (rows == 1)
        tile(1, 16, a, g->lda, g->k, w, 0, sum);
    for (int j = 0; rows == 2 && j < PN_PANEL; j += 32)
        tile(2, 8, a, g->lda, g->k, w, j, sum);
    for (int j = 0; rows == 3 && j < PN_PANEL; j += 16)
        tile(3, 4, a, g->lda, g->k, w, j, sum);
    for (int j = 0; rows == 4 && j < PN_PANEL; j += 16)
        tile(4, 4, a, g->lda, g->k, w, j, sum);
}

static void gemm_u8s8(const struct pn_gemm_u8s8 *g)
{
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const int8_t *w = g->w + (size_t)j * (size_t)g->k;
        for (int i = 0; i < g->m; i += ROWS) {
            int32_t sum[ROWS][PN_PANEL];
            int rows = PN_MIN(ROWS, g->m - i);
            panel(g, i, rows, w, sum);
            for (int r = 0; r < rows; r++)
                pn_finish_s8_neon(g, i + r, j, sum[r]);
        }
    }
}

void pn_kern_linear_dotprod(struct pn_kern *k)
{
    k->gemm_u8s8 = gemm_u8s8;
}
