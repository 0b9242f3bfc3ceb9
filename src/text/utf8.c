/* utf8.c - see utf8.h. Pure. */
#include "text/utf8.h"

#include <utf8proc.h>

bool pn_utf8_is_space(uint32_t cp)
{
    return (cp >= 0x09 && cp <= 0x0d) || cp == 0x20 || cp == 0x85 || cp == 0xa0 || cp == 0x1680 ||
           (cp >= 0x2000 && cp <= 0x200a) || cp == 0x2028 || cp == 0x2029 || cp == 0x202f || cp == 0x205f ||
           cp == 0x3000;
}

bool pn_utf8_is_letter(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_LU && c <= UTF8PROC_CATEGORY_LO;
}

int pn_utf8_columns(uint32_t cp)
{
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    int width = utf8proc_charwidth((utf8proc_int32_t)cp);
    bool joiner = cp == 0x200c || cp == 0x200d; /* of Indic and Arabic letters, and of emoji */
    if (c == UTF8PROC_CATEGORY_MN || c == UTF8PROC_CATEGORY_ME || joiner)
        return 0;
    if (c == UTF8PROC_CATEGORY_CC || c == UTF8PROC_CATEGORY_CF || c == UTF8PROC_CATEGORY_CS ||
        c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP)
        return -1;
    return width == 2 ? 2 : 1;
}

static bool is_stripped(uint32_t cp)
{
    return pn_utf8_is_space(cp) || (cp >= 0x1c && cp <= 0x1f);
}

/* Bytes of the white space character that ends `s`; 0 when there is none. */
static size_t space_at_end(struct pn_str s)
{
    for (size_t n = 1; n <= 3 && n <= s.len; n++) {
        uint32_t cp;
        if (pn_utf8_next((struct pn_str){ s.ptr + s.len - n, n }, &cp) == n && is_stripped(cp))
            return n;
    }
    return 0;
}

struct pn_str pn_utf8_strip(struct pn_str s)
{
    uint32_t cp;
    for (size_t n; (n = pn_utf8_next(s, &cp)) > 0 && is_stripped(cp);)
        s = (struct pn_str){ s.ptr + n, s.len - n };
    for (size_t n; (n = space_at_end(s)) > 0;)
        s.len -= n;
    return s;
}
