/* base64.h - RFC 4648 base64, strictly: the standard alphabet, no blanks, padding right or left out. Pure. */
#ifndef PN_BASE_BASE64_H
#define PN_BASE_BASE64_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

/* Bytes that `n` characters may decode to, at most. */
static inline size_t pn_base64_room(size_t n)
{
    return n / 4 * 3 + 3;
}

/* Decodes into out[0..pn_base64_room(text.len)). 0 and *ret_n, or -PN_EFORMAT. `out` may be text.ptr itself.
 */
PN_MUST_CHECK int pn_base64_decode(struct pn_str text, unsigned char *out, size_t *ret_n);

#endif
