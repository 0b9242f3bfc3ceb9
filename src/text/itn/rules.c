/* rules.c - the first rule that matches at each place of a clause. Pure but for the output.
 *
 * Numbers that follow each other are matched all or not at all: a rule neither begins nor ends between two of
 * them. With that, and because digits are no words of the tables, a second pass over the output finds nothing
 * that the first did not: each match lies in words that both see. */
#include "text/itn/itn_impl.h"

struct place {
    const struct pn_itn_language *language;
    const struct pn_itn_token *tokens;
    size_t n;
};

static const char *end_of(const struct pn_itn_token *t)
{
    return t->said.ptr + t->said.len;
}

static bool between(uint64_t v, const struct pn_itn_atom *a)
{
    return v >= a->min && v <= a->max;
}

/* "Three oh five" is; "five five five" is rather something else. */
static bool is_clock(const struct pn_itn_token *t)
{
    return (t->n_digits == 3 || t->n_digits == 4) && t->value >= 100 && t->value < 1300 &&
           t->value % 100 < 10;
}

static bool atom_matches(const struct pn_itn_language *language, const struct pn_itn_atom *a,
                         const struct pn_itn_token *t)
{
    bool digits = t->kinds & PN_ITN_DIGITS;
    switch ((enum pn_itn_atom_kind)a->kind) {
    case PN_ITN_A_WORD:
        return !t->number && t->word == a->min;
    case PN_ITN_A_CLASS:
        return !t->number && (pn_itn_word_of(language, t)->classes >> a->min & 1);
    case PN_ITN_A_CARDINAL:
        return (t->kinds & PN_ITN_CARDINAL) && between(t->value, a);
    case PN_ITN_A_ORDINAL:
        return (t->kinds & PN_ITN_ORDINAL) && between(t->value, a);
    case PN_ITN_A_DIGITS:
        return digits && between(t->n_digits, a);
    case PN_ITN_A_CODE:
        return digits && between(t->n_digits, a) && !(t->kinds & PN_ITN_LOOSE);
    case PN_ITN_A_SCALED:
        return t->kinds & PN_ITN_SCALED;
    case PN_ITN_A_MINUTES:
        return digits && t->n_digits == 2 && t->value < 10;
    case PN_ITN_A_CLOCK:
        return digits && is_clock(t);
    }
    PN_UNREACHABLE();
}

static bool element_matches(const struct place *p, const struct pn_itn_element *e, size_t i)
{
    for (size_t k = 0; i < p->n && k < e->n_atoms; k++)
        if (atom_matches(p->language, &e->atoms[k], &p->tokens[i]))
            return !e->negated;
    return e->negated;
}

/* Where the pattern ends that begins at `i`, which may be `i`; p->n + 1: it does not match. `found` may be
 * NULL. */
static size_t match(const struct place *p, const struct pn_itn_pattern *pattern, size_t i,
                    const struct pn_itn_token **found)
{
    for (size_t k = 0; k < pattern->n; k++) {
        const struct pn_itn_element *e = &pattern->elements[k];
        bool here = element_matches(p, e, i);
        if (!here && !e->optional)
            return p->n + 1;
        if (found)
            found[k] = here ? &p->tokens[i] : NULL;
        i += here && !e->negated ? 1 : 0;
    }
    return i;
}

/* Whether the pattern ends before `i`. */
static bool match_back(const struct place *p, const struct pn_itn_pattern *pattern, size_t i)
{
    for (size_t k = pattern->n; k > 0; k--) {
        const struct pn_itn_element *e = &pattern->elements[k - 1];
        bool here = i > 0 ? element_matches(p, e, i - 1) : e->negated;
        if (!here && !e->optional)
            return false;
        i -= here && !e->negated ? 1 : 0;
    }
    return true;
}

static bool is_digit(uint32_t cp)
{
    return (cp >= '0' && cp <= '9') || (cp >= 0xff10 && cp <= 0xff19); /* full width */
}

static bool begins_with_digit(struct pn_str s)
{
    uint32_t cp;
    return pn_utf8_next(s, &cp) > 0 && is_digit(cp);
}

/* `s` without its first `n` bytes. */
static struct pn_str skip(struct pn_str s, size_t n)
{
    return (struct pn_str){ s.ptr + n, s.len - n };
}

static bool ends_in_digit(struct pn_str s)
{
    uint32_t cp;
    return (s.len > 0 && begins_with_digit(skip(s, s.len - 1))) ||
           (s.len >= 3 && pn_utf8_next(skip(s, s.len - 3), &cp) == 3 && is_digit(cp));
}

