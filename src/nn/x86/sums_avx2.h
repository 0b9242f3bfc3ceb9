/* sums_avx2.h - the sums of four registers side by side, for kernels that multiply along a row. */
#ifndef PN_NN_X86_SUMS_AVX2_H
#define PN_NN_X86_SUMS_AVX2_H

#include <immintrin.h>

static inline __m128 pn_sums_avx2(__m256 a, __m256 b, __m256 c, __m256 d)
{
    __m256 ab = _mm256_add_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
    __m256 cd = _mm256_add_ps(_mm256_unpacklo_ps(c, d), _mm256_unpackhi_ps(c, d));
    __m256 low = _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(1, 0, 1, 0));
    __m256 all = _mm256_add_ps(low, _mm256_shuffle_ps(ab, cd, _MM_SHUFFLE(3, 2, 3, 2)));
    return _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps(all, 1));
}

#endif
