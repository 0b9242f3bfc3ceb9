/* half.h - IEEE half precision and f32, without a table or a branch, so that loops of it vectorise. To f32 is
 * exact; from f32 rounds to the nearest, to even at a tie. */
#ifndef PN_NN_HALF_H
#define PN_NN_HALF_H

#include <stdint.h>
#include <string.h>

static inline float pn_f32_of_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t pn_bits_of_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof(bits));
    return bits;
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
    return pn_f32_of_bits(pn_bits_of_f32(f) | (uint32_t)(h & 0x8000) << 16);
}

/* What is below 2^-14 is rounded by adding 1/2, whose last bit is worth as much as the smallest half. From
 * 65520 on it is infinity; what is not a number keeps the top of its payload and is quiet. */
static inline uint16_t pn_f16_of_f32(float f)
{
    uint32_t bits = pn_bits_of_f32(f), magnitude = bits & 0x7fffffff;
    uint32_t tiny = pn_bits_of_f32(pn_f32_of_bits(magnitude) + 0.5f) - (126u << 23);
    uint32_t normal = (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
    uint32_t large = magnitude > 0x7f800000 ? 0x7e00 | (magnitude >> 13 & 0x1ff) : 0x7c00;
    uint32_t h = magnitude < 113u << 23 ? tiny : magnitude < 143u << 23 ? normal : large;
    return (uint16_t)(h | (bits >> 16 & 0x8000));
}

#endif
