/* vocab_split.c - tokens to words (spec whisper 3.7): first into groups that are whole characters, then, for
 * languages that put spaces between words, groups joined up to the next space or punctuation mark. */
#include "asr/whisper/vocab.h"

#include "text/utf8.h"

#include <stdint.h>
#include <string.h>

enum { REPLACEMENT = 0xfffd, MAX_TEXT = 1 << 20 };

/* The words so far; the last one is open: it ends at n_ids. */
struct splitter {
    const struct pn_vocab *v;
    const int32_t *ids;
    struct pn_arena *arena;
    uint32_t *whole; /* code points of the text of all ids */
    size_t n_whole;
    size_t offset; /* code points before the open group */
    bool by_space;
    size_t *start;     /* [n + 1] */
    const char **text; /* [n] */
    size_t n;
};

static size_t count_characters(struct pn_str s)
{
    size_t n = 0;
    for (size_t len; (len = pn_utf8_next(s, NULL)) > 0; n++)
        s = (struct pn_str){ s.ptr + len, s.len - len };
    return n;
}

/* Index of the first U+FFFD in code points, or SIZE_MAX. */
static size_t find_replacement(struct pn_str s)
{
    uint32_t cp;
    size_t len;
    for (size_t i = 0; (len = pn_utf8_next(s, &cp)) > 0; i++) {
        if (cp == REPLACEMENT)
            return i;
        s = (struct pn_str){ s.ptr + len, s.len - len };
    }
    return SIZE_MAX;
}

static int decode_whole(struct splitter *sp, size_t n_ids)
{
    struct pn_buf b;
    pn_buf_init(&b, MAX_TEXT);
    pn_vocab_decode(sp->v, sp->ids, n_ids, true, &b);
    struct pn_str s = { b.ptr, b.len };
    sp->n_whole = count_characters(s);
    sp->whole = pn_arena_alloc(sp->arena, (sp->n_whole + 1) * sizeof(*sp->whole));
    int r = b.failed ? b.failed : sp->whole ? 0 : -PN_ENOMEM;
    for (size_t i = 0; r == 0 && i < sp->n_whole; i++) {
        size_t len = pn_utf8_next(s, &sp->whole[i]);
        s = (struct pn_str){ s.ptr + len, s.len - len };
    }
    pn_buf_done(&b);
    return r;
}

/* A group with U+FFFD is unfinished, unless the whole text has it in that place, too. */
static bool is_complete(const struct splitter *sp, struct pn_str group)
{
    size_t i = find_replacement(group);
    if (i == SIZE_MAX)
        return true;
    return sp->offset + i < sp->n_whole && sp->whole[sp->offset + i] == REPLACEMENT;
}

/* Substring test, as the reference has it: the empty text and "()" pass. */
static bool is_punctuation(struct pn_str text)
{
    static const struct pn_str MARKS = { "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", 32 };
    text = pn_utf8_strip(text);
    return text.len == 0 || (text.len <= MARKS.len && memmem(MARKS.ptr, MARKS.len, text.ptr, text.len));
}

static bool begins_word(const struct splitter *sp, size_t from, struct pn_str group)
{
    return !sp->by_space || sp->n == 0 || sp->ids[from] >= sp->v->eot ||
           (group.len > 0 && group.ptr[0] == ' ') || is_punctuation(group);
}

static int add_group(struct splitter *sp, size_t from, size_t to, struct pn_str group)
{
    char *text;
    if (begins_word(sp, from, group)) {
        text = pn_arena_strndup(sp->arena, group.len ? group.ptr : "", group.len);
        sp->start[sp->n++] = from;
    } else {
        text = pn_arena_printf(sp->arena, "%s%.*s", sp->text[sp->n - 1], (int)group.len, group.ptr);
    }
    if (!text)
        return -PN_ENOMEM;
    sp->text[sp->n - 1] = text;
    sp->start[sp->n] = to;
    sp->offset += count_characters(group);
    return 0;
}

/* Ids left over at the end, whose text never became whole, belong to no word. */
static int split(struct splitter *sp, size_t n_ids)
{
    struct pn_buf b;
    int r = 0;
    pn_buf_init(&b, MAX_TEXT);
    for (size_t from = 0, to = 1; r == 0 && to <= n_ids; to++) {
        pn_buf_clear(&b);
        pn_vocab_decode(sp->v, sp->ids + from, to - from, true, &b);
        struct pn_str group = { b.ptr, b.len };
        r = b.failed;
        if (r == 0 && is_complete(sp, group)) {
            r = add_group(sp, from, to, group);
            from = to;
        }
    }
    pn_buf_done(&b);
    return r;
}

static bool has_spaces(const char *language)
{
    static const char *const WITHOUT[] = { "zh", "ja", "th", "lo", "my", "yue" };
    for (size_t i = 0; i < PN_ARRAY_LEN(WITHOUT); i++)
        if (strcmp(language, WITHOUT[i]) == 0)
            return false;
    return true;
}

int pn_vocab_split(const struct pn_vocab *v, const char *language, const int32_t *ids, size_t n,
                   struct pn_arena *arena, struct pn_word_split *ret)
{
    struct splitter sp = { .v = v, .ids = ids, .arena = arena, .by_space = has_spaces(language) };
    sp.start = pn_arena_alloc(arena, (n + 1) * sizeof(*sp.start));
    sp.text = pn_arena_alloc(arena, (n + 1) * sizeof(*sp.text));
    int r = sp.start && sp.text ? decode_whole(&sp, n) : -PN_ENOMEM;
    if (r == 0)
        r = split(&sp, n);
    if (r == 0)
        *ret = (struct pn_word_split){ sp.n, sp.start, sp.text };
    return r;
}
