/* spoken.c - see spoken.h. Pure. */
#include "text/spoken.h"

#include "text/utf8.h"

#include <string.h>

enum kind {
    BLANK,
    POINT, /* ASCII's marks: may stand inside a word (3.14) */
    MARK,
    CHARACTER, /* a word by itself */
    LETTER
};
#define BIT(kind) (1u << (kind))
enum { AROUND = BIT(BLANK) | BIT(POINT) | BIT(MARK), MARKS = BIT(POINT) | BIT(MARK) };

static bool in_range(uint32_t cp, uint32_t first, uint32_t last)
{
    return cp >= first && cp <= last;
}

/* Apostrophe, hyphen and the like are letters here. */
static bool is_point(uint32_t cp)
{
    return cp > 0 && cp < 0x80 && strchr("!\"(),.:;?[]{}", (int)cp) != NULL;
}

static bool is_mark(uint32_t cp)
{
    return in_range(cp, 0x2010, 0x2027) || in_range(cp, 0x3001, 0x3002) || in_range(cp, 0x3008, 0x301f) ||
           cp == 0x30fb || in_range(cp, 0xff01, 0xff0f) || in_range(cp, 0xff1a, 0xff20) || cp == 0xa1 ||
           cp == 0xbf || cp == 0xab || cp == 0xbb;
}

/* Han, kana, their half-width forms. */
static bool is_character(uint32_t cp)
{
    return in_range(cp, 0x2e80, 0x2fdf) || in_range(cp, 0x3005, 0x3007) || in_range(cp, 0x3040, 0x30ff) ||
           in_range(cp, 0x31f0, 0x31ff) || in_range(cp, 0x3400, 0x4dbf) || in_range(cp, 0x4e00, 0x9fff) ||
           in_range(cp, 0xf900, 0xfaff) || in_range(cp, 0xff66, 0xff9d) || in_range(cp, 0x20000, 0x3ffff);
}

/* The kind of the character that `s` begins with and its length in bytes; s is not empty. */
static enum kind kind_at(struct pn_str s, size_t *ret_len)
{
    uint32_t cp = 0;
    size_t n = pn_utf8_next(s, &cp);
    *ret_len = n ? n : 1;
    if (n == 0)
        return LETTER;
    if (pn_utf8_is_space(cp))
        return BLANK;
    if (is_point(cp))
        return POINT;
    return is_mark(cp) ? MARK : is_character(cp) ? CHARACTER : LETTER;
}

static struct pn_str from(struct pn_str s, size_t at)
{
    return (struct pn_str){ s.ptr + at, s.len - at };
}

/* Bytes of the run at `at` whose kinds are in `kinds` (bits). */
static size_t run_length(struct pn_str s, size_t at, unsigned kinds)
{
    size_t start = at, n;
    while (at < s.len && (kinds & BIT(kind_at(from(s, at), &n))))
        at += n;
    return at - start;
}

struct pn_str pn_spoken_next(struct pn_str *rest)
{
    struct pn_str s = *rest;
    size_t n, at = run_length(s, 0, AROUND);
    if (at < s.len)
        at += kind_at(from(s, at), &n) == CHARACTER ? n : run_length(s, at, BIT(LETTER) | BIT(POINT));
    at += run_length(s, at, MARKS);
    *rest = from(s, at);
    return (struct pn_str){ s.ptr, at };
}

struct pn_str pn_spoken_core(struct pn_str word)
{
    struct pn_str s = from(word, run_length(word, 0, AROUND));
    size_t end = 0, n;
    for (size_t at = 0; at < s.len; at += n) {
        enum kind k = kind_at(from(s, at), &n);
        if (k == CHARACTER || k == LETTER)
            end = at + n;
    }
    s.len = end;
    return s;
}

size_t pn_spoken_count(struct pn_str text)
{
    size_t n = 0;
    while (text.len)
        n += pn_spoken_core(pn_spoken_next(&text)).len > 0;
    return n;
}

bool pn_spoken_same(struct pn_str a, struct pn_str b)
{
    return pn_str_ieq(pn_spoken_core(a), pn_spoken_core(b));
}

/* ---- joining ---- */

/* The last character of `s`, which is not empty, and where it begins. */
static enum kind last_kind(struct pn_str s)
{
    size_t at = s.len - 1, n;
    while (at > 0 && s.len - at < 4 && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
        at--;
    return kind_at(from(s, at), &n);
}

static bool blank_between(struct pn_str left, struct pn_str right)
{
    if (left.len == 0 || right.len == 0)
        return false;
    size_t n;
    enum kind l = last_kind(left), r = kind_at(right, &n);
    bool opens = r == POINT && strchr("\"([{", right.ptr[0]);
    return (l == LETTER || l == POINT) && (r == LETTER || opens);
}

void pn_spoken_join(struct pn_buf *out, struct pn_str piece)
{
    if (blank_between((struct pn_str){ out->ptr, out->len }, piece))
        pn_buf_putc(out, ' ');
    pn_buf_str(out, piece);
}

/* Without the first n words. */
static struct pn_str skip_words(struct pn_str text, size_t n)
{
    while (n > 0 && text.len)
        n -= pn_spoken_core(pn_spoken_next(&text)).len > 0;
    return text;
}

static struct pn_str skip_blanks(struct pn_str s)
{
    return from(s, run_length(s, 0, BIT(BLANK)));
}

void pn_spoken_extend(struct pn_buf *out, size_t from_at, struct pn_str text)
{
    /* Blanks in front may be the joint's. */
    struct pn_str shown = skip_blanks((struct pn_str){ out->ptr + from_at, out->len - from_at });
    struct pn_str now = skip_blanks(text);
    if (shown.len == 0)
        pn_spoken_join(out, out->len ? text : now);
    else if (now.len >= shown.len && memcmp(now.ptr, shown.ptr, shown.len) == 0)
        pn_buf_str(out, from(now, shown.len));
    else
        pn_spoken_join(out, skip_words(now, pn_spoken_count(shown)));
}
