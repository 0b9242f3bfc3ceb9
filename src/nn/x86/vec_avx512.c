/* vec_avx512.c - rows of numbers with AVX-512. */
#include "nn/kern_levels.h"
#include "nn/x86/math_avx512.h"
#include "nn/x86/softmax_avx512.h"

static float row_mean(size_t n, const float *x)
{
    const __mmask16 tail = pn_tail_avx512(n);
    __m512 sum = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + i));
    sum = _mm512_add_ps(sum, _mm512_maskz_loadu_ps(tail, x + i));
    return _mm512_reduce_add_ps(sum) / (float)n;
}

static float row_variance(size_t n, const float *x, float mean)
{
    const __mmask16 tail = pn_tail_avx512(n);
    __m512 sum = _mm512_setzero_ps(), all = _mm512_set1_ps(mean);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_sub_ps(_mm512_loadu_ps(x + i), all);
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    __m512 v = _mm512_maskz_sub_ps(tail, _mm512_maskz_loadu_ps(tail, x + i), all);
    return _mm512_reduce_add_ps(_mm512_fmadd_ps(v, v, sum)) / (float)n;
}

static void layer_norm_row(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                           float *y)
{
    const __mmask16 tail = pn_tail_avx512(n);
    float mean = row_mean(n, x);
    __m512 scale = _mm512_set1_ps(1 / sqrtf(row_variance(n, x, mean) + eps)), all = _mm512_set1_ps(mean);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(x + i), all), scale);
        _mm512_storeu_ps(y + i, _mm512_fmadd_ps(v, _mm512_loadu_ps(gamma + i), _mm512_loadu_ps(beta + i)));
    }
    __m512 v = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(tail, x + i), all), scale);
    v = _mm512_fmadd_ps(v, _mm512_maskz_loadu_ps(tail, gamma + i), _mm512_maskz_loadu_ps(tail, beta + i));
    _mm512_mask_storeu_ps(y + i, tail, v);
}

static void layer_norm_avx512(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                              float eps, float *y, size_t ldy)
{
    for (int i = 0; i < m; i++)
        layer_norm_row((size_t)n, x + (size_t)i * ldx, gamma, beta, eps, y + (size_t)i * ldy);
}

static void gelu_avx512(float *x, size_t n)
{
    const __mmask16 tail = pn_tail_avx512(n);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, pn_gelu_avx512(_mm512_loadu_ps(x + i)));
    _mm512_mask_storeu_ps(x + i, tail, pn_gelu_avx512(_mm512_maskz_loadu_ps(tail, x + i)));
}

static void softmax_avx512(float *x, size_t n)
{
    pn_softmax_avx512(x, n);
}

static float max_avx512(const float *x, size_t n)
{
    return pn_max_avx512(x, n);
}

/* Four sums: a vocabulary of probabilities is mostly far smaller than its sum. */
static float logsumexp_avx512(const float *x, size_t n)
{
    float max = pn_max_avx512(x, n);
    if (max == -INFINITY)
        return max;
    const __mmask16 tail = pn_tail_avx512(n);
    __m512 sum[4] = { _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps() };
    const __m512 top = _mm512_set1_ps(max);
    size_t i = 0;
    for (; i + 64 <= n; i += 64)
        for (size_t z = 0; z < 4; z++)
            sum[z] = _mm512_add_ps(sum[z], pn_exp_below_avx512(_mm512_loadu_ps(x + i + z * 16), top));
    for (; i + 16 <= n; i += 16)
        sum[0] = _mm512_add_ps(sum[0], pn_exp_below_avx512(_mm512_loadu_ps(x + i), top));
    __m512 last = pn_exp_below_avx512(_mm512_maskz_loadu_ps(tail, x + i), top);
    sum[1] = _mm512_mask_add_ps(sum[1], tail, sum[1], last);
    sum[0] = _mm512_add_ps(_mm512_add_ps(sum[0], sum[1]), _mm512_add_ps(sum[2], sum[3]));
    return max + logf(_mm512_reduce_add_ps(sum[0]));
}

static void add_avx512(float *y, const float *x, size_t n)
{
    const __mmask16 tail = pn_tail_avx512(n);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(y + i, _mm512_add_ps(_mm512_loadu_ps(y + i), _mm512_loadu_ps(x + i)));
    __m512 sum = _mm512_add_ps(_mm512_maskz_loadu_ps(tail, y + i), _mm512_maskz_loadu_ps(tail, x + i));
    _mm512_mask_storeu_ps(y + i, tail, sum);
}

void pn_kern_vec_avx512(struct pn_kern *k)
{
    k->layer_norm = layer_norm_avx512;
    k->gelu = gelu_avx512;
    k->softmax = softmax_avx512;
    k->max = max_avx512;
    k->logsumexp = logsumexp_avx512;
    k->add = add_avx512;
}
