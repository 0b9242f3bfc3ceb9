/* softmax_avx512.h - 2^t, and maximum and softmax of a row, for the kernels built with AVX-512. */
#ifndef PN_NN_X86_SOFTMAX_AVX512_H
#define PN_NN_X86_SOFTMAX_AVX512_H

#include <immintrin.h>
#include <math.h>
#include <stddef.h>

/* 2^t within 1e-7 of its value for finite t; 0 far below. */
static inline __m512 pn_exp2_avx512(__m512 t)
{
    __m512 f = _mm512_reduce_ps(t, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    __m512 p = _mm512_set1_ps(1.877576700e-3f);
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(8.989340024e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.582631812e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(2.401536170e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(6.931530732e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(9.999999251e-1f));
    return _mm512_scalef_ps(p, t);
}

/* e^(x - max) for x <= max, -inf included; NaN stays (it is the second operand of the maximum). */
static inline __m512 pn_exp_below_avx512(__m512 x, __m512 max)
{
    __m512 t = _mm512_mul_ps(_mm512_sub_ps(x, max), _mm512_set1_ps(1.44269504f));
    return pn_exp2_avx512(_mm512_max_ps(_mm512_set1_ps(-1000), t));
}

/* Lanes of the last, partial register of n numbers. */
static inline __mmask16 pn_tail_avx512(size_t n)
{
    return (__mmask16)((1u << (n % 16)) - 1);
}

static inline float pn_max_avx512(const float *x, size_t n)
{
    __m512 a = _mm512_set1_ps(-INFINITY), b = a;
    size_t i = 0;
    for (; i + 32 <= n; i += 32) {
        a = _mm512_max_ps(_mm512_loadu_ps(x + i), a);
        b = _mm512_max_ps(_mm512_loadu_ps(x + i + 16), b);
    }
    for (; i + 16 <= n; i += 16)
        a = _mm512_max_ps(_mm512_loadu_ps(x + i), a);
    __mmask16 tail = pn_tail_avx512(n);
    b = _mm512_mask_max_ps(b, tail, _mm512_maskz_loadu_ps(tail, x + i), b);
    return _mm512_reduce_max_ps(_mm512_max_ps(a, b));
}

static inline void pn_softmax_avx512(float *x, size_t n)
{
    const __m512 max = _mm512_set1_ps(pn_max_avx512(x, n));
    const __mmask16 tail = pn_tail_avx512(n);
    __m512 sum = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        __m512 e = pn_exp_below_avx512(_mm512_loadu_ps(x + i), max);
        _mm512_storeu_ps(x + i, e);
        sum = _mm512_add_ps(sum, e);
    }
    __m512 e = pn_exp_below_avx512(_mm512_maskz_loadu_ps(tail, x + i), max);
    _mm512_mask_storeu_ps(x + i, tail, e);
    sum = _mm512_mask_add_ps(sum, tail, sum, e);
    const __m512 scale = _mm512_set1_ps(1 / _mm512_reduce_add_ps(sum));
    for (i = 0; i + 16 <= n; i += 16)
        _mm512_storeu_ps(x + i, _mm512_mul_ps(_mm512_loadu_ps(x + i), scale));
    _mm512_mask_storeu_ps(x + i, tail, _mm512_mul_ps(_mm512_maskz_loadu_ps(tail, x + i), scale));
}

#endif
