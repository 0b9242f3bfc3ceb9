/* half_avx512.h - rows of halves to f32 and back, for the kernels built with AVX-512. */
#ifndef PN_NN_X86_HALF_AVX512_H
#define PN_NN_X86_HALF_AVX512_H

#include "nn/x86/softmax_avx512.h"

#include <stdint.h>

static inline void pn_from_half_avx512(const uint16_t *x, float *y, size_t n)
{
    const __mmask16 tail = pn_tail_avx512(n);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm512_storeu_ps(y + i, _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)(x + i))));
    if (tail)
        _mm512_mask_storeu_ps(y + i, tail, _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(tail, x + i)));
}

static inline void pn_to_half_avx512(const float *x, uint16_t *y, size_t n)
{
    const __mmask16 tail = pn_tail_avx512(n);
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        _mm256_storeu_si256((__m256i *)(void *)(y + i),
                            _mm512_cvtps_ph(_mm512_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    if (tail)
        _mm256_mask_storeu_epi16(
            y + i, tail, _mm512_cvtps_ph(_mm512_maskz_loadu_ps(tail, x + i), _MM_FROUND_TO_NEAREST_INT));
}

#endif
