/* words.c - see words.h. */
#include "asr/punctuation/words.h"

#include "text/utf8.h"

#include <string.h>

void pn_mark_words_init(struct pn_mark_words *w, const struct pn_mark_vocabulary *v, struct pn_str text)
{
    w->v = v;
    w->rest = text;
    w->run_len = w->run_at = w->n_cut = w->next_cut = 0;
}

/* Bytes of the character that `s` begins with; a byte that begins none is one of its own. */
static size_t char_len(struct pn_str s)
{
    return PN_MAX(pn_utf8_next(s, NULL), 1);
}

static bool is_ascii(struct pn_str s)
{
    return s.len > 0 && (unsigned char)s.ptr[0] < 0x80;
}

/* Bytes of the white space that `s` begins with, as Python's split() sees it. */
static size_t space_len(struct pn_str s)
{
    uint32_t cp;
    size_t n = pn_utf8_next(s, &cp);
    return n > 0 && (pn_utf8_is_space(cp) || (cp >= 0x1c && cp <= 0x1f)) ? n : 0;
}

static void skip(struct pn_str *s, size_t n)
{
    *s = (struct pn_str){ s->ptr + n, s->len - n };
}

static void skip_space(struct pn_str *s)
{
    for (size_t n; (n = space_len(*s)) > 0;)
        skip(s, n);
}

/* The id of a word as it is, or of the same in lower case. */
static int32_t id_of(const struct pn_mark_vocabulary *v, struct pn_str word)
{
    char lower[64];
    int64_t id = v->id(v->ctx, word);
    if (id < 0 && is_ascii(word) && word.len <= sizeof(lower)) {
        for (size_t i = 0; i < word.len; i++)
            lower[i] =
                (char)(word.ptr[i] >= 'A' && word.ptr[i] <= 'Z' ? word.ptr[i] - 'A' + 'a' : word.ptr[i]);
        id = v->id(v->ctx, (struct pn_str){ lower, word.len });
    }
    return id < 0 || id > INT32_MAX ? v->unknown : (int32_t)id;
}

/* ---- with a dictionary ---- */

/* ln of the word's frequency; of a single character in any case, else 1 for none. */
static float log_p(const struct pn_mark_vocabulary *v, struct pn_str word, size_t chars)
{
    int64_t id = v->id(v->ctx, word);
    float p = id < 0 ? 1 : v->log_p[id];
    return p > 0 && chars == 1 ? v->least : p;
}

/* The best way to cut the characters that begin at at[0..n), at[n] being the end: take[i] is how many
 * characters the word at i has. */
static void best_cuts(const struct pn_mark_words *w, const uint16_t *at, size_t n, uint8_t *take)
{
    float best[PN_MARK_RUN + 1];
    best[n] = 0;
    for (size_t i = n; i-- > 0;) {
        take[i] = 0;
        for (size_t chars = 1; chars <= PN_MIN((size_t)PN_MARK_WORD, n - i); chars++) {
            struct pn_str word = { w->run + at[i], (size_t)(at[i + chars] - at[i]) };
            float p = log_p(w->v, word, chars), all = p + best[i + chars];
            if (p > 0 || (take[i] > 0 && all < best[i]))
                continue;
            best[i] = all;
            take[i] = (uint8_t)chars;
        }
    }
}

/* Finds the words of the run. Those that begin where a longer run might change them wait for it. */
static void cut_run(struct pn_mark_words *w, bool more)
{
    uint16_t at[PN_MARK_RUN + 1];
    uint8_t take[PN_MARK_RUN];
    size_t n = 0;
    for (size_t i = 0; i < w->run_len; n++) {
        at[n] = (uint16_t)i;
        i += char_len((struct pn_str){ w->run + i, w->run_len - i });
    }
    at[n] = (uint16_t)w->run_len;
    best_cuts(w, at, n, take);
    size_t end = more ? n - PN_MIN(n / 2, (size_t)2 * PN_MARK_WORD) : n;
    w->n_cut = w->next_cut = 0;
    for (size_t i = 0; i < end; i += take[i])
        w->cut[w->n_cut++] = (uint16_t)(at[i + take[i]] - at[i]);
}

static size_t count_chars(const char *text, size_t len)
{
    size_t n = 0;
    for (size_t i = 0; i < len; n++)
        i += char_len((struct pn_str){ text + i, len - i });
    return n;
}

/* Refills the run: what is left of it, then characters from the text. */
static void fill_run(struct pn_mark_words *w)
{
    w->run_len -= w->run_at;
    memmove(w->run, w->run + w->run_at, w->run_len);
    w->run_at = 0;
    size_t chars = count_chars(w->run, w->run_len);
    for (; chars < PN_MARK_RUN; chars++) {
        skip_space(&w->rest);
        if (w->rest.len == 0 || is_ascii(w->rest))
            break;
        size_t n = char_len(w->rest);
        memcpy(w->run + w->run_len, w->rest.ptr, n);
        w->run_len += n;
        skip(&w->rest, n);
    }
    cut_run(w, chars == PN_MARK_RUN);
}

static struct pn_mark_token next_of_run(struct pn_mark_words *w)
{
    struct pn_str text = { w->run + w->run_at, w->cut[w->next_cut++] };
    w->run_at += text.len;
    return (struct pn_mark_token){ text, id_of(w->v, text), count_chars(text.ptr, text.len) };
}

/* ---- */

/* Bytes of the run of ASCII without white space that `s` begins with. */
static size_t ascii_run(struct pn_str s)
{
    size_t n = 0;
    for (; is_ascii(s) && space_len(s) == 0; n++)
        skip(&s, 1);
    return n;
}

static struct pn_mark_token next_plain(struct pn_mark_words *w)
{
    size_t n = is_ascii(w->rest) ? ascii_run(w->rest) : char_len(w->rest);
    struct pn_str word = { w->rest.ptr, n };
    skip(&w->rest, n);
    return (struct pn_mark_token){ word, id_of(w->v, word), 1 };
}

bool pn_mark_words_left(struct pn_mark_words *w)
{
    skip_space(&w->rest);
    return w->rest.len > 0 || w->run_at < w->run_len;
}

bool pn_mark_words_next(struct pn_mark_words *w, struct pn_mark_token *ret)
{
    if (!pn_mark_words_left(w))
        return false;
    bool in_run = w->v->log_p && (w->run_at < w->run_len || !is_ascii(w->rest));
    if (in_run && w->next_cut == w->n_cut)
        fill_run(w);
    *ret = in_run ? next_of_run(w) : next_plain(w);
    return true;
}
