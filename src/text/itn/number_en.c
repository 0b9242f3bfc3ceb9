/* number_en.c - parts of English numbers to numbers. Pure.
 *
 * Several numbers can follow each other ("nineteen ninety nine"): each is the longest that can be read, and
 * the rules judge their sequence. "five hundred and two hundred" are two numbers, "a hundred and two" is one,
 * and a bare "hundred" is one without digits. */
#include "text/itn/itn_impl.h"

#define MAX_GROUP 10000u /* before a scale: "twenty four hundred", "nine thousand" */

struct reader {
    const struct pn_itn_language *language;
    const struct pn_itn_token *tokens;
    size_t n;
};

/* NULL past the end. */
static const struct pn_itn_word *word_at(const struct reader *r, size_t i)
{
    return i < r->n ? pn_itn_word_of(r->language, &r->tokens[i]) : NULL;
}

static bool has_role(const struct reader *r, size_t i, enum pn_itn_role role)
{
    const struct pn_itn_word *w = word_at(r, i);
    return w && w->role == role;
}

static bool is_ordinal(const struct reader *r, size_t i)
{
    const struct pn_itn_word *w = word_at(r, i);
    return w && (w->flags & PN_ITN_IS_ORDINAL);
}

static bool is_digit(const struct reader *r, size_t i)
{
    return has_role(r, i, PN_ITN_DIGIT) && !is_ordinal(r, i);
}

/* Words of a number below 100 at `i`: "five", "fifteen", "fifty", "fifty five"; 0: there is none. */
static size_t read_small(const struct reader *r, size_t i, uint64_t *ret)
{
    if (!has_role(r, i, PN_ITN_DIGIT) && !has_role(r, i, PN_ITN_TEEN) && !has_role(r, i, PN_ITN_TENS))
        return 0;
    *ret = word_at(r, i)->value;
    bool more = has_role(r, i, PN_ITN_TENS) && !is_ordinal(r, i) && has_role(r, i + 1, PN_ITN_DIGIT) &&
                word_at(r, i + 1)->value > 0;
    if (!more)
        return 1;
    *ret += word_at(r, i + 1)->value;
    return 2;
}

static bool is_hundred(const struct reader *r, size_t i)
{
    return has_role(r, i, PN_ITN_SCALE) && word_at(r, i)->value == 100;
}

static size_t skip_join(const struct reader *r, size_t i)
{
    return has_role(r, i, PN_ITN_JOIN) ? i + 1 : i;
}

/* What may follow "two hundred" in its number: "five", "and five"; the end of it, or `i`. */
static size_t read_after_hundred(const struct reader *r, size_t i, uint64_t *value)
{
    uint64_t small = 0;
    size_t from = skip_join(r, i), n = read_small(r, from, &small);
    bool digits = n == 1 && small < 10 && !is_ordinal(r, from) && is_digit(r, from + 1); /* as in 800 555 */
    if (n == 0 || small == 0 || digits || is_hundred(r, from + n))
        return i;
    *value += small;
    return from + n;
}

/* A number below MAX_GROUP that has no scale but "hundred", at `i`; returns its end, or `i`. */
static size_t read_group(const struct reader *r, size_t i, uint64_t *ret)
{
    uint64_t value = 1;
    bool article = has_role(r, i, PN_ITN_ARTICLE);
    size_t n = article ? 1 : read_small(r, i, &value), end = i + n;
    if (n == 0 || (article && !has_role(r, end, PN_ITN_SCALE)))
        return i;
    if (is_hundred(r, end) && value > 0 && !is_ordinal(r, end - 1)) {
        value *= 100;
        end++;
        if (!is_ordinal(r, end - 1))
            end = read_after_hundred(r, end, &value);
    }
    *ret = value;
    return end;
}

/* Whether the scale at `i` can follow a group. */
static bool is_scale_below(const struct reader *r, size_t i, uint64_t limit)
{
    return has_role(r, i, PN_ITN_SCALE) && word_at(r, i)->value > 100 && word_at(r, i)->value < limit;
}

/* The group after a scale, if it belongs to the same number: "five", "and five", "five thousand" of "two
 * million five thousand". */
static size_t read_next_group(const struct reader *r, size_t i, uint64_t limit, uint64_t *ret)
{
    uint64_t value = 0;
    size_t from = skip_join(r, i);
    if (has_role(r, from, PN_ITN_ARTICLE))
        return i;
    size_t end = read_group(r, from, &value);
    bool scaled = has_role(r, end, PN_ITN_SCALE);
    if (end == from || value == 0 || value >= limit || (scaled && !is_scale_below(r, end, limit)))
        return i;
    *ret = value;
    return end;
}

