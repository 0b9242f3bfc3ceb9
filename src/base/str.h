/* str.h - slices that carry their length, and strict number parsing. */
#ifndef PN_BASE_STR_H
#define PN_BASE_STR_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pn_str {
    const char *ptr; /* borrowed, not NUL-terminated; may be NULL when len is 0 */
    size_t len;
};

#define PN_STR(literal) ((struct pn_str){ "" literal, sizeof(literal) - 1 })

struct pn_str pn_str(const char *cstr); /* NULL gives the empty slice */
bool pn_str_eq(struct pn_str a, struct pn_str b);
bool pn_str_ieq(struct pn_str a, struct pn_str b); /* ASCII case folded */
bool pn_str_is(struct pn_str a, const char *cstr);
/* Without spaces and tabs (and CR, LF) at both ends. */
struct pn_str pn_str_trim(struct pn_str s);
/* Copies into dst with a NUL; -PN_ELIMIT (dst untouched) if it does not fit or holds a NUL byte. */
PN_MUST_CHECK int pn_str_copy(char *dst, size_t cap, struct pn_str s);

/* Length in bytes (1 to 4) of the well-formed UTF-8 character at the start of `s`, and its code point;
 * 0 for an empty slice or a byte that starts none (surrogates and overlong forms are none). `ret` may be
 * NULL. */
size_t pn_utf8_next(struct pn_str s, uint32_t *ret);

/* The whole slice, decimal, in [min, max]: no spaces, no '+', no locale. 0 or -PN_EINVAL. */
PN_MUST_CHECK int pn_parse_i64(struct pn_str s, int64_t min, int64_t max, int64_t *ret);
PN_MUST_CHECK int pn_parse_f64(struct pn_str s, double min, double max, double *ret);
/* true/false, 1/0, yes/no, on/off in any case. */
PN_MUST_CHECK int pn_parse_bool(struct pn_str s, bool *ret);
/* The fewest digits (at most 17) that read back equal, never the locale: "0.1", "1", "1e+20"; "nan", "inf",
 * "-inf". */
void pn_format_f64(double v, char out[32]);

#endif
