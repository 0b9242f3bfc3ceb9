/* str.c - see str.h.
 *
 * Numbers are checked against their grammar before any C library function sees them, so that neither the
 * locale nor an extension ("0x", "inf", leading spaces) of strtod can change what a setting means. */
#include "base/str.h"

#include "base/error.h"

#include <errno.h>
#include <float.h>
#include <locale.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct pn_str pn_str(const char *cstr)
{
    return (struct pn_str){ cstr, cstr ? strlen(cstr) : 0 };
}

bool pn_str_eq(struct pn_str a, struct pn_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static unsigned char fold(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

static bool folded_eq(const char *a, const char *b, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (fold(a[i]) != fold(b[i]))
            return false;
    return true;
}

bool pn_str_ieq(struct pn_str a, struct pn_str b)
{
    return a.len == b.len && folded_eq(a.ptr, b.ptr, a.len);
}

bool pn_str_is(struct pn_str a, const char *cstr)
{
    return pn_str_eq(a, pn_str(cstr));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct pn_str pn_str_trim(struct pn_str s)
{
    while (s.len > 0 && is_space(s.ptr[0]))
        s = (struct pn_str){ s.ptr + 1, s.len - 1 };
    while (s.len > 0 && is_space(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

int pn_str_copy(char *dst, size_t cap, struct pn_str s)
{
    if (s.len >= cap || (s.len > 0 && memchr(s.ptr, 0, s.len)))
        return -PN_ELIMIT;
    if (s.len > 0)
        memcpy(dst, s.ptr, s.len);
    dst[s.len] = 0;
    return 0;
}

/* Bytes of the character that `lead` starts, the payload bits of `lead`, and the least code point that needs
 * so many bytes (RFC 3629). */
static size_t utf8_lead(unsigned char lead, uint32_t *bits, uint32_t *least)
{
    static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
    size_t n = lead < 0x80 ? 1 : lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    static const unsigned char MASK[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
    *bits = lead & MASK[n];
    *least = LEAST[n];
    return n;
}

size_t pn_utf8_next(struct pn_str s, uint32_t *ret)
{
    if (s.len == 0)
        return 0;
    uint32_t cp, least;
    size_t n = utf8_lead((unsigned char)s.ptr[0], &cp, &least);
    if (n == 0 || n > s.len)
        return 0;
    for (size_t i = 1; i < n; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if ((c & 0xc0) != 0x80)
            return 0;
        cp = cp << 6 | (c & 0x3f);
    }
    if (cp < least || cp > 0x10ffff || (cp >= 0xd800 && cp < 0xe000))
        return 0;
    if (ret)
        *ret = cp;
    return n;
}

int pn_parse_i64(struct pn_str s, int64_t min, int64_t max, int64_t *ret)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    if (i == s.len)
        return -PN_EINVAL;
    int64_t v = 0;
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return -PN_EINVAL;
        int64_t digit = s.ptr[i] - '0';
        /* Grows downwards for negative numbers, so that INT64_MIN needs no special case. */
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return -PN_EINVAL;
    }
    if (v < min || v > max)
        return -PN_EINVAL;
    *ret = v;
    return 0;
}

static locale_t c_locale;

static void make_c_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

/* The "C" locale; 0 (the caller's own locale) only if there was no memory for it. */
static locale_t get_c_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, make_c_locale);
    return c_locale;
}

static size_t skip_digits(struct pn_str s, size_t i)
{
    while (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        i++;
    return i;
}

/* [-]digits[.digits][(e|E)[+-]digits] */
static bool looks_like_f64(struct pn_str s)
{
    size_t i = s.len > 0 && s.ptr[0] == '-' ? 1 : 0, from = i;
    i = skip_digits(s, from);
    if (i == from)
        return false;
    if (i < s.len && s.ptr[i] == '.') {
        from = i + 1;
        i = skip_digits(s, from);
        if (i == from)
            return false;
    }
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        from = i + 1;
        if (from < s.len && (s.ptr[from] == '+' || s.ptr[from] == '-'))
            from++;
        i = skip_digits(s, from);
        if (i == from)
            return false;
    }
    return i == s.len;
}

static double to_f64(const char *text)
{
    locale_t c = get_c_locale();
    return c ? strtod_l(text, NULL, c) : strtod(text, NULL);
}

int pn_parse_f64(struct pn_str s, double min, double max, double *ret)
{
    char text[64];
    if (!looks_like_f64(s) || pn_str_copy(text, sizeof(text), s) < 0)
        return -PN_EINVAL;
    double v = to_f64(text);
    if (!isfinite(v) || v < min || v > max)
        return -PN_EINVAL;
    *ret = v;
    return 0;
}

int pn_parse_bool(struct pn_str s, bool *ret)
{
    static const char *const YES[] = { "true", "1", "yes", "on" };
    static const char *const NO[] = { "false", "0", "no", "off" };
    for (size_t i = 0; i < PN_ARRAY_LEN(YES); i++) {
        bool yes = pn_str_ieq(s, pn_str(YES[i]));
        if (yes || pn_str_ieq(s, pn_str(NO[i]))) {
            *ret = yes;
            return 0;
        }
    }
    return -PN_EINVAL;
}

void pn_format_f64(double v, char out[32])
{
    if (!isfinite(v)) {
        snprintf(out, 32, "%s", isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
        return;
    }
    locale_t c = get_c_locale(), old = c ? uselocale(c) : (locale_t)0;
    /* Fifteen digits always carry a short decimal through a normal number; denormals carry fewer. */
    int digits = v != 0 && fabs(v) < DBL_MIN ? 1 : DBL_DIG;
    do
        snprintf(out, 32, "%.*g", digits, v);
    while (strtod(out, NULL) != v && ++digits <= DBL_DECIMAL_DIG);
    if (c)
        uselocale(old);
}
