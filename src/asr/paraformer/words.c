/* words.c - see words.h. What the reference tests of strings ("Chinese", "letters") keeps its oddities: a
 * string is Chinese when it sorts between U+4E00 and U+9FFF or between "0" and "9", or is "@". */
#include "asr/paraformer/words.h"

#include "text/utf8.h"

#include <string.h>

struct joiner {
    struct pn_token_word *word; /* room for one a token */
    size_t n;
    char *pool; /* the words' text */
    size_t pool_len;
    char *acc; /* pieces of a word that is not finished */
    size_t acc_len;
    char *scratch; /* a token's length of bytes */
};

static const char *const SPECIAL[] = { "</s>", "<s>", "<unk>", "<OOV>" };

/* As strings of code points sort, which is as their bytes do. */
static int compare(struct pn_str a, struct pn_str b)
{
    int r = memcmp(a.ptr, b.ptr, PN_MIN(a.len, b.len));
    return r ? r : (a.len > b.len) - (a.len < b.len);
}

static bool between(struct pn_str s, const char *low, const char *high)
{
    return compare(s, pn_str(low)) >= 0 && compare(s, pn_str(high)) <= 0;
}

static bool is_chinese(struct pn_str s)
{
    return s.len > 0 && (between(s, "\u4e00", "\u9fff") || between(s, "0", "9") || pn_str_is(s, "@"));
}

/* Cuts the first character off `s`; a byte that begins none is one of its own. Returns its code point, 0 for
 * such a byte. */
static uint32_t next_char(struct pn_str *s, struct pn_str *ret)
{
    uint32_t cp = 0;
    size_t n = PN_MAX(pn_utf8_next(*s, &cp), 1);
    *ret = (struct pn_str){ s->ptr, n };
    *s = (struct pn_str){ s->ptr + n, s->len - n };
    return cp;
}

static bool is_letters(struct pn_str s)
{
    struct pn_str c;
    bool any = s.len > 0;
    while (s.len > 0)
        if (!pn_utf8_is_letter(next_char(&s, &c)))
            return false;
    return any;
}

/* A letter or letters of an alphabet, or an apostrophe. */
static bool is_alpha(struct pn_str s)
{
    return pn_str_is(s, "'") || (is_letters(s) && !is_chinese(s));
}

/* Whether `is` holds for every character of the token. */
static bool all_chars(struct pn_str token, bool (*is)(struct pn_str))
{
    struct pn_str c;
    bool any = token.len > 0;
    while (token.len > 0) {
        next_char(&token, &c);
        if (!is(c))
            return false;
    }
    return any;
}

/* Removes what equals `what` from text[len], left to right; returns what is left of the length. */
static size_t erase(char *text, size_t len, struct pn_str what)
{
    size_t to = 0;
    for (size_t i = 0; i < len;) {
        if (len - i >= what.len && memcmp(text + i, what.ptr, what.len) == 0)
            i += what.len;
        else
            text[to++] = text[i++];
    }
    return to;
}

static struct pn_str without_blanks(struct pn_str s, char *scratch)
{
    memcpy(scratch, s.ptr, s.len);
    return (struct pn_str){ scratch, erase(scratch, s.len, PN_STR(" ")) };
}

static struct pn_str cleaned(struct pn_str s, char *scratch)
{
    struct pn_str c = without_blanks(s, scratch);
    for (size_t i = 0; i < PN_ARRAY_LEN(SPECIAL); i++)
        c.len = erase(scratch, c.len, pn_str(SPECIAL[i]));
    return c;
}

/* Whether the token becomes text at all. */
static bool is_said(struct pn_str token)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SPECIAL); i++)
        if (pn_str_is(token, SPECIAL[i]))
            return false;
    while (token.len > 0 && token.ptr[0] == ' ')
        token = (struct pn_str){ token.ptr + 1, token.len - 1 };
    return token.len > 0;
}

/* Whether `is` holds for every token that is said, and there is one. */
static bool all_tokens(const struct joiner *j, const struct pn_str *tokens, size_t n,
                       bool (*is)(struct pn_str))
{
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        if (!is_said(tokens[i]))
            continue;
        if (!is(cleaned(tokens[i], j->scratch)))
            return false;
        any = true;
    }
    return any;
}

static void append_word(struct joiner *j, struct pn_str text, struct pn_stamp at, bool blank)
{
    char *p = j->pool + j->pool_len;
    memcpy(p, text.ptr, text.len);
    j->pool_len += text.len;
    j->word[j->n] = (struct pn_token_word){ { p, text.len }, at, blank && j->n > 0 };
    j->n++;
}

static struct pn_stamp stamp_at(const struct pn_stamp *stamps, size_t i)
{
    return stamps ? stamps[i] : (struct pn_stamp){ 0, 0 };
}

static void join_plain(struct joiner *j, const struct pn_str *tokens, const struct pn_stamp *stamps, size_t n,
                       bool blank)
{
    for (size_t i = 0; i < n; i++) {
        struct pn_str text = { 0 };
        if (is_said(tokens[i]))
            text = blank ? tokens[i] : without_blanks(tokens[i], j->scratch);
        if (text.len > 0)
            append_word(j, text, stamp_at(stamps, i), blank);
    }
}

