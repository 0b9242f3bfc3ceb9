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

static bool ends_in_digit(struct pn_str s)
{
    return s.len > 0 && s.ptr[s.len - 1] >= '0' && s.ptr[s.len - 1] <= '9';
}

static bool is_mark(char c)
{
    return c == '.' || c == ',' || c == ':' || c == '/' || c == '-';
}

/* Whether what is written here would run into digits that are there already: "3" or "3." before it. What
 * begins with a word does so after a blank, too: "3 minus two", "1 April" before "first". */
static bool after_digits(const struct pn_itn_output *out, bool word_first)
{
    if (out->buf->len == out->from)
        return false;
    struct pn_str s = { out->buf->ptr + out->from, out->buf->len - out->from };
    char last = s.ptr[s.len - 1];
    if (s.len > 1 && (is_mark(last) || (word_first && last == ' ')))
        s.len--;
    return ends_in_digit(s);
}

/* The same for what follows. */
static bool before_digits(struct pn_str rest)
{
    size_t i = rest.len > 1 && is_mark(rest.ptr[0]) ? 1 : 0;
    return rest.len > i && rest.ptr[i] >= '0' && rest.ptr[i] <= '9';
}

/* A rule that matches at `i`: the end of what it says, else `i`. */
static size_t try_rule(const struct place *p, const struct pn_itn_rule *rule, size_t i,
                       const struct pn_itn_token **found)
{
    size_t end = match(p, &rule->said, i, found);
    if (end > p->n || (end < p->n && p->tokens[end - 1].number && p->tokens[end].number) ||
        match(p, &rule->right, end, NULL) > p->n || !match_back(p, &rule->left, i))
        return i;
    return end;
}

/* Writes the first rule that matches at `i`; the end of what it says, or `i`. */
static size_t apply_at(const struct place *p, size_t i, struct pn_itn_output *out)
{
    const struct pn_itn_rules *rules = p->tokens[i].number ? &p->language->by_number : &p->language->by_word;
    const struct pn_itn_token *found[PN_ITN_MAX_ELEMENTS];
    for (size_t k = 0; k < rules->n; k++) {
        size_t end = try_rule(p, &rules->rules[k], i, found);
        if (end == i)
            continue;
        pn_itn_copy(out, p->tokens[i].said.ptr);
        const struct pn_itn_token *last = &p->tokens[end - 1];
        const char *after = last->said.ptr + last->said.len;
        if (after_digits(out, !p->tokens[i].number) ||
            before_digits((struct pn_str){ after, (size_t)(out->end - after) }))
            return i;
        pn_itn_write(rules->rules[k].written, found, out);
        out->copied = after;
        return end;
    }
    return i;
}

void pn_itn_apply(const struct pn_itn_clause *c, struct pn_itn_output *out)
{
    struct place p = { out->language, c->tokens, c->n };
    bool after_number = false; /* one that stayed words */
    for (size_t i = 0; i < p.n;) {
        size_t end = after_number ? i : apply_at(&p, i, out);
        after_number = end == i && p.tokens[i].number;
        i = end > i ? end : i + 1;
    }
}