static bool is_mark(char c)
{
    return c == '.' || c == ',' || c == ':' || c == '/' || c == '-';
}

/* Whether what a rule writes would run into digits that are there already: "3" or "3." before it, "3 " before
 * a minus. */
static bool after_digits(const struct pn_itn_output *out, const char *written)
{
    if (out->buf->len == out->from)
        return false;
    struct pn_str s = { out->buf->ptr + out->from, out->buf->len - out->from };
    char last = s.ptr[s.len - 1];
    if (is_mark(last) || (last == ' ' && written[0] == '-'))
        s.len--;
    return ends_in_digit(s);
}

/* The same for what follows. */
static bool before_digits(struct pn_str rest)
{
    return begins_with_digit(rest.len > 0 && is_mark(rest.ptr[0]) ? skip(rest, 1) : rest);
}

/* A rule that matches at `i`: the end of what it says, else `i`. */
static size_t try_rule(const struct place *p, const struct pn_itn_rule *rule, size_t i,
                       const struct pn_itn_token **found)
{
    if (i + rule->least > p->n)
        return i;
    size_t end = match(p, &rule->said, i, found);
    if (end > p->n || (end < p->n && p->tokens[end - 1].number && p->tokens[end].number) ||
        match(p, &rule->right, end, NULL) > p->n || !match_back(p, &rule->left, i))
        return i;
    return end;
}

static bool begins_rule(const struct place *p, size_t i)
{
    return p->tokens[i].number || (pn_itn_word_of(p->language, &p->tokens[i])->flags & PN_ITN_BEGINS);
}

/* Whether the last word of a match from `i` to `end` is also the first of another: "april" of "the first of
 * april first". Then the other goes first, and this one does not come in a second pass either, when a digit
 * follows the word. */
static bool shares_last(const struct place *p, size_t i, size_t end, struct pn_str rest)
{
    const struct pn_itn_token *found[PN_ITN_MAX_ELEMENTS];
    size_t last = end - 1;
    if (last == i || p->tokens[last].number || !begins_rule(p, last))
        return false;
    for (size_t k = 0; k < p->language->by_word.n; k++)
        if (try_rule(p, &p->language->by_word.rules[k], last, found) > last)
            return true;
    return rest.len > 0 && rest.ptr[0] == ' ' && begins_with_digit(skip(rest, 1));
}

/* Writes what a rule says from `i` to `end`. Where it may not be written it stays, all of it, lest a part of
 * it be written and the rest in a second pass. Returns where to go on. */
static size_t replace(const struct place *p, const struct pn_itn_rule *rule, size_t i, size_t end,
                      const struct pn_itn_token *const *found, struct pn_itn_output *out)
{
    const char *after = end_of(&p->tokens[end - 1]);
    struct pn_str rest = { after, (size_t)(out->end - after) };
    if (shares_last(p, i, end, rest))
        return end - 1;
    pn_itn_copy(out, p->tokens[i].said.ptr);
    if (after_digits(out, rule->written) || before_digits(rest))
        return end;
    pn_itn_write(rule->written, found, out);
    out->copied = after;
    return end;
}

/* Applies the first rule that matches at `i`. Returns where to go on; `i`: there is none. */
static size_t apply_at(const struct place *p, size_t i, struct pn_itn_output *out)
{
    const struct pn_itn_rules *rules = p->tokens[i].number ? &p->language->by_number : &p->language->by_word;
    const struct pn_itn_token *found[PN_ITN_MAX_ELEMENTS];
    for (size_t k = 0; k < rules->n; k++) {
        size_t end = try_rule(p, &rules->rules[k], i, found);
        if (end > i)
            return replace(p, &rules->rules[k], i, end, found, out);
    }
    return i;
}

/* Whether a rule can begin at `i`: not after a number that stayed words. */
static bool may_begin(const struct place *p, size_t i, const struct pn_itn_output *out)
{
    const struct pn_itn_token *before = i > 0 ? &p->tokens[i - 1] : NULL;
    return begins_rule(p, i) && !(before && before->number && out->copied < end_of(before));
}

void pn_itn_apply(const struct pn_itn_clause *c, struct pn_itn_output *out)
{
    struct place p = { out->language, c->tokens, c->n };
    for (size_t i = 0; i < p.n;) {
        size_t end = may_begin(&p, i, out) ? apply_at(&p, i, out) : i;
        i = end > i ? end : i + 1;
    }
}
