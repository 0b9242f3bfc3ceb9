/* store_avx2.h - what products of both types share: the last step, epilogue and store of eight columns of one
 * row, and how rows are shared out. */
#ifndef PN_NN_X86_STORE_AVX2_H
#define PN_NN_X86_STORE_AVX2_H

#include "base/attr.h"
#include "nn/kern.h"
#include "nn/x86/math_avx2.h"

#define PN_AVX2_INLINE static inline __attribute__((always_inline))

/* The first `left` of eight lanes. */
PN_AVX2_INLINE __m256i pn_lanes_avx2(int left)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(left), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

PN_AVX2_INLINE __m256 pn_epilogue_avx2(__m256 v, __m256 old, enum pn_epilogue e)
{
    switch (e) {
    case PN_STORE:
        return v;
    case PN_GELU:
        return pn_gelu_avx2(v);
    case PN_RELU:
        return _mm256_max_ps(_mm256_setzero_ps(), v); /* NaN stays: it is the second operand */
    case PN_ADD:
        return _mm256_add_ps(old, v);
    }
    PN_UNREACHABLE();
}

/* `left` columns of y are still wanted; any more than eight are the next call's. */
PN_AVX2_INLINE void pn_store8_avx2(__m256 v, float *y, int left, enum pn_epilogue e)
{
    if (left >= 8) {
        _mm256_storeu_ps(y, pn_epilogue_avx2(v, e == PN_ADD ? _mm256_loadu_ps(y) : v, e));
    } else if (left > 0) {
        __m256i mask = pn_lanes_avx2(left);
        _mm256_maskstore_ps(y, mask, pn_epilogue_avx2(v, e == PN_ADD ? _mm256_maskload_ps(y, mask) : v, e));
    }
}

/* How many of `left` rows the next tile takes, so that the fewest tiles do, as equal as can be. */
PN_AVX2_INLINE int pn_tile_rows(int left, int most)
{
    int tiles = (left + most - 1) / most;
    return (left + tiles - 1) / tiles;
}

#endif
