/* linear_neon.c - products with the base instructions of aarch64.
 *
 * int8: s = a - 128 lies in -128..127, so two products s w fit into 16 bits (2 * 128 * 127 = 32512): two
 * groups of four k are multiplied and added there and then summed pairwise to 32 bits. The 128 * w that is
 * missing is added with the zero point. A tile keeps two sums a column and joins them at its end. */
#include "nn/arm/math_neon.h"
#include "nn/kern_levels.h"
#include "nn/quantize.h"

#include <math.h>
#include <stdbool.h>

#define INLINE static inline __attribute__((always_inline))

enum { ROWS_S8 = 4, ROWS_F32 = 6, ROW_BLOCK = 48 };

/* ---- int8 ---- */

/* Four activations as s8, twice. */
INLINE int8x8_t quad(const uint8_t *a)
{
    uint32_t q;
    memcpy(&q, a, 4);
    return vreinterpret_s8_u32(vdup_n_u32(q ^ 0x80808080u));
}

/* Columns [j, j + 4 vecs) of a panel into sum[r][j ...]. */
INLINE void tile_s8(const int rows, const int vecs, const uint8_t *a, size_t lda, int k, const int8_t *w,
                    int j, int32_t (*sum)[PN_PANEL])
{
    int32x4_t acc[ROWS_S8][16]; /* column 2v: lanes 0 and 1 of acc[v] */
    w += 4 * j;
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < 2 * vecs; v++)
            acc[r][v] = vdupq_n_s32(0);
    for (int i = 0; i < k; i += 8, w += 8 * PN_PANEL) {
        bool two = i + 4 < k;
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            const uint8_t *x = a + (size_t)r * lda + i;
            int8x8_t s0 = quad(x), s1 = two ? quad(x + 4) : vdup_n_s8(0);
            for (int v = 0; v < 2 * vecs; v++) {
                int16x8_t p = vmull_s8(vld1_s8(w + 8 * v), s0);
                if (two)
                    p = vmlal_s8(p, vld1_s8(w + 4 * PN_PANEL + 8 * v), s1);
                acc[r][v] = vpadalq_s16(acc[r][v], p);
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            vst1q_s32(&sum[r][j + 4 * v], vpaddq_s32(acc[r][2 * v], acc[r][2 * v + 1]));
}

static void panel_s8(const struct pn_gemm_u8s8 *g, int i, int rows, const int8_t *w, int32_t (*sum)[PN_PANEL])
{
    const uint8_t *a = g->a + (size_t)i * g->lda;
    for (int j = 0; rows == 1 && j < PN_PANEL; j += 32)
        tile_s8(1, 8, a, g->lda, g->k, w, j, sum);
    for (int j = 0; rows == 2 && j < PN_PANEL; j += 16)
        tile_s8(2, 4, a, g->lda, g->k, w, j, sum);
    for (int j = 0; rows == 3 && j < PN_PANEL; j += 8)
        tile_s8(3, 2, a, g->lda, g->k, w, j, sum);
    for (int j = 0; rows == 4 && j < PN_PANEL; j += 8)
        tile_s8(4, 2, a, g->lda, g->k, w, j, sum);
}

static void gemm_u8s8(const struct pn_gemm_u8s8 *g)
{
    for (int j = g->n_from; j < g->n_to; j += PN_PANEL) {
        const int8_t *w = g->w + (size_t)j * (size_t)g->k;
        for (int i = 0; i < g->m; i += ROWS_S8) {
            int32_t sum[ROWS_S8][PN_PANEL];
            int rows = PN_MIN(ROWS_S8, g->m - i);
            panel_s8(g, i, rows, w, sum);
            for (int r = 0; r < rows; r++)
                pn_finish_s8_neon(g, i + r, j, sum[r]);
        }
    }
}

/* ---- f32 ---- */

/* Columns [j, j + 4 vecs) of `rows` rows. */
INLINE void tile_f32(const int rows, const int vecs, const struct pn_gemm_f32 *g, int i, int j)
{
    const float *a = g->a + (size_t)i * g->lda;
    const float *w = g->w + (size_t)(j / PN_PANEL) * PN_PANEL * (size_t)g->k + j % PN_PANEL;
    float32x4_t acc[ROWS_F32][16];
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            acc[r][v] = vdupq_n_f32(0);
    for (int k = 0; k < g->k; k++, w += PN_PANEL) {
#pragma GCC unroll 16
        for (int r = 0; r < rows; r++) {
            float32x4_t x = vdupq_n_f32(a[(size_t)r * g->lda + (size_t)k]);
            for (int v = 0; v < vecs; v++)
                acc[r][v] = vfmaq_f32(acc[r][v], vld1q_f32(w + 4 * v), x);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < rows; r++)
        for (int v = 0; v < vecs; v++)
            pn_finish_neon(vaddq_f32(acc[r][v], vld1q_f32(g->bias + j + 4 * v)),
                           g->y + (size_t)(i + r) * g->ldy + j + 4 * v, g->n_to - j - 4 * v, g->epilogue);
}

/* Columns [j, j + 16) of one to six rows. */
static void tile_rows_f32(const struct pn_gemm_f32 *g, int i, int j, int rows)
{
    switch (rows) {
    case 6:
        tile_f32(6, 4, g, i, j);
        break;
    case 5:
        tile_f32(5, 4, g, i, j);
        break;
    case 4:
        tile_f32(4, 4, g, i, j);
        break;
    case 3:
        tile_f32(3, 4, g, i, j);
        break;
    case 2:
        tile_f32(2, 4, g, i, j);
        break;
    default:
        tile_f32(1, 4, g, i, j);
    }
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
        }
    }
}

