/* tensor_blocks.c - see tensor_blocks.h.
 *
 * q4_0 {d, nibbles} (n - 8) d; q4_1 {d, m, nibbles} n d + m; q5_0 {d, high bits, nibbles} (n - 16) d;
 * q5_1 {d, m, high bits, nibbles} n d + m; q8_0 {d, 32 x s8} q d. d and m are f16. Element j < 16 is the low
 * nibble of byte j, element j + 16 the high one; bit j of the high bits is the fifth bit of element j. */
#include "model/tensor_blocks.h"

#include "nn/half.h"

size_t pn_block_size(enum pn_dtype t)
{
    switch (t) {
    case PN_DT_Q4_0:
        return 18;
    case PN_DT_Q4_1:
        return 20;
    case PN_DT_Q5_0:
        return 22;
    case PN_DT_Q5_1:
        return 24;
    case PN_DT_Q8_0:
        return 34;
    case PN_DT_F32:
    case PN_DT_F16:
    case PN_DT_BF16:
    case PN_DT_F64:
    case PN_DT_I8:
    case PN_DT_I32:
    case PN_DT_I64:
        return 0;
    }
    PN_UNREACHABLE();
}

static float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof(h));
    return pn_f32_of_f16(h);
}

static uint32_t word_at(const uint8_t *p)
{
    uint32_t w;
    memcpy(&w, p, sizeof(w));
    return w;
}

/* (n - zero) d + m over 16 bytes of nibbles and, for five-bit types, the high bits. */
static void nibbles(const uint8_t *q, uint32_t high, int zero, float d, float m, float *out)
{
    for (int j = 0; j < PN_BLOCK / 2; j++) {
        int low = (q[j] & 15) | (int)(high >> j & 1) << 4;
        int up = q[j] >> 4 | (int)(high >> (j + 16) & 1) << 4;
        out[j] = (float)(low - zero) * d + m;
        out[j + 16] = (float)(up - zero) * d + m;
    }
}

static void block_f32(enum pn_dtype t, const uint8_t *b, float *out)
{
    float d = half_at(b);
    switch (t) {
    case PN_DT_Q4_0:
        nibbles(b + 2, 0, 8, d, 0, out);
        return;
    case PN_DT_Q4_1:
        nibbles(b + 4, 0, 0, d, half_at(b + 2), out);
        return;
    case PN_DT_Q5_0:
        nibbles(b + 6, word_at(b + 2), 16, d, 0, out);
        return;
    case PN_DT_Q5_1:
        nibbles(b + 8, word_at(b + 4), 0, d, half_at(b + 2), out);
        return;
    case PN_DT_Q8_0:
        for (int j = 0; j < PN_BLOCK; j++)
            out[j] = (float)(int8_t)b[2 + j] * d;
        return;
    case PN_DT_F32:
    case PN_DT_F16:
    case PN_DT_BF16:
    case PN_DT_F64:
    case PN_DT_I8:
    case PN_DT_I32:
    case PN_DT_I64:
        break;
    }
    PN_UNREACHABLE();
}

void pn_blocks_f32(enum pn_dtype t, const void *src, size_t n, float *out)
{
    const uint8_t *b = src;
    for (size_t i = 0; i < n; i++)
        block_f32(t, b + i * pn_block_size(t), out + i * PN_BLOCK);
}
