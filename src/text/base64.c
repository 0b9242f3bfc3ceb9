/* base64.c - see base64.h. Pure. */
#include "text/base64.h"

static int digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Digits before the padding, or -1 when it is malformed. */
static ptrdiff_t count_digits(struct pn_str text)
{
    size_t n = text.len;
    if (n % 4 != 0)
        return -1;
    while (n > 0 && text.len - n < 2 && text.ptr[n - 1] == '=')
        n--;
    for (size_t i = 0; i < n; i++)
        if (digit(text.ptr[i]) < 0)
            return -1;
    return (ptrdiff_t)n;
}

int pn_base64_decode(struct pn_str text, struct pn_buf *out)
{
    ptrdiff_t n = count_digits(text);
    if (n < 0)
        return -PN_EFORMAT;
    unsigned bits = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        bits = bits << 6 | (unsigned)digit(text.ptr[i]);
        if (i % 4 > 0)
            pn_buf_putc(out, (char)(unsigned char)(bits >> (6 - 2 * (i % 4))));
    }
    return 0;
}