/* A cardinal or an ordinal at `i`; returns its end, or `i`. */
static size_t read_cardinal(const struct reader *r, size_t i, uint64_t *ret)
{
    uint64_t total = 0, group = 0, limit = UINT64_MAX;
    size_t end = read_group(r, i, &group);
    if (end == i)
        return i;
    while (!is_ordinal(r, end - 1) && group > 0 && is_scale_below(r, end, limit)) {
        limit = word_at(r, end)->value;
        total += group * limit; /* below 10^4 times 10^15, and each less than the last scale: no overflow */
        group = 0;
        end++;
        if (!is_ordinal(r, end - 1))
            end = read_next_group(r, end, limit, &group);
    }
    *ret = total + group;
    return end;
}

/* "five", "oh", "double five" at `i` among digits; returns its end, or `i`. */
static size_t read_digit(const struct reader *r, size_t i, size_t *n_digits, uint64_t *value)
{
    size_t at = has_role(r, i, PN_ITN_REPEAT) ? i + 1 : i;
    if (!is_digit(r, at) && !has_role(r, at, PN_ITN_FIGURE))
        return i;
    if (has_role(r, at + 1, PN_ITN_SCALE))
        return i; /* it is the scale's */
    uint64_t times = at > i ? word_at(r, i)->value : 1;
    for (uint64_t k = 0; k < times; k++)
        *value = *n_digits + k < 18 ? *value * 10 + word_at(r, at)->value : *value;
    *n_digits += times;
    return at + 1;
}

/* Two digits or more at `i`, or one after a number or a point; returns their end, or `i`. "Oh" begins them
 * only after those, too, or where four follow. */
static size_t read_digits(const struct reader *r, size_t i, bool after_number, struct pn_itn_token *t)
{
    size_t n_digits = 0, end = i;
    uint64_t value = 0;
    for (size_t next; (next = read_digit(r, end, &n_digits, &value)) > end;)
        end = next;
    size_t least = after_number ? 1 : has_role(r, i, PN_ITN_FIGURE) ? 4 : 2;
    if (n_digits < least)
        return i;
    t->n_digits = n_digits;
    t->value = value;
    t->kinds = PN_ITN_DIGITS | (n_digits == 1 && is_digit(r, i) ? PN_ITN_CARDINAL : 0);
    t->kinds |= n_digits < 3 || (n_digits == 3 && value / 10 % 10 != 0) ? PN_ITN_LOOSE : 0;
    return end;
}

/* "two five million" after a point; returns its end, or `i`. One digit makes a cardinal, too: "at this point
 * five million people". */
static size_t read_scaled(const struct reader *r, size_t i, struct pn_itn_token *t)
{
    size_t end = i;
    while (is_digit(r, end) || has_role(r, end, PN_ITN_FIGURE))
        end++;
    if (end == i || !is_scale_below(r, end, UINT64_MAX) || is_ordinal(r, end))
        return i;
    t->n_digits = end - i;
    t->scale_at = (size_t)(r->tokens[end].said.ptr - r->tokens[i].said.ptr);
    t->kinds = PN_ITN_SCALED;
    if (t->n_digits == 1 && is_digit(r, i)) {
        t->kinds |= PN_ITN_CARDINAL;
        t->value = word_at(r, i)->value * word_at(r, end)->value;
    }
    return end + 1;
}

/* The number at `i` into `t`; returns its end, or `i` when the word there is no part of one. `after`: what
 * precedes it. */
static size_t read_number(const struct reader *r, size_t i, const struct pn_itn_token *after,
                          struct pn_itn_token *t)
{
    bool after_point = after && pn_itn_word_of(r->language, after)->role == PN_ITN_POINT && !after->number;
    size_t end = after_point ? read_scaled(r, i, t) : i;
    if (end == i)
        end = read_digits(r, i, after && (after->number || after_point), t);
    if (end > i)
        return end;
    end = read_cardinal(r, i, &t->value);
    if (end == i)
        return pn_itn_is_part(word_at(r, i)) && !has_role(r, i, PN_ITN_FIGURE) ? i + 1 : i;
    if (has_role(r, i, PN_ITN_ARTICLE) && end == i + 2)
        return i; /* "a hundred" stays */
    if (is_ordinal(r, end - 1)) {
        t->kinds = PN_ITN_ORDINAL;
    } else {
        t->kinds = PN_ITN_CARDINAL | (end == i + 1 && is_digit(r, i) ? PN_ITN_DIGITS : 0);
        t->n_digits = t->kinds & PN_ITN_DIGITS ? 1 : 0;
    }
    return end;
}

/* In place: a number takes no more room than its words. */
void pn_itn_numbers_en(const struct pn_itn_language *language, struct pn_itn_clause *c)
{
    size_t n = 0;
    struct reader r = { language, c->tokens, c->n };
    for (size_t i = 0; i < c->n;) {
        struct pn_itn_token t = c->tokens[i];
        size_t end = read_number(&r, i, n > 0 ? &c->tokens[n - 1] : NULL, &t);
        if (end > i) {
            const struct pn_itn_token *last = &c->tokens[end - 1];
            t.said.len = (size_t)(last->said.ptr + last->said.len - t.said.ptr);
            t.number = true;
        }
        c->tokens[n++] = t;
        i = end > i ? end : i + 1;
    }
    c->n = n;
}
