/* store_avx512.h - the last step of a product: epilogue and store of sixteen columns of one row. */
#ifndef PN_NN_X86_STORE_AVX512_H
#define PN_NN_X86_STORE_AVX512_H

#include "base/attr.h"
#include "nn/kern.h"
#include "nn/x86/math_avx512.h"

/* The first `left` lanes, all of them from 16 on. */
static inline __mmask16 pn_tail_mask(int left)
{
    return (__mmask16)(left >= 16 ? 0xffff : (1u << left) - 1);
}

static inline void pn_store_avx512(float *y, __mmask16 mask, __m512 v, enum pn_epilogue e)
{
    switch (e) {
    case PN_STORE:
        break;
    case PN_GELU:
        v = pn_gelu_avx512(v);
        break;
    case PN_RELU:
        v = _mm512_max_ps(v, _mm512_setzero_ps()); /* the second operand where v is not a number, as in C */
        break;
    case PN_ADD:
        v = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, y), v);
        break;
    }
    _mm512_mask_storeu_ps(y, mask, v);
}

#endif
