/* half.h - IEEE half precision to f32, exactly, without a table or a branch, so that loops of it vectorise.
 */
#ifndef PN_MODEL_HALF_H
#define PN_MODEL_HALF_H

#include <stdint.h>
#include <string.h>

static inline float pn_f32_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

/* The exponent is rebased by 112. Zero and the subnormals get one more and have it taken off again as a
 * number, which normalises them without ever making an f32 subnormal (a thread may flush those). */
static inline float pn_f32_of_f16(uint16_t h)
{
    uint32_t magnitude = (uint32_t)(h & 0x7fff) << 13;
    uint32_t exponent = magnitude & (0x7c00u << 13);
    uint32_t special = exponent == 0x7c00u << 13 ? 112u << 23 : 0;
    uint32_t tiny = exponent == 0 ? 1u << 23 : 0;
    float off = pn_f32_of_bits(exponent == 0 ? 113u << 23 : 0);
    float f = pn_f32_of_bits(magnitude + (112u << 23) + special + tiny) - off;
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return pn_f32_of_bits(bits | (uint32_t)(h & 0x8000) << 16);
}

#endif
