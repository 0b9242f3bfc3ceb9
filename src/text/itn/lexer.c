/* lexer.c - the words of a text that the tables know. Pure.
 *
 * Where words are between spaces a word is whole or not there: "ten" is not in "often". Else the longest word
 * at each place is taken, which is how "wednesday" ends before the hour that follows it in Chinese. */
#include "text/itn/itn_impl.h"

#include <string.h>

static struct pn_str skip(struct pn_str s, size_t n)
{
    return (struct pn_str){ s.ptr + n, s.len - n };
}

static uint8_t folded(char c)
{
    return (uint8_t)(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c);
}

/* The node below `at` for `byte`, or NULL. */
static const struct pn_itn_node *below(const struct pn_itn_language *language, const struct pn_itn_node *at,
                                       uint8_t byte)
{
    const struct pn_itn_edge *edges = language->edges + at->edge;
    for (size_t i = 0; i < at->n_edges && edges[i].byte <= byte; i++)
        if (edges[i].byte == byte)
            return language->nodes + edges[i].node;
    return NULL;
}

typedef bool (*fits_fn)(const struct pn_itn_lexer *x, struct pn_str s, size_t len,
                        const struct pn_itn_word *w);

/* Bytes of the longest word at the start of `s` that `fits`; 0: none. Words are short, so this is. */
static size_t longest(const struct pn_itn_lexer *x, struct pn_str s, fits_fn fits, uint16_t *ret_word)
{
    const struct pn_itn_node *at = x->language->nodes;
    size_t found = 0;
    for (size_t i = 0; i < s.len && (at = below(x->language, at, folded(s.ptr[i]))); i++)
        if (at->word >= 0 && fits(x, s, i + 1, &x->language->words[at->word])) {
            found = i + 1;
            *ret_word = (uint16_t)at->word;
        }
    return found;
}

static bool is_any_part(const struct pn_itn_lexer *x, struct pn_str s, size_t len,
                        const struct pn_itn_word *w)
{
    return w->role >= PN_ITN_REPEAT;
}

size_t pn_itn_longest_part(const struct pn_itn_language *language, struct pn_str s, uint16_t *ret_word)
{
    struct pn_itn_lexer x = { .language = language };
    return longest(&x, s, is_any_part, ret_word);
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (folded(c) >= 'a' && folded(c) <= 'z') || c == '_';
}

/* Bytes of the letter or digit at the start of `s`; 0: there is none. Beyond ASCII the alphabets below U+2000
 * count; Chinese and punctuation do not. */
static size_t letter(struct pn_str s)
{
    if (s.len > 0 && is_alnum(s.ptr[0]))
        return 1;
    uint32_t cp;
    size_t n = pn_utf8_next(s, &cp);
    return n > 1 && cp >= 0xc0 && cp < 0x2000 ? n : 0;
}

/* The same for what continues a word: "ten's", "ten.com", "ten@home" are other words than "ten". */
static size_t more_of_word(struct pn_str s)
{
    bool joint = s.len > 1 && (s.ptr[0] == '\'' || s.ptr[0] == '.' || s.ptr[0] == '@');
    return joint && letter(skip(s, 1)) > 0 ? 1 : letter(s);
}

/* Whether a part of a number follows `s` directly. */
static bool part_follows(const struct pn_itn_language *language, struct pn_str s)
{
    uint16_t word;
    if (language->spaced && s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '-'))
        s = skip(s, 1);
    return pn_itn_longest_part(language, s, &word) > 0;
}

static bool starts_with_any(struct pn_str s, const char *const *list)
{
    for (; list && *list; list++) {
        struct pn_str one = pn_str(*list);
        if (s.len >= one.len && memcmp(s.ptr, one.ptr, one.len) == 0)
            return true;
    }
    return false;
}

/* Whether a word at `at` is directly after the last one: nothing between, or one blank or hyphen. */
static bool adjoins(const struct pn_itn_lexer *x, const char *at)
{
    return x->end &&
           (at == x->end || (x->language->spaced && at == x->end + 1 && (at[-1] == ' ' || at[-1] == '-')));
}

static bool stands_alone(const struct pn_itn_lexer *x, struct pn_str s, size_t len,
                         const struct pn_itn_word *w)
{
    struct pn_str after = skip(s, len);
    if (x->language->spaced && is_alnum(s.ptr[len - 1]) && more_of_word(after) > 0)
        return false;
    return !((w->flags & PN_ITN_NUMBER_FIRST) && x->after_part && adjoins(x, s.ptr)) &&
           !((w->flags & PN_ITN_NUMBER_LAST) && part_follows(x->language, after)) &&
           !starts_with_any(after, w->not_before);
}

/* Bytes that are no word: all of a word where words are whole, else a character. */
static size_t unknown(const struct pn_itn_lexer *x)
{
    size_t n = x->language->spaced ? letter(x->rest) : 0;
    if (n > 0)
        for (size_t more; (more = more_of_word(skip(x->rest, n))) > 0;)
            n += more;
    if (n == 0)
        n = pn_utf8_next(x->rest, NULL);
    return n > 0 ? n : 1;
}

bool pn_itn_next(struct pn_itn_lexer *x, struct pn_itn_token *ret, bool *ret_apart)
{
    while (x->rest.len > 0) {
        uint16_t word = 0;
        size_t n = longest(x, x->rest, stands_alone, &word);
        if (n == 0 || x->language->words[word].role == PN_ITN_KEEP) {
            x->rest = skip(x->rest, n > 0 ? n : unknown(x));
            continue;
        }
        *ret = (struct pn_itn_token){ .said = { x->rest.ptr, n }, .word = word };
        *ret_apart = !adjoins(x, x->rest.ptr);
        x->rest = skip(x->rest, n);
        x->end = x->rest.ptr;
        x->after_part = pn_itn_is_part(&x->language->words[word]);
        return true;
    }
    return false;
}
