/* sequence_neon.c - memory blocks, LSTM cells and rows of halves with the base instructions of aarch64. */
#include "nn/arm/half_neon.h"
#include "nn/arm/math_neon.h"
#include "nn/kern_levels.h"
#include "nn/memory.h"

#define INLINE static inline __attribute__((always_inline))

static void memory_tile(int taps, const float *w, const float *now, const float *x, float *y, size_t ldy)
{
    for (int c = 0; c < PN_MEMORY_COLUMNS; c += 4) {
        float32x4_t sum[PN_MEMORY_ROWS];
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++)
            sum[r] = vld1q_f32(now + r * PN_MEMORY_COLUMNS + c);
        for (int j = 0; j < taps; j++) {
            float32x4_t f = vld1q_f32(w + j * PN_MEMORY_COLUMNS + c);
            const float *at = x + j * PN_MEMORY_COLUMNS + c;
#pragma GCC unroll 8
            for (int r = 0; r < PN_MEMORY_ROWS; r++)
                sum[r] = vfmaq_f32(sum[r], f, vld1q_f32(at + r * PN_MEMORY_COLUMNS));
        }
#pragma GCC unroll 8
        for (int r = 0; r < PN_MEMORY_ROWS; r++) {
            float *to = y + (size_t)r * ldy + c;
            vst1q_f32(to, vaddq_f32(vld1q_f32(to), sum[r]));
        }
    }
}

static void memory(const struct pn_memory *a)
{
    pn_memory_strips(a, memory_tile);
}

/* ---- cells ---- */

INLINE float32x4_t sigmoid(float32x4_t x)
{
    const float32x4_t one = vdupq_n_f32(1);
    return vdivq_f32(one, vaddq_f32(one, pn_exp_neon(vnegq_f32(x))));
}

INLINE float32x4_t tangent(float32x4_t x)
{
    return vfmaq_n_f32(vdupq_n_f32(-1), sigmoid(vaddq_f32(x, x)), 2);
}

static void lstm_cell(size_t n, const float *gates, float *c, float *h)
{
    for (size_t i = 0; i < n; i += 4) {
        size_t left = n - i;
        float32x4_t in = pn_load_neon(gates + i, left, 0), forget = pn_load_neon(gates + n + i, left, 0);
        float32x4_t new = pn_load_neon(gates + 2 * n + i, left, 0), old = pn_load_neon(c + i, left, 0);
        float32x4_t out = pn_load_neon(gates + 3 * n + i, left, 0);
        float32x4_t cell = vfmaq_f32(vmulq_f32(sigmoid(forget), old), sigmoid(in), tangent(new));
        pn_store_neon(c + i, cell, left);
        pn_store_neon(h + i, vmulq_f32(sigmoid(out), tangent(cell)), left);
    }
}

/* ---- halves ---- */

static void to_half(const float *x, uint16_t *y, size_t n)
{
    pn_to_half_neon(x, y, n);
}

static void from_half(const uint16_t *x, float *y, size_t n)
{
    pn_from_half_neon(x, y, n);
}

void pn_kern_sequence_neon(struct pn_kern *k)
{
    k->memory = memory;
    k->lstm_cell = lstm_cell;
    k->to_half = to_half;
    k->from_half = from_half;
}
