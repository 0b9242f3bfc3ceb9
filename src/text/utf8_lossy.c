/* utf8_lossy.c - bytes that should be UTF-8 as text, with U+FFFD for what is malformed. */
#include "text/bpe.h"

/* Bytes of the longest beginning of `s` that could begin a character, at least 1: what one U+FFFD stands for.
 * The second byte's range depends on the first (no overlong forms, no surrogates, nothing past U+10FFFF). */
static size_t maximal_subpart(struct pn_str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t want = p[0] < 0xc2 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 1;
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    size_t n = 1;
    while (n < want && n < s.len && p[n] >= low && p[n] <= high) {
        n++;
        low = 0x80;
        high = 0xbf;
    }
    return n;
}

void pn_utf8_append_lossy(struct pn_buf *out, struct pn_str bytes)
{
    size_t good = 0; /* well-formed bytes at the start of `bytes`, not yet appended */
    while (good < bytes.len) {
        struct pn_str rest = { bytes.ptr + good, bytes.len - good };
        size_t n = pn_utf8_next(rest, NULL);
        if (n > 0) {
            good += n;
            continue;
        }
        pn_buf_append(out, bytes.ptr, good);
        pn_buf_str(out, PN_STR("\xef\xbf\xbd"));
        n = maximal_subpart(rest);
        bytes = (struct pn_str){ rest.ptr + n, rest.len - n };
        good = 0;
    }
    pn_buf_append(out, bytes.ptr, good);
}
