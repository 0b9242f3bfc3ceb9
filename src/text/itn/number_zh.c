/* number_zh.c - parts of Chinese numbers to numbers. Pure.
 *
 * A run of parts is one number or none: "three four ten" (thirty or forty) has no digits and stays as it is.
 * Below, names are those of the scales: wan is 10^4, yi 10^8. */
#include "text/itn/itn_impl.h"

#define THOUSAND 1000u
#define WAN      10000u
#define YI       100000000u

/* A cardinal while it is read: yi + wan + section, and what may still multiply or abbreviate. */
struct cardinal {
    uint64_t yi, wan, section;
    int digit;      /* that waits for its scale; -1: none */
    uint64_t scale; /* the last one; 0: none */
    uint64_t below; /* a scale within the section is less than this */
    bool zero;      /* a zero since the last scale */
};

static bool add_digit(struct cardinal *c, const struct pn_itn_word *w, bool first)
{
    if (c->digit >= 0 || (w->value == 0 && (first || c->zero)))
        return false;
    if (w->value == 0)
        c->zero = true;
    else
        c->digit = (int)w->value;
    return true;
}

static bool add_small_scale(struct cardinal *c, uint64_t scale)
{
    bool bare_ten = c->digit < 0 && scale == 10 && (c->section > 0 || c->zero || c->scale == 0);
    if ((c->digit < 0 && !bare_ten) || scale >= c->below)
        return false;
    c->section += (uint64_t)(bare_ten ? 1 : c->digit) * scale;
    c->digit = -1;
    c->scale = c->below = scale;
    c->zero = false;
    return true;
}

static bool add_large_scale(struct cardinal *c, uint64_t scale)
{
    uint64_t section = c->section + (uint64_t)(c->digit > 0 ? c->digit : 0);
    bool after_wan = scale == YI && c->scale == WAN && c->digit < 0; /* as in 10^4 times 10^8 */
    bool again = c->wan > 0 && scale == WAN, dangling = c->zero && c->digit < 0;
    if ((section == 0 && !after_wan) || again || dangling || (c->yi > 0 && scale == YI))
        return false;
    if (scale == WAN) {
        c->wan = section * WAN;
    } else {
        c->yi = (c->wan + section) * YI;
        c->wan = 0;
    }
    *c = (struct cardinal){ c->yi, c->wan, 0, -1, scale, WAN, false };
    return true;
}

static bool add_part(struct cardinal *c, const struct pn_itn_word *w, bool first)
{
    if (w->role == PN_ITN_DIGIT || w->role == PN_ITN_COUNT)
        return add_digit(c, w, first);
    if (w->role != PN_ITN_SCALE)
        return false;
    return w->value < WAN ? add_small_scale(c, w->value) : add_large_scale(c, w->value);
}

/* What a last digit without a scale is worth: after a hundred and more it stands for the scale below, as in
 * "three thousand five" for 3500, unless there is a zero. */
static uint64_t last_digit(const struct cardinal *c)
{
    if (c->digit < 0)
        return 0;
    return (uint64_t)c->digit * (c->scale < 100 || c->zero ? 1 : c->scale / 10);
}

static bool read_cardinal(const struct pn_itn_language *language, const struct pn_itn_token *parts, size_t n,
                          uint64_t *ret)
{
    struct cardinal c = { .digit = -1, .below = WAN };
    const struct pn_itn_word *last = pn_itn_word_of(language, &parts[n - 1]);
    if (n == 1 && last->role == PN_ITN_DIGIT) {
        *ret = last->value;
        return true;
    }
    for (size_t i = 0; i < n; i++)
        if (!add_part(&c, pn_itn_word_of(language, &parts[i]), i == 0))
            return false;
    if ((c.zero && c.digit < 0) || (n > 1 && last->role == PN_ITN_COUNT))
        return false;
    *ret = c.yi + c.wan + c.section + last_digit(&c);
    return true;
}

