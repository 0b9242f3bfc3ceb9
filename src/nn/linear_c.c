/* linear_c.c - products and row quantisation in portable C: the definitions that every level is held to. */
#include "nn/kern_levels.h"
#include "nn/quantize.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

static float finish(enum pn_epilogue e, float v, float old)
{
    switch (e) {
    case PN_STORE:
        return v;
    case PN_GELU:
        return 0.5f * v * (1.0f + erff(v * 0.707106781f));
    case PN_RELU:
        return v > 0.0f ? v : 0.0f;
    case PN_ADD:
        return old + v;
    }
    PN_UNREACHABLE();
}

/* Eight columns of a panel for one row; `w` is the panel's first byte of the first of them. */
static void sums_u8s8(const uint8_t *a, int k4, const int8_t *w, int32_t sum[8])
{
    for (int j = 0; j < 8; j++)
        sum[j] = 0;
    for (int i = 0; i < k4; i++, w += PN_PANEL * 4)
        for (int j = 0; j < 8; j++)
            for (int b = 0; b < 4; b++)
                sum[j] += a[i * 4 + b] * w[j * 4 + b];
}

/* v += what row r of the activations gives for eight columns from j. */
static void add_row(const struct pn_gemm_u8s8 *g, int r, int j, const int8_t *w, float v[8])
{
    int32_t sum[8];
    sums_u8s8(g->a + r * g->lda, g->k / 4, w, sum);
    for (int c = 0; c < 8; c++) {
        /* Unsigned: a forged file's sums may overflow, and then wrap as they do in vectors. */
        uint32_t zero = (uint32_t)g->rows[r].zero * (uint32_t)g->w_sum[j + c];
        float s = (float)(int32_t)((uint32_t)sum[c] - zero);
        v[c] = fmaf(s, g->rows[r].scale * g->w_scale[j + c], v[c]);
    }
}

static void gemm_u8s8_c(const struct pn_gemm_u8s8 *g)
{
    for (int j = g->n_from; j < g->n_to; j += 8) {
        const int8_t *w = g->w + (size_t)(j / PN_PANEL) * PN_PANEL * g->k + (j % PN_PANEL) * 4;
        for (int i = 0; i < g->m; i++) {
            const int parts = g->paired ? 2 : 1;
            float v[8], *y = g->y + i * g->ldy;
            for (int c = 0; c < 8; c++)
                v[c] = g->bias[j + c];
            for (int r = i * parts; r < (i + 1) * parts; r++)
                add_row(g, r, j, w, v);
            for (int c = 0; c < PN_MIN(8, g->n_to - j); c++)
                y[j + c] = finish(g->epilogue, v[c], y[j + c]);
        }
    }
}

static void gemm_f32_c(const struct pn_gemm_f32 *g)
{
    for (int j = g->n_from; j < g->n_to; j += 8) {
        const float *w = g->w + (size_t)(j / PN_PANEL) * PN_PANEL * g->k + j % PN_PANEL;
        for (int i = 0; i < g->m; i++) {
            const float *a = g->a + i * g->lda;
            float sum[8] = { 0 };
            for (int k = 0; k < g->k; k++)
                for (int c = 0; c < 8; c++)
                    sum[c] += a[k] * w[(size_t)k * PN_PANEL + c];
            float *y = g->y + i * g->ldy;
            for (int c = 0; c < PN_MIN(8, g->n_to - j); c++)
                y[j + c] = finish(g->epilogue, sum[c] + g->bias[j + c], y[j + c]);
        }
    }
}

static void quantize_row_c(const float *x, int k, int top, uint8_t *q, struct pn_quant_row *ret)
{
    float lo = 0, hi = 0;
    bool nan = false;
    for (int i = 0; i < k; i++) {
        nan |= isnan(x[i]);
        lo = x[i] < lo ? x[i] : lo;
        hi = x[i] > hi ? x[i] : hi;
    }
    size_t padded = (size_t)(k + 3) / 4 * 4;
    float inverse = pn_quant_range(lo, hi, nan, top, ret);
    if (inverse == 0) {
        memset(q, 0, padded);
        return;
    }
    for (int i = 0; i < k; i++) {
        int v = (int)nearbyintf(x[i] * inverse) + ret->zero;
        q[i] = (uint8_t)(v < 0 ? 0 : v > top ? top : v);
    }
    memset(q + k, 0, padded - (size_t)k);
}

void pn_kern_linear_c(struct pn_kern *k)
{
    k->activation_top = 255;
    k->quantize_row = quantize_row_c;
    k->gemm_u8s8 = gemm_u8s8_c;
    k->gemm_f32 = gemm_f32_c;
}
