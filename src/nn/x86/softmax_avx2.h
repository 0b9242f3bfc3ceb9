/* softmax_avx2.h - sums, maximum and softmax of a row, for the kernels built with AVX2 and FMA. */
#ifndef PN_NN_X86_SOFTMAX_AVX2_H
#define PN_NN_X86_SOFTMAX_AVX2_H

#include "nn/x86/math_avx2.h"

#include <math.h>
#include <stddef.h>

static inline float pn_sum_avx2(__m256 x)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

static inline float pn_top_avx2(__m256 x)
{
    __m128 s = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    s = _mm_max_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

/* All bits set in the lanes of the last, partial register of n numbers. */
static inline __m256i pn_tail_avx2(size_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(n % 8)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline float pn_max_avx2(const float *x, size_t n)
{
    const __m256 low = _mm256_set1_ps(-INFINITY);
    __m256 a = low, b = low;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        a = _mm256_max_ps(_mm256_loadu_ps(x + i), a);
        b = _mm256_max_ps(_mm256_loadu_ps(x + i + 8), b);
    }
    for (; i + 8 <= n; i += 8)
        a = _mm256_max_ps(_mm256_loadu_ps(x + i), a);
    __m256i tail = pn_tail_avx2(n);
    __m256 last = _mm256_blendv_ps(low, _mm256_maskload_ps(x + i, tail), _mm256_castsi256_ps(tail));
    return pn_top_avx2(_mm256_max_ps(a, _mm256_max_ps(last, b)));
}

/* The sum of e^(x - max), which go to y unless that is NULL. */
static inline float pn_exp_sum_avx2(const float *x, size_t n, float max, float *y)
{
    const __m256i tail = pn_tail_avx2(n);
    const __m256 top = _mm256_set1_ps(max);
    __m256 a = _mm256_setzero_ps(), b = a;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 e = pn_exp_avx2(_mm256_sub_ps(_mm256_loadu_ps(x + i), top));
        if (y)
            _mm256_storeu_ps(y + i, e);
        __m256 sum = _mm256_add_ps(a, e);
        a = b;
        b = sum;
    }
    __m256 e = pn_exp_avx2(_mm256_sub_ps(_mm256_maskload_ps(x + i, tail), top));
    if (y)
        _mm256_maskstore_ps(y + i, tail, e);
    return pn_sum_avx2(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_and_ps(e, _mm256_castsi256_ps(tail))));
}

static inline void pn_softmax_avx2(float *x, size_t n)
{
    const __m256 scale = _mm256_set1_ps(1 / pn_exp_sum_avx2(x, n, pn_max_avx2(x, n), x));
    const __m256i tail = pn_tail_avx2(n);
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(x + i, _mm256_mul_ps(_mm256_loadu_ps(x + i), scale));
    _mm256_maskstore_ps(x + i, tail, _mm256_mul_ps(_mm256_maskload_ps(x + i, tail), scale));
}

#endif
