/* math_neon.h - exp and gelu of four floats and the ends of a product, for the kernels of aarch64.
 *
 * Every multiply-add is written out, so a value does not depend on what the compiler contracts around it. */
#ifndef PN_NN_ARM_MATH_NEON_H
#define PN_NN_ARM_MATH_NEON_H

#include "nn/kern.h"

#include <arm_neon.h>
#include <string.h>

/* Up to four floats; what is missing is `fill`. */
static inline float32x4_t pn_load_neon(const float *x, size_t left, float fill)
{
    if (left >= 4)
        return vld1q_f32(x);
    float t[4] = { fill, fill, fill, fill };
    memcpy(t, x, left * sizeof(float));
    return vld1q_f32(t);
}

/* As many floats of v as are left, up to four. */
static inline void pn_store_neon(float *y, float32x4_t v, size_t left)
{
    if (left >= 4) {
        vst1q_f32(y, v);
        return;
    }
    float t[4];
    vst1q_f32(t, v);
    memcpy(y, t, left * sizeof(float));
}

/* e^x within 2 ulp for x <= 88; larger x give e^88. Below -87.3 (and for -inf) exactly 0; NaN stays NaN. */
static inline float32x4_t pn_exp_neon(float32x4_t x)
{
    const float32x4_t low = vdupq_n_f32(-87.3f);
    uint32x4_t lost = vcltq_f32(x, low);
    float32x4_t c = vminq_f32(vdupq_n_f32(88.0f), vmaxq_f32(low, x));
    float32x4_t n = vrndnq_f32(vmulq_n_f32(c, 1.44269504f));
    float32x4_t r = vfmsq_f32(c, n, vdupq_n_f32(0.693359375f)); /* ln 2 in two parts */
    r = vfmsq_f32(r, n, vdupq_n_f32(-2.12194440e-4f));
    float32x4_t p = vdupq_n_f32(1.9875691500e-4f); /* Cephes expf */
    p = vfmaq_f32(vdupq_n_f32(1.3981999507e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(8.3334519073e-3f), p, r);
    p = vfmaq_f32(vdupq_n_f32(4.1665795894e-2f), p, r);
    p = vfmaq_f32(vdupq_n_f32(1.6666665459e-1f), p, r);
    p = vfmaq_f32(vdupq_n_f32(0.5f), p, r);
    p = vfmaq_f32(vaddq_f32(r, vdupq_n_f32(1.0f)), p, vmulq_f32(r, r));
    int32x4_t e = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(n), vdupq_n_s32(127)), 23);
    float32x4_t y = vmulq_f32(p, vreinterpretq_f32_s32(e));
    return vreinterpretq_f32_u32(vbicq_u32(vreinterpretq_u32_f32(y), lost));
}

/* 0.5 x (1 + erf(x / sqrt 2)) as max(x, 0) - |x| Q(|x|) with the upper tail Q of the normal distribution
 * (Abramowitz and Stegun 7.1.26): the subtrahend is below 0.17, so the error stays below 3e-7 plus half an
 * ulp of x. |x| is cut off at 20, where Q is 0 in f32, so that infinities come out as they should. */
static inline float32x4_t pn_gelu_neon(float32x4_t x)
{
    float32x4_t a = vminq_f32(vdupq_n_f32(20.0f), vabsq_f32(x));
    float32x4_t one = vdupq_n_f32(1.0f);
    float32x4_t t = vdivq_f32(one, vfmaq_f32(one, a, vdupq_n_f32(0.231641888f)));
    float32x4_t p = vdupq_n_f32(0.5f * 1.061405429f);
    p = vfmaq_f32(vdupq_n_f32(0.5f * -1.453152027f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.5f * 1.421413741f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.5f * -0.284496736f), p, t);
    p = vfmaq_f32(vdupq_n_f32(0.5f * 0.254829592f), p, t);
    float32x4_t e = pn_exp_neon(vmulq_f32(a, vmulq_n_f32(a, -0.5f)));
    return vfmsq_f32(vmaxq_f32(vdupq_n_f32(0), x), a, vmulq_f32(vmulq_f32(p, t), e));
}

/* As the entry `softmax` of the table. */
void pn_softmax_neon(float *x, size_t n);

static inline float32x4_t pn_epilogue_neon(float32x4_t v, float32x4_t old, enum pn_epilogue e)
{
    switch (e) {
    case PN_STORE:
        return v;
    case PN_GELU:
        return pn_gelu_neon(v);
    case PN_RELU:
        return vmaxq_f32(vdupq_n_f32(0), v);
    case PN_ADD:
        return vaddq_f32(old, v);
    }
    PN_UNREACHABLE();
}

/* Stores four columns; only `left` of them when that is less. */
static inline void pn_finish_neon(float32x4_t v, float *y, int left, enum pn_epilogue e)
{
    if (left >= 4) {
        vst1q_f32(y, pn_epilogue_neon(v, e == PN_ADD ? vld1q_f32(y) : v, e));
    } else if (left > 0) {
        float t[4] = { 0 };
        memcpy(t, y, (size_t)left * sizeof(float));
        vst1q_f32(t, pn_epilogue_neon(v, vld1q_f32(t), e));
        memcpy(y, t, (size_t)left * sizeof(float));
    }
}

/* Row i, columns [j, j + 64) of an int8 product from sums of (a - 128) w. */
static inline void pn_finish_s8_neon(const struct pn_gemm_u8s8 *g, int i, int j, const int32_t *sum)
{
    int32_t zero = 128 - g->rows[i].zero;
    for (int c = 0; c < PN_PANEL; c += 4) {
        int32x4_t s = vmlaq_n_s32(vld1q_s32(sum + c), vld1q_s32(g->w_sum + j + c), zero);
        float32x4_t scale = vmulq_n_f32(vld1q_f32(g->w_scale + j + c), g->rows[i].scale);
        pn_finish_neon(vfmaq_f32(vld1q_f32(g->bias + j + c), vcvtq_f32_s32(s), scale),
                       g->y + (size_t)i * g->ldy + j + c, g->n_to - j - c, g->epilogue);
    }
}

#endif