/* "seven eight" or "three five" may mean "about", "five six seven" may count up. */
static bool is_loose(size_t n_digits, uint64_t value)
{
    uint64_t last = value % 10, middle = value / 10 % 10, first = value / 100;
    if (n_digits == 2)
        return value == 35 || (middle >= 3 && last == middle + 1);
    return n_digits == 3 && last == middle + 1 && middle == first + 1;
}

/* The digits at the start of a run. */
static size_t count_digits(const struct pn_itn_language *language, const struct pn_itn_token *parts, size_t n)
{
    size_t i = 0;
    for (; i < n; i++) {
        uint8_t role = pn_itn_word_of(language, &parts[i])->role;
        if (role != PN_ITN_DIGIT && role != PN_ITN_FIGURE)
            break;
    }
    return i;
}

/* Scales that are written in words after decimals. */
static bool only_large_scales(const struct pn_itn_language *language, const struct pn_itn_token *parts,
                              size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct pn_itn_word *w = pn_itn_word_of(language, &parts[i]);
        if (w->role != PN_ITN_SCALE || w->value < THOUSAND)
            return false;
    }
    return true;
}

static void read_digits(const struct pn_itn_language *language, const struct pn_itn_token *parts, size_t n,
                        struct pn_itn_token *t)
{
    size_t n_digits = count_digits(language, parts, n);
    if (n_digits == 0)
        return;
    t->n_digits = n_digits;
    if (n_digits < n) {
        t->scale_at = (size_t)(parts[n_digits].said.ptr - parts[0].said.ptr);
        t->kinds |= only_large_scales(language, parts + n_digits, n - n_digits) ? PN_ITN_SCALED : 0;
        return;
    }
    t->kinds |= PN_ITN_DIGITS;
    t->value = 0;
    for (size_t i = 0; i < n && i < 18; i++)
        t->value = t->value * 10 + pn_itn_word_of(language, &parts[i])->value;
    t->kinds |= is_loose(n, t->value) ? PN_ITN_LOOSE : 0;
}

static struct pn_itn_token read_number(const struct pn_itn_language *language,
                                       const struct pn_itn_token *parts, size_t n)
{
    const struct pn_itn_token *last = &parts[n - 1];
    struct pn_itn_token t = { .word = parts[0].word, .number = true };
    t.said =
        (struct pn_str){ parts[0].said.ptr, (size_t)(last->said.ptr + last->said.len - parts[0].said.ptr) };
    if (read_cardinal(language, parts, n, &t.value))
        t.kinds |= PN_ITN_CARDINAL;
    read_digits(language, parts, n, &t);
    return t;
}

static size_t count_parts(const struct pn_itn_language *language, const struct pn_itn_token *tokens, size_t n)
{
    size_t i = 0;
    while (i < n && pn_itn_is_part(pn_itn_word_of(language, &tokens[i])))
        i++;
    return i;
}

/* "Eighty thousand metres" is no number but eighty kilometres: the thousand belongs to the unit. */
static bool ends_in_unit(const struct pn_itn_language *language, const struct pn_itn_token *parts, size_t n)
{
    uint64_t value;
    return n > 1 && pn_itn_word_of(language, &parts[n - 1])->value == THOUSAND &&
           !read_cardinal(language, parts, n, &value) && read_cardinal(language, parts, n - 1, &value);
}

/* In place: numbers take no more room than their parts. */
void pn_itn_numbers_zh(const struct pn_itn_language *language, struct pn_itn_clause *c)
{
    size_t n = 0;
    for (size_t i = 0; i < c->n; i++) {
        size_t parts = count_parts(language, c->tokens + i, c->n - i);
        bool unit = ends_in_unit(language, c->tokens + i, parts);
        if (unit)
            parts--;
        if (parts > 0) {
            c->tokens[n++] = read_number(language, c->tokens + i, parts);
            i += parts - 1;
        }
        if (unit)
            i++;
        if (unit || parts == 0)
            c->tokens[n++] = c->tokens[i];
    }
    c->n = n;
}