/* ---- activations ---- */

/* Up to four floats, the rest 0. */
INLINE float32x4_t load(const float *x, int left)
{
    if (left >= 4)
        return vld1q_f32(x);
    float t[4] = { 0 };
    memcpy(t, x, (size_t)left * sizeof(float));
    return vld1q_f32(t);
}

/* The range of x with 0 in it; false when there is a NaN. */
static bool range(const float *x, int k, float *ret_low, float *ret_high)
{
    float32x4_t low = vdupq_n_f32(0), high = low;
    for (int i = 0; i < k; i += 4) {
        float32x4_t v = load(x + i, k - i);
        low = vminq_f32(low, v); /* FMIN gives NaN for NaN */
        high = vmaxq_f32(high, v);
    }
    *ret_low = vminvq_f32(low);
    *ret_high = vmaxvq_f32(high);
    return !isnan(*ret_low);
}

static void quantize_row(const float *x, int k, int top, uint8_t *q, struct pn_quant_row *ret)
{
    size_t padded = (size_t)(k + 3) / 4 * 4;
    float low, high;
    bool number = range(x, k, &low, &high);
    float inverse = pn_quant_range(low, high, !number, top, ret);
    if (inverse == 0) {
        memset(q, 0, padded);
        return;
    }
    int32x4_t zero = vdupq_n_s32(ret->zero);
    uint8x8_t most = vdup_n_u8((uint8_t)top);
    for (int i = 0; i < k; i += 4) {
        float32x4_t v = vmulq_n_f32(load(x + i, k - i), inverse);
        int16x4_t words = vqmovn_s32(vaddq_s32(vcvtnq_s32_f32(v), zero));
        uint8x8_t bytes = vmin_u8(vqmovun_s16(vcombine_s16(words, words)), most);
        vst1_lane_u32((uint32_t *)(void *)(q + i), vreinterpret_u32_u8(bytes), 0);
    }
    memset(q + k, 0, padded - (size_t)k);
}

void pn_kern_linear_neon(struct pn_kern *k)
{
    k->quantize_row = quantize_row;
    k->gemm_u8s8 = gemm_u8s8;
    k->gemm_f32 = gemm_f32;
}
