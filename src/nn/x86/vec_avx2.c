/* vec_avx2.c - rows of numbers with AVX2 and FMA. */
#include "nn/kern_levels.h"
#include "nn/x86/softmax_avx2.h"

static float row_mean(size_t n, const float *x)
{
    __m256 sum = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        sum = _mm256_add_ps(sum, _mm256_loadu_ps(x + i));
    sum = _mm256_add_ps(sum, _mm256_maskload_ps(x + i, pn_tail_avx2(n)));
    return pn_sum_avx2(sum) / (float)n;
}

static float row_variance(size_t n, const float *x, float mean)
{
    const __m256i tail = pn_tail_avx2(n);
    __m256 sum = _mm256_setzero_ps(), all = _mm256_set1_ps(mean);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_sub_ps(_mm256_loadu_ps(x + i), all);
        sum = _mm256_fmadd_ps(v, v, sum);
    }
    __m256 v = _mm256_sub_ps(_mm256_maskload_ps(x + i, tail), all);
    v = _mm256_and_ps(v, _mm256_castsi256_ps(tail));
    return pn_sum_avx2(_mm256_fmadd_ps(v, v, sum)) / (float)n;
}

static void layer_norm_row(size_t n, const float *x, const float *gamma, const float *beta, float eps,
                           float *y)
{
    const __m256i tail = pn_tail_avx2(n);
    float mean = row_mean(n, x);
    __m256 scale = _mm256_set1_ps(1 / sqrtf(row_variance(n, x, mean) + eps)), all = _mm256_set1_ps(mean);
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + i), all), scale);
        _mm256_storeu_ps(y + i, _mm256_fmadd_ps(v, _mm256_loadu_ps(gamma + i), _mm256_loadu_ps(beta + i)));
    }
    __m256 v = _mm256_mul_ps(_mm256_sub_ps(_mm256_maskload_ps(x + i, tail), all), scale);
    v = _mm256_fmadd_ps(v, _mm256_maskload_ps(gamma + i, tail), _mm256_maskload_ps(beta + i, tail));
    _mm256_maskstore_ps(y + i, tail, v);
}

static void layer_norm_avx2(int m, int n, const float *x, size_t ldx, const float *gamma, const float *beta,
                            float eps, float *y, size_t ldy)
{
    for (int i = 0; i < m; i++)
        layer_norm_row((size_t)n, x + (size_t)i * ldx, gamma, beta, eps, y + (size_t)i * ldy);
}

static void gelu_avx2(float *x, size_t n)
{
    const __m256i tail = pn_tail_avx2(n);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, pn_gelu_avx2(_mm256_loadu_ps(x + i)));
    _mm256_maskstore_ps(x + i, tail, pn_gelu_avx2(_mm256_maskload_ps(x + i, tail)));
}

static void softmax_avx2(float *x, size_t n)
{
    pn_softmax_avx2(x, n);
}

static float max_avx2(const float *x, size_t n)
{
    return pn_max_avx2(x, n);
}

static float logsumexp_avx2(const float *x, size_t n)
{
    float max = pn_max_avx2(x, n);
    return max == -INFINITY ? max : max + logf(pn_exp_sum_avx2(x, n, max, NULL));
}

static void add_avx2(float *y, const float *x, size_t n)
{
    const __m256i tail = pn_tail_avx2(n);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_add_ps(_mm256_loadu_ps(y + i), _mm256_loadu_ps(x + i)));
    __m256 sum = _mm256_add_ps(_mm256_maskload_ps(y + i, tail), _mm256_maskload_ps(x + i, tail));
    _mm256_maskstore_ps(y + i, tail, sum);
}

void pn_kern_vec_avx2(struct pn_kern *k)
{
    k->layer_norm = layer_norm_avx2;
    k->gelu = gelu_avx2;
    k->softmax = softmax_avx2;
    k->max = max_avx2;
    k->logsumexp = logsumexp_avx2;
    k->add = add_avx2;
}
