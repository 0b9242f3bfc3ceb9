/* half_neon.h - rows of halves to f32 and back with the base instructions of aarch64. */
#ifndef PN_NN_ARM_HALF_NEON_H
#define PN_NN_ARM_HALF_NEON_H

#include <arm_neon.h>
#include <stddef.h>
#include <string.h>

static inline float32x4_t pn_widen_neon(const uint16_t *x)
{
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(x)));
}

static inline void pn_from_half_neon(const uint16_t *x, float *y, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(y + i, pn_widen_neon(x + i));
    if (i < n) {
        uint16_t halves[4] = { 0 };
        float numbers[4];
        memcpy(halves, x + i, (n - i) * sizeof(*x));
        vst1q_f32(numbers, pn_widen_neon(halves));
        memcpy(y + i, numbers, (n - i) * sizeof(*y));
    }
}

static inline void pn_to_half_neon(const float *x, uint16_t *y, size_t n)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u16(y + i, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(x + i))));
    if (i < n) {
        uint16_t halves[4];
        float numbers[4] = { 0 };
        memcpy(numbers, x + i, (n - i) * sizeof(*x));
        vst1_u16(halves, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(numbers))));
        memcpy(y + i, halves, (n - i) * sizeof(*y));
    }
}

#endif
