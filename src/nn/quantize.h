/* quantize.h - what all versions of quantize_row agree on: scale and zero of a row, from its range. */
#ifndef PN_NN_QUANTIZE_H
#define PN_NN_QUANTIZE_H

#include "nn/kern.h"

#include <math.h>
#include <stdbool.h>

/* `lo` <= 0 <= `hi` bound the row, whose bytes are to lie in 0..top; `nan`: one of it is not a number.
 * Returns 1 / scale, or 0 when all bytes of the row are to be 0: a range below 1e-30 counts as zeros, so that
 * the reciprocal stays finite, and an infinite range makes the row not a number, as `nan` does. */
static inline float pn_quant_range(float lo, float hi, bool nan, int top, struct pn_quant_row *ret)
{
    float scale = (hi - lo) / (float)top;
    if (nan || isnan(scale) || isinf(scale) || scale < 1e-30f) {
        *ret = (struct pn_quant_row){ .scale = scale < 1e-30f && !nan ? 1.0f : NAN, .zero = 0 };
        return 0;
    }
    float inverse = 1.0f / scale;
    *ret = (struct pn_quant_row){ .scale = scale, .zero = (int32_t)nearbyintf(-lo * inverse) };
    return inverse;
}

#endif
