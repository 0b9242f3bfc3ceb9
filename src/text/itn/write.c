/* write.c - numbers and templates as text. Integers only: nothing is rounded. */
#include "text/itn/itn_impl.h"

#include <inttypes.h>
#include <string.h>

void pn_itn_copy(struct pn_itn_output *out, const char *end)
{
    pn_buf_append(out->buf, out->copied, (size_t)(end - out->copied));
    out->copied = end;
}

/* A string of digits is read once more: of its number only 18 are known, and it may be longer. */
static void write_digits(struct pn_str said, struct pn_itn_output *out)
{
    uint64_t times = 1;
    for (size_t i = 0, n; i < said.len; i += n) {
        uint16_t word;
        n = pn_itn_longest_part(out->language, (struct pn_str){ said.ptr + i, said.len - i }, &word);
        if (n == 0) {
            n = 1; /* a blank */
            continue;
        }
        const struct pn_itn_word *w = &out->language->words[word];
        if (w->role == PN_ITN_REPEAT) {
            times = w->value;
            continue;
        }
        for (; times > 0; times--)
            pn_buf_putc(out->buf, (char)('0' + w->value));
        times = 1;
    }
}

static uint64_t power_of_ten(unsigned n)
{
    uint64_t p = 1;
    while (n-- > 0)
        p *= 10;
    return p;
}

/* The `n` digits of `fraction` behind a point, without zeros at the end; nothing for 0. */
static void write_fraction(uint64_t fraction, unsigned n, struct pn_buf *buf)
{
    if (fraction == 0)
        return;
    for (; fraction % 10 == 0; fraction /= 10)
        n--;
    pn_buf_printf(buf, ".%0*" PRIu64, (int)n, fraction);
}

/* The suffix, in its other spelling if what was said has the last character of that. */
static const char *suffix_of(const struct pn_itn_round *r, struct pn_str said)
{
    size_t len = r->other ? strlen(r->other) : 0;
    const char *last = len >= 3 ? r->other + len - 3 : NULL;
    return last && memmem(said.ptr, said.len, last, 3) ? r->other : r->suffix;
}

static void write_cardinal(const struct pn_itn_token *t, struct pn_itn_output *out)
{
    const struct pn_itn_round *r = out->language->rounds, *end = r + out->language->n_rounds;
    while (r < end && r->value > t->value)
        r++;
    uint64_t parts = r < end ? power_of_ten(r->decimals) : 1;
    if (r == end || t->value % (r->value / parts) != 0) {
        pn_buf_printf(out->buf, "%" PRIu64, t->value);
        return;
    }
    pn_buf_printf(out->buf, "%" PRIu64, t->value / r->value);
    write_fraction(t->value % r->value / (r->value / parts), r->decimals, out->buf);
    pn_buf_puts(out->buf, suffix_of(r, t->said));
}

static const char *ordinal_ending(uint64_t v)
{
    if (v % 100 >= 11 && v % 100 <= 13)
        return "th";
    return v % 10 == 1 ? "st" : v % 10 == 2 ? "nd" : v % 10 == 3 ? "rd" : "th";
}

/* What was said: digits, and then a scale in its own words. */
static void write_scaled(const struct pn_itn_token *t, struct pn_itn_output *out)
{
    write_digits((struct pn_str){ t->said.ptr, t->scale_at }, out);
    if (out->language->spaced)
        pn_buf_putc(out->buf, ' ');
    pn_buf_append(out->buf, t->said.ptr + t->scale_at, t->said.len - t->scale_at);
}

static void write_natural(const struct pn_itn_token *t, struct pn_itn_output *out)
{
    if (t->kinds & PN_ITN_ORDINAL)
        pn_buf_printf(out->buf, "%" PRIu64 "%s", t->value, ordinal_ending(t->value));
    else if (t->kinds & PN_ITN_CARDINAL)
        write_cardinal(t, out);
    else
        write_digits(t->said, out);
}

/* 555-1234, 555-123-4567, 1-555-123-4567; other strings without groups. */
static void write_phone(const struct pn_itn_token *t, struct pn_itn_output *out)
{
    size_t from = out->buf->len;
    write_digits(t->said, out);
    size_t n = out->buf->len - from;
    char digits[11];
    if (out->buf->failed || (n != 7 && n != 10 && (n != 11 || out->buf->ptr[from] != '1')))
        return;
    memcpy(digits, out->buf->ptr + from, n);
    out->buf->len = from;
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i; /* groups end where 4, 7 and 10 digits are left */
        if (i > 0 && (left == 4 || left == 7 || left == 10))
            pn_buf_putc(out->buf, '-');
        pn_buf_putc(out->buf, digits[i]);
    }
}

static void write_number(const struct pn_itn_token *t, enum pn_itn_form form, struct pn_itn_output *out)
{
    switch (form) {
    case PN_ITN_F_NATURAL:
        write_natural(t, out);
        return;
    case PN_ITN_F_PLAIN:
        if (t->kinds & PN_ITN_DIGITS)
            write_digits(t->said, out);
        else
            pn_buf_printf(out->buf, "%" PRIu64, t->value);
        return;
    case PN_ITN_F_PAD2:
        pn_buf_printf(out->buf, "%02" PRIu64, t->value);
        return;
    case PN_ITN_F_BEFORE:
        pn_buf_printf(out->buf, "%" PRIu64, t->value <= 1 ? 12 : t->value - 1);
        return;
    case PN_ITN_F_REST:
        pn_buf_printf(out->buf, "%02" PRIu64, t->value < 60 ? 60 - t->value : 0);
        return;
    case PN_ITN_F_CLOCK:
        pn_buf_printf(out->buf, "%" PRIu64 ":%02" PRIu64, t->value / 100, t->value % 100);
        return;
    case PN_ITN_F_PHONE:
        write_phone(t, out);
        return;
    case PN_ITN_F_SCALED:
        write_scaled(t, out);
        return;
    }
    PN_UNREACHABLE();
}

static void write_found(const struct pn_itn_token *t, enum pn_itn_form form, struct pn_itn_output *out)
{
    const char *written = pn_itn_word_of(out->language, t)->written;
    if (t->number)
        write_number(t, form, out);
    else if (written)
        pn_buf_puts(out->buf, written);
    else
        pn_buf_str(out->buf, t->said);
}

void pn_itn_write(const char *written, const struct pn_itn_token *const *found, struct pn_itn_output *out)
{
    for (const char *p = written; *p; p++) {
        if (*p != PN_ITN_SLOT) {
            pn_buf_putc(out->buf, *p);
            continue;
        }
        const struct pn_itn_token *t = found[p[1] - '1'];
        if (t)
            write_found(t, (enum pn_itn_form)(p[2] - '0'), out);
        p += 2;
    }
}
