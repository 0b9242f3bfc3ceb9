/* math_avx2.h - exp and gelu of eight floats, for the kernels built with AVX2 and FMA.
 *
 * Every multiply-add is written out, so a value does not depend on what the compiler contracts around it. */
#ifndef PN_NN_X86_MATH_AVX2_H
#define PN_NN_X86_MATH_AVX2_H

#include <immintrin.h>

/* e^x within 2 ulp for x <= 88; larger x give e^88. Below -87.3 (and for -inf) exactly 0; NaN stays NaN. */
static inline __m256 pn_exp_avx2(__m256 x)
{
    const __m256 low = _mm256_set1_ps(-87.3f);
    __m256 keep = _mm256_cmp_ps(x, low, _CMP_NLT_UQ);
    __m256 c = _mm256_min_ps(_mm256_set1_ps(88.0f), _mm256_max_ps(low, x)); /* second operand: NaN */
    __m256 n = _mm256_round_ps(_mm256_mul_ps(c, _mm256_set1_ps(1.44269504f)),
                               _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), c); /* ln 2 in two parts */
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f); /* Cephes expf */
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(0.5f));
    p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, _mm256_set1_ps(1.0f)));
    __m256i e = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127)), 23);
    return _mm256_and_ps(_mm256_mul_ps(p, _mm256_castsi256_ps(e)), keep);
}

/* 0.5 x (1 + erf(x / sqrt 2)) as max(x, 0) - |x| Q(|x|) with the upper tail Q of the normal distribution
 * (Abramowitz and Stegun 7.1.26): the subtrahend is below 0.17, so the error stays below 3e-7 plus half an
 * ulp of x. |x| is cut off at 20, where Q is 0 in f32, so that infinities come out as they should. */
static inline __m256 pn_gelu_avx2(__m256 x)
{
    __m256 a = _mm256_min_ps(_mm256_set1_ps(20.0f), _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x));
    __m256 t = _mm256_div_ps(_mm256_set1_ps(1.0f),
                             _mm256_fmadd_ps(a, _mm256_set1_ps(0.231641888f), _mm256_set1_ps(1.0f)));
    __m256 p = _mm256_set1_ps(0.5f * 1.061405429f);
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.5f * -1.453152027f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.5f * 1.421413741f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.5f * -0.284496736f));
    p = _mm256_fmadd_ps(p, t, _mm256_set1_ps(0.5f * 0.254829592f));
    __m256 e = pn_exp_avx2(_mm256_mul_ps(a, _mm256_mul_ps(a, _mm256_set1_ps(-0.5f))));
    __m256 q = _mm256_mul_ps(_mm256_mul_ps(p, t), e);
    return _mm256_fnmadd_ps(a, q, _mm256_max_ps(_mm256_setzero_ps(), x)); /* NaN again second */
}

#endif
