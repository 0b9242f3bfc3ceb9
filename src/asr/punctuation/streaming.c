/* streaming.c - marks for sentence after sentence (spec paraformer 6.3). */
#include "asr/punctuation/rules.h"

enum { CACHE_TEXT_MAX = 1 << 16 }; /* bytes of words that are remembered, without blanks */

static bool is_ascii(char c)
{
    return (unsigned char)c < 0x80;
}

/* Where a call's words come from: what the stream remembers, then the new text. */
struct source {
    struct pn_mark_words cached, fresh;
    size_t n_cached;
};

static bool words_left(struct source *s)
{
    return pn_mark_words_left(&s->cached) || pn_mark_words_left(&s->fresh);
}

static int read_step(struct source *s, struct pn_mark_list *l)
{
    size_t before = l->n;
    int r = pn_mark_list_read(l, &s->cached, PN_MARK_STEP);
    return r < 0 ? r : pn_mark_list_read(l, &s->fresh, PN_MARK_STEP - (l->n - before));
}

/* Judges all words, as mini sentences of which each takes along what the one before left open. */
static int judge_all(const struct pn_mark_model *m, struct source *s, struct pn_mark_list *l)
{
    size_t done = 0;
    while (words_left(s)) {
        int r = read_step(s, l);
        if (r < 0 || (r = pn_mark_judge(m, l, done, s->n_cached, !words_left(s), &done)) < 0)
            return r;
    }
    return 0;
}

/* A blank goes between a word that begins in ASCII and one before it that ends so. */
static bool needs_blank(const struct pn_mark_list *l, size_t i)
{
    if (i == 0)
        return false;
    struct pn_str before = pn_mark_list_word(l, i - 1);
    return is_ascii(pn_mark_list_word(l, i).ptr[0]) && is_ascii(before.ptr[before.len - 1]);
}

static void write_word(const struct pn_mark_list *l, size_t i, struct pn_buf *out)
{
    if (needs_blank(l, i))
        pn_buf_putc(out, ' ');
    pn_buf_str(out, pn_mark_list_word(l, i));
}

/* Words from `skip` on with their marks, and the mark behind the last word before them, which was kept back;
 * the last mark is kept back in turn. */
static void write_list(const struct pn_mark_list *l, size_t skip, struct pn_buf *out)
{
    for (size_t i = 0; i < l->n; i++) {
        if (i >= skip)
            write_word(l, i, out);
        if (i + 1 >= skip && i + 1 < l->n)
            pn_buf_str(out, pn_mark_text((enum pn_mark)l->mark[i]));
    }
}

/* The words of the last sentence; the last of them when it is too long to remember. */
static void write_cache(const struct pn_mark_list *l, struct pn_buf *cache)
{
    size_t from = pn_mark_sentence_end(l->mark, l->n);
    if (l->n - from > PN_MARK_WORDS_MAX)
        from = l->n - PN_MARK_PATIENCE;
    while (from < l->n && l->text.len - l->item[from].at > CACHE_TEXT_MAX)
        from++;
    for (size_t i = from; i < l->n; i++)
        write_word(l, i, cache);
}

static int add_list(const struct pn_mark_list *l, size_t n_cached, struct pn_buf *cache, struct pn_buf *out)
{
    const size_t before = out->len;
    struct pn_buf next;
    pn_buf_init(&next, cache->max);
    write_list(l, n_cached, out);
    write_cache(l, &next);
    int r = out->failed ? out->failed : next.failed;
    if (r < 0) {
        pn_buf_cut(out, before);
        pn_buf_done(&next);
        return r;
    }
    pn_buf_done(cache);
    *cache = next;
    return 0;
}

static size_t count_words(struct pn_mark_words w)
{
    struct pn_mark_token t;
    size_t n = 0;
    while (pn_mark_words_next(&w, &t))
        n++;
    return n;
}

int pn_mark_text_streaming(const struct pn_mark_model *m, struct pn_buf *cache, struct pn_str text,
                           struct pn_buf *out)
{
    struct pn_mark_list l;
    struct source s;
    if (text.len > PN_MARK_CALL_MAX)
        return -PN_ELIMIT;
    pn_mark_words_init(&s.fresh, &m->vocabulary, text);
    pn_mark_words_init(&s.cached, &m->vocabulary, (struct pn_str){ cache->ptr, cache->len });
    if (!pn_mark_words_left(&s.fresh))
        return 0;
    s.n_cached = count_words(s.cached);
    pn_mark_list_init(&l, PN_MARK_CALL_MAX + cache->len);
    int r = judge_all(m, &s, &l);
    if (r == 0)
        r = add_list(&l, s.n_cached, cache, out);
    pn_mark_list_done(&l);
    return r;
}
