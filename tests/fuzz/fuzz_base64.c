/* fuzz_base64.c - hostile base64: what is decoded is what a decoder that goes by single bits makes of it. */
#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void check(bool ok)
{
    if (!ok)
        abort();
}

static unsigned bit_of(const uint8_t *text, size_t bit)
{
    const char *at = memchr(ALPHABET, text[bit / 6], 64);
    check(at != NULL);
    return (unsigned)(at - ALPHABET) >> (5 - bit % 6) & 1u;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    unsigned char *out = malloc(pn_base64_room(size)), *in_place = malloc(size + 1);
    size_t n = 0, n2 = 0;
    check(out && in_place);
    if (size > 0)
        memcpy(in_place, data, size);
    int r = pn_base64_decode((struct pn_str){ (const char *)data, size }, out, &n);
    check(r == pn_base64_decode((struct pn_str){ (char *)in_place, size }, in_place, &n2));
    if (r == 0) {
        check(n == n2 && n <= size && (n == 0 || memcmp(out, in_place, n) == 0));
        for (size_t bit = 0; bit < 8 * n; bit++)
            check((out[bit / 8] >> (7 - bit % 8) & 1u) == bit_of(data, bit));
    }
    free(out);
    free(in_place);
    return 0;
}
