/* vec_neon.c - rows of numbers with the base instructions of aarch64. Long sums are kept in f64, as the
 * portable versions keep them. */
#include "nn/arm/math_neon.h"
#include "nn/kern_levels.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float64x2_t add_f64(float64x2_t sum, float32x4_t v)
{
    sum = vaddq_f64(sum, vcvt_f64_f32(vget_low_f32(v)));
    return vaddq_f64(sum, vcvt_high_f64_f32(v));
}

static double squares(const float *x, size_t n, double mean)
{
    float64x2_t sum = vdupq_n_f64(0), m = vdupq_n_f64(mean);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = pn_load_neon(x + i, n - i, (float)mean);
        float64x2_t a = vsubq_f64(vcvt_f64_f32(vget_low_f32(v)), m);
        float64x2_t b = vsubq_f64(vcvt_high_f64_f32(v), m);
        sum = vfmaq_f64(vfmaq_f64(sum, a, a), b, b);
    }
    return vaddvq_f64(sum);
}

static void layer_norm_row(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                           float *y)
{
    float64x2_t sum = vdupq_n_f64(0);
    for (size_t i = 0; i < n; i += 4)
        sum = add_f64(sum, pn_load_neon(x + i, n - i, 0));
    double mean = vaddvq_f64(sum) / (double)n;
    double scale = 1 / sqrt(squares(x, n, mean) / (double)n + (double)eps);
    float32x4_t mean4 = vdupq_n_f32((float)mean);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = vmulq_n_f32(vsubq_f32(pn_load_neon(x + i, n - i, 0), mean4), (float)scale);
        pn_store_neon(
            y + i, vfmaq_f32(pn_load_neon(beta + i, n - i, 0), v, pn_load_neon(gamma + i, n - i, 0)), n - i);
    }
}

static void layer_norm(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                       float eps, float *y, size_t ldy)
{
    for (int i = 0; i < m; i++)
        layer_norm_row((size_t)n, x + (size_t)i * ldx, gamma, beta, eps, y + (size_t)i * ldy);
}

static void gelu(float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        pn_store_neon(x + i, pn_gelu_neon(pn_load_neon(x + i, n - i, 0)), n - i);
}

static float max(const float *x, size_t n)
{
    float32x4_t m = vdupq_n_f32(-INFINITY);
    for (size_t i = 0; i < n; i += 4)
        m = vmaxnmq_f32(m, pn_load_neon(x + i, n - i, -INFINITY));
    return vmaxvq_f32(m);
}

void pn_softmax_neon(float *x, size_t n)
{
    float32x4_t m = vdupq_n_f32(max(x, n));
    float64x2_t sum = vdupq_n_f64(0);
    for (size_t i = 0; i < n; i += 4) {
        float32x4_t v = pn_exp_neon(vsubq_f32(pn_load_neon(x + i, n - i, -INFINITY), m));
        sum = add_f64(sum, v);
        pn_store_neon(x + i, v, n - i);
    }
    float scale = (float)(1 / vaddvq_f64(sum));
    for (size_t i = 0; i < n; i += 4)
        pn_store_neon(x + i, vmulq_n_f32(pn_load_neon(x + i, n - i, 0), scale), n - i);
}

static float logsumexp(const float *x, size_t n)
{
    float m = max(x, n);
    if (m == -INFINITY)
        return m;
    float64x2_t sum = vdupq_n_f64(0);
    for (size_t i = 0; i < n; i += 4)
        sum = add_f64(sum, pn_exp_neon(vsubq_f32(pn_load_neon(x + i, n - i, -INFINITY), vdupq_n_f32(m))));
    return m + (float)log(vaddvq_f64(sum));
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        pn_store_neon(y + i, vaddq_f32(pn_load_neon(y + i, n - i, 0), pn_load_neon(x + i, n - i, 0)), n - i);
}

void pn_kern_vec_neon(struct pn_kern *k)
{
    k->layer_norm = layer_norm;
    k->gelu = gelu;
    k->softmax = pn_softmax_neon;
    k->max = max;
    k->logsumexp = logsumexp;
    k->add = add;
}
