/* half_avx2.h - rows of halves to f32, for the kernels built with F16C. */
#ifndef PN_NN_X86_HALF_AVX2_H
#define PN_NN_X86_HALF_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline void pn_from_half_avx2(const uint16_t *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(y + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(x + i))));
    if (i < n) {
        uint16_t halves[8] = { 0 };
        float numbers[8];
        memcpy(halves, x + i, (n - i) * sizeof(*x));
        _mm256_storeu_ps(numbers, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)halves)));
        memcpy(y + i, numbers, (n - i) * sizeof(*y));
    }
}

static inline void pn_to_half_avx2(const float *x, uint16_t *y, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(y + i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    if (i < n) {
        uint16_t halves[8];
        float numbers[8] = { 0 };
        memcpy(numbers, x + i, (n - i) * sizeof(*x));
        _mm_storeu_si128((__m128i *)(void *)halves,
                         _mm256_cvtps_ph(_mm256_loadu_ps(numbers), _MM_FROUND_TO_NEAREST_INT));
        memcpy(y + i, halves, (n - i) * sizeof(*y));
    }
}

#endif