/* Appends to the unfinished word. */
static void accumulate(struct joiner *j, struct pn_str text)
{
    memcpy(j->acc + j->acc_len, text.ptr, text.len);
    j->acc_len += text.len;
}

static bool is_piece(struct pn_str token)
{
    return memmem(token.ptr, token.len, "@@", 2) != NULL;
}

/* The state between the tokens of a mixed list. */
struct mixed {
    struct pn_stamp at; /* of the pieces since the last whole word */
    bool in_pieces;     /* the token before was a piece: `at` goes on */
    bool after_english; /* the last word was English and nothing came since */
    bool blank;         /* goes before the next word, unless Chinese follows English */
};

/* A Chinese token right behind a piece gets the pieces' stamp, and the pieces go before the next English
 * word: so the reference has it. */
static void mixed_token(struct joiner *j, struct mixed *m, struct pn_str token, struct pn_stamp own)
{
    if (!m->in_pieces)
        m->at = own;
    if (all_chars(token, is_chinese)) {
        append_word(j, token, m->at, m->blank && !m->after_english);
        *m = (struct mixed){ 0 };
    } else if (is_piece(token)) {
        memcpy(j->scratch, token.ptr, token.len);
        accumulate(j, (struct pn_str){ j->scratch, erase(j->scratch, token.len, PN_STR("@@")) });
        m->at.end = own.end;
        m->in_pieces = true;
        m->after_english = false;
    } else if (all_chars(token, is_alpha)) {
        accumulate(j, token);
        append_word(j, (struct pn_str){ j->acc, j->acc_len }, (struct pn_stamp){ m->at.begin, own.end },
                    m->blank);
        j->acc_len = 0;
        *m = (struct mixed){ .after_english = true, .blank = true };
    } else {
        append_word(j, token, own, m->blank);
        *m = (struct mixed){ 0 };
    }
}

static void join_mixed(struct joiner *j, const struct pn_str *tokens, const struct pn_stamp *stamps, size_t n)
{
    struct mixed m = { 0 };
    for (size_t i = 0; i < n; i++)
        if (is_said(tokens[i]))
            mixed_token(j, &m, tokens[i], stamp_at(stamps, i));
}

static bool is_letter(const struct pn_token_word *w)
{
    return w->text.len == 1 && ((w->text.ptr[0] >= 'a' && w->text.ptr[0] <= 'z') ||
                                (w->text.ptr[0] >= 'A' && w->text.ptr[0] <= 'Z'));
}

static void make_upper(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] >= 'a' && text[i] <= 'z')
            text[i] = (char)(text[i] - 'a' + 'A');
}

/* Runs of two and more single letters become one word; the letters lie side by side in the pool already. */
static void abbreviate(struct joiner *j)
{
    size_t to = 0;
    for (size_t i = 0; i < j->n;) {
        struct pn_token_word w = j->word[i];
        size_t end = i + 1;
        if (is_letter(&w))
            while (end < j->n && j->word[end].blank && is_letter(&j->word[end]))
                end++;
        if (end - i > 1) {
            make_upper(j->pool + (w.text.ptr - j->pool), end - i);
            w.text.len = end - i;
            w.at.end = j->word[end - 1].at.end;
        }
        j->word[to++] = w;
        i = end;
    }
    j->n = to;
}

static struct pn_str joined(const struct joiner *j, char *out, bool spaced)
{
    size_t len = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct pn_token_word *w = &j->word[i];
        if (i > 0 && (spaced || w->blank))
            out[len++] = ' ';
        memcpy(out + len, w->text.ptr, w->text.len);
        len += w->text.len;
    }
    return (struct pn_str){ out, len };
}

static int total_length(const struct pn_str *tokens, size_t n, size_t *ret)
{
    size_t total = 0;
    if (n > PN_WORD_TOKENS_MAX)
        return -PN_ELIMIT;
    for (size_t i = 0; i < n; i++)
        if (__builtin_add_overflow(total, tokens[i].len, &total) || total > SIZE_MAX / 8)
            return -PN_ELIMIT;
    *ret = total;
    return 0;
}

int pn_words_of_tokens(const struct pn_str *tokens, const struct pn_stamp *stamps, size_t n,
                       struct pn_arena *a, struct pn_token_words *ret)
{
    size_t total;
    int r = total_length(tokens, n, &total);
    if (r < 0)
        return r;
    struct joiner j = { .word = pn_arena_alloc(a, n * sizeof(*j.word) + 1),
                        .pool = pn_arena_alloc(a, total + 1) };
    char *text = pn_arena_alloc(a, total + n + 1), *spaced = pn_arena_alloc(a, total + n + 1);
    if (!j.word || !j.pool || !text || !spaced)
        return -PN_ENOMEM;
    /* What is only needed until the texts are written lies where they will. */
    j.acc = spaced;
    j.scratch = text;
    if (all_tokens(&j, tokens, n, is_chinese))
        join_plain(&j, tokens, stamps, n, false);
    else if (all_tokens(&j, tokens, n, is_alpha))
        join_plain(&j, tokens, stamps, n, true);
    else
        join_mixed(&j, tokens, stamps, n);
    abbreviate(&j);
    *ret = (struct pn_token_words){ j.word, j.n, joined(&j, text, false), joined(&j, spaced, true) };
    return 0;
}
