/* base64.c - see base64.h. Bits behind the last byte may be anything, as in most decoders. */
#include "base/base64.h"

#include <stdint.h>

/* The digit's value and 1; 0: it is none. */
static const unsigned char DIGIT[256] = {
    ['A'] = 1, 2,  3,  4,  5,          6,  7,  8,  9,  10, 11,         12, 13, 14, 15,         16,
    17,        18, 19, 20, 21,         22, 23, 24, 25, 26, ['a'] = 27, 28, 29, 30, 31,         32,
    33,        34, 35, 36, 37,         38, 39, 40, 41, 42, 43,         44, 45, 46, 47,         48,
    49,        50, 51, 52, ['0'] = 53, 54, 55, 56, 57, 58, 59,         60, 61, 62, ['+'] = 63, ['/'] = 64
};

/* Above 63 for what is no digit. */
static uint32_t value(char c)
{
    return DIGIT[(unsigned char)c] - 1u;
}

/* Digits before the padding; -PN_EFORMAT when that is malformed. */
static int count_digits(struct pn_str text, size_t *ret)
{
    size_t n = text.len;
    while (n > 0 && text.len - n < 2 && text.ptr[n - 1] == '=')
        n--;
    bool padded = n < text.len;
    if ((padded && text.len % 4 != 0) || n % 4 == 1)
        return -PN_EFORMAT;
    *ret = n;
    return 0;
}

/* The last two or three digits. */
static int decode_rest(const char *in, size_t n, unsigned char *out)
{
    uint32_t a = value(in[0]), b = value(in[1]), c = n > 2 ? value(in[2]) : 0;
    if ((a | b | c) > 63)
        return -PN_EFORMAT;
    out[0] = (unsigned char)(a << 2 | b >> 4);
    if (n > 2)
        out[1] = (unsigned char)(b << 4 | c >> 2);
    return 0;
}

int pn_base64_decode(struct pn_str text, unsigned char *out, size_t *ret_n)
{
    size_t n, i = 0, to = 0;
    if (count_digits(text, &n) < 0)
        return -PN_EFORMAT;
    for (; n - i >= 4; i += 4, to += 3) { /* reads before it writes: `out` may be the text */
        const char *in = text.ptr + i;
        uint32_t a = value(in[0]), b = value(in[1]), c = value(in[2]), d = value(in[3]);
        if ((a | b | c | d) > 63)
            return -PN_EFORMAT;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        out[to] = (unsigned char)(bits >> 16);
        out[to + 1] = (unsigned char)(bits >> 8);
        out[to + 2] = (unsigned char)bits;
    }
    if (i < n && decode_rest(text.ptr + i, n - i, out + to) < 0)
        return -PN_EFORMAT;
    *ret_n = to + (i < n ? n - i - 1 : 0);
    return 0;
}
