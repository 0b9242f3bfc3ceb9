/* math_avx512.h - exp and gelu of sixteen floats, for the kernels built with AVX-512.
 *
 * Every multiply-add is written out, so a value does not depend on what the compiler contracts around it. */
#ifndef PN_NN_X86_MATH_AVX512_H
#define PN_NN_X86_MATH_AVX512_H

#include <immintrin.h>

/* e^x within 2 ulp for x <= 88; larger x give e^88. Below -87.3 (and for -inf) exactly 0; NaN stays NaN. */
static inline __m512 pn_exp_avx512(__m512 x)
{
    const __m512 low = _mm512_set1_ps(-87.3f);
    __mmask16 keep = _mm512_cmp_ps_mask(x, low, _CMP_NLT_UQ);
    __m512 c = _mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_max_ps(low, x)); /* second operand: NaN */
    __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(c, _mm512_set1_ps(1.44269504f)),
                                    _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), c); /* ln 2 in two parts */
    r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f); /* Cephes expf */
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(0.5f));
    p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
    return _mm512_maskz_scalef_ps(keep, p, n);
}

/* 0.5 x (1 + erf(x / sqrt 2)) as max(x, 0) - |x| Q(|x|), Q the upper tail of the normal distribution: the
 * subtrahend is below 0.17, so the error stays below 5e-7 plus half an ulp of x. Q is the interpolation at
 * the Chebyshev nodes of [0, 5.25], a polynomial in t = |x| / 2.625 - 1; above, |x| Q(|x|) is below 8e-7 and
 * its value at 5.25 is taken off. */
static inline __m512 pn_gelu_avx512(__m512 x)
{
    __m512 a = _mm512_min_ps(_mm512_set1_ps(5.25f), _mm512_abs_ps(x)); /* second operand: NaN */
    __m512 t = _mm512_fmsub_ps(a, _mm512_set1_ps(2.0f / 5.25f), _mm512_set1_ps(1.0f));
    __m512 q = _mm512_set1_ps(-0.00420102151f);
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.00589126348f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.01845989f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0377507545f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0180881079f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.0987576544f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0622236282f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0957598463f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.196312249f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0976576135f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.120907582f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.257111251f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.225950778f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.115075655f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(-0.0334010348f));
    q = _mm512_fmadd_ps(q, t, _mm512_set1_ps(0.00433245767f));
    return _mm512_fnmadd_ps(a, q, _mm512_max_ps(_mm512_setzero_ps(), x));
}

#endif
