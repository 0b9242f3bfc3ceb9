/* published.c - see published.h.
 *
 * A closed segment and its strings are written before it is counted, under mu, and never again. So a snapshot
 * notes under mu how many there are and refers to their words and texts. */
#include "asr/pipeline/published.h"

#include "text/spoken.h"
#include "text/utf8.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define CLOSED_MAX   ((size_t)512 << 20) /* days of speech */
#define SNAPSHOT_MAX ((size_t)1 << 30)
#define TEXT_MAX     ((size_t)64 << 20)

/* ---- life ---- */

struct pn_kept {
    atomic_int refs;
    struct pn_arena *arena; /* the scheduler's thread alone allocates */
};

static int kept_new(struct pn_kept **ret)
{
    struct pn_kept *k = malloc(sizeof(*k));
    if (!k || pn_arena_new(CLOSED_MAX, &k->arena) < 0) {
        free(k);
        return -PN_ENOMEM;
    }
    atomic_init(&k->refs, 1);
    *ret = k;
    return 0;
}

static void kept_unref(void *kept)
{
    struct pn_kept *k = kept;
    if (atomic_fetch_sub_explicit(&k->refs, 1, memory_order_acq_rel) > 1)
        return;
    pn_arena_free(k->arena);
    free(k);
}

int pn_published_init(struct pn_published *p)
{
    *p = (struct pn_published){ .language = "" };
    pn_buf_init(&p->open.text, TEXT_MAX);
    pn_buf_init(&p->live, TEXT_MAX);
    pn_buf_init(&p->text, TEXT_MAX);
    int r = kept_new(&p->kept);
    if (r == 0)
        pthread_mutex_init(&p->mu, NULL);
    return r;
}

void pn_published_done(struct pn_published *p)
{
    if (!p->kept)
        return;
    pthread_mutex_destroy(&p->mu);
    pn_buf_done(&p->open.text);
    pn_buf_done(&p->live);
    pn_buf_done(&p->text);
    free(p->sentences);
    kept_unref(p->kept);
    p->kept = NULL;
}

/* ---- segments and sentences ---- */

static const struct pn_word *copy_words(struct pn_arena *a, const struct pn_word *from, size_t n)
{
    struct pn_word *words = pn_arena_alloc(a, (n + 1) * sizeof(*words));
    for (size_t i = 0; words && i < n; i++) {
        words[i] = from[i];
        words[i].text = pn_arena_str(a, pn_str(from[i].text));
        if (!words[i].text)
            return NULL;
    }
    return words;
}

/* Everything but the text. */
static int copy_segment(struct pn_arena *a, const struct pn_segment *from, struct pn_segment *to)
{
    int32_t *tokens = pn_arena_alloc(a, (from->n_tokens + 1) * sizeof(*tokens));
    *to = *from;
    to->words = copy_words(a, from->words, from->n_words);
    if (!tokens || !to->words)
        return -PN_ENOMEM;
    if (from->n_tokens)
        memcpy(tokens, from->tokens, from->n_tokens * sizeof(*tokens));
    to->tokens = tokens;
    return 0;
}

/* The text as it stands behind the one before, with the blank that joins them. */
static const char *joined(struct pn_published *p, struct pn_str text)
{
    struct pn_buf b;
    pn_buf_init(&b, TEXT_MAX);
    struct pn_str before = pn_str(p->newest ? p->newest->segment.text : "");
    pn_buf_str(&b, before);
    pn_spoken_join(&b, text);
    const char *copy = NULL;
    if (b.failed == 0)
        copy = pn_arena_strndup(p->kept->arena, b.ptr + before.len, b.len - before.len);
    pn_buf_done(&b);
    return copy;
}

int pn_published_close(struct pn_published *p, const struct pn_segment *segment, struct pn_str text)
{
    if (pn_utf8_strip(text).len == 0)
        return 0;
    struct pn_closed *c = pn_arena_alloc(p->kept->arena, sizeof(*c));
    if (!c || copy_segment(p->kept->arena, segment, &c->segment) < 0)
        return -PN_ENOMEM;
    c->segment.text = joined(p, text);
    c->segment.open = false;
    c->segment.id = (int)p->n_made;
    if (!c->segment.text)
        return -PN_ENOMEM;
    pthread_mutex_lock(&p->mu);
    *(p->newest ? &p->newest->next : &p->first) = c;
    pn_buf_puts(&p->text, c->segment.text);
    int r = p->text.failed;
    pthread_mutex_unlock(&p->mu);
    p->newest = c;
    p->n_made++;
    return r;
}

void pn_published_show(struct pn_published *p)
{
    p->n_closed = p->n_made;
    p->text_closed = p->text.len;
}

int pn_published_sentence(struct pn_published *p, double start, size_t *ret_index)
{
    int r = 0;
    pthread_mutex_lock(&p->mu);
    if (p->n_sentences == p->cap_sentences) {
        size_t cap = p->cap_sentences ? 2 * p->cap_sentences : 4;
        struct pn_sentence *more = reallocarray(p->sentences, cap, sizeof(*more));
        r = more ? 0 : -PN_ENOMEM;
        if (more) {
            p->sentences = more;
            p->cap_sentences = cap;
        }
    }
    if (r == 0) {
        *ret_index = p->n_sentences;
        p->sentences[p->n_sentences++] = (struct pn_sentence){
            .start = start, .end = -1, .live_start = p->live.len, .live_end = p->live.len
        };
    }
    pthread_mutex_unlock(&p->mu);
    return r;
}

/* ---- snapshots ---- */

/* The first n closed segments, whose words and texts stay where they are; the `next` of the last may be set
 * by the other thread meanwhile. */
static int share_closed(struct pn_published *p, struct pn_transcript *t, const struct pn_closed *c, size_t n,
                        struct pn_segment *to)
{
    if (pn_arena_on_reset(t->arena, kept_unref, p->kept) < 0)
        return -PN_ENOMEM;
    atomic_fetch_add_explicit(&p->kept->refs, 1, memory_order_relaxed);
    for (size_t i = 0; i < n; i++) {
        to[i] = c->segment;
        c = i + 1 < n ? c->next : NULL;
    }
    return 0;
}

static int copy_sentences(const struct pn_published *p, struct pn_transcript *t)
{
    struct pn_sentence *s = pn_arena_alloc(t->arena, (p->n_sentences + 1) * sizeof(*s));
    if (!s)
        return -PN_ENOMEM;
    if (p->n_sentences)
        memcpy(s, p->sentences, p->n_sentences * sizeof(*s));
    t->sentences = s;
    t->n_sentences = p->n_sentences;
    return 0;
}

/* All that is shown, and what is open behind it. NULL without memory. */
static const char *copy_text(const struct pn_published *p, struct pn_arena *a)
{
    struct pn_str open = { p->open.text.ptr, p->open.text.len };
    struct pn_buf b;
    pn_buf_init(&b, SNAPSHOT_MAX);
    pn_buf_append(&b, p->text.ptr, p->text_closed);
    pn_spoken_join(&b, open);
    const char *copy = b.failed ? NULL : pn_arena_str(a, pn_utf8_strip((struct pn_str){ b.ptr, b.len }));
    pn_buf_done(&b);
    return copy;
}

/* What changes: copied under mu. */
static int copy_open(struct pn_published *p, struct pn_transcript *t, struct pn_segment *ret_open,
                     size_t *ret_n)
{
    const struct pn_open_segment *o = &p->open;
    t->language = pn_arena_str(t->arena, pn_str(p->language));
    t->live_text = pn_arena_strndup(t->arena, p->live.ptr, p->live.len);
    t->duration = p->duration;
    t->word_times = p->word_times;
    t->final = p->final;
    t->text = copy_text(p, t->arena);
    *ret_n = p->n_closed;
    *ret_open = (struct pn_segment){ .id = (int)p->n_closed,
                                     .seek = (int64_t)(o->start * 100),
                                     .start = o->start,
                                     .end = o->end,
                                     .text = pn_arena_strndup(t->arena, o->text.ptr, o->text.len),
                                     .confidence = o->confidence,
                                     .open = true };
    return t->language && t->live_text && t->text && ret_open->text ? copy_sentences(p, t) : -PN_ENOMEM;
}

static int fill(struct pn_published *p, struct pn_transcript *t)
{
    struct pn_segment open;
    size_t n;
    pthread_mutex_lock(&p->mu);
    const struct pn_closed *first = p->first;
    int r = copy_open(p, t, &open, &n);
    pthread_mutex_unlock(&p->mu);
    struct pn_segment *segments = r == 0 ? pn_arena_alloc(t->arena, (n + 1) * sizeof(*segments)) : NULL;
    if (!segments)
        return -PN_ENOMEM;
    r = share_closed(p, t, first, n, segments);
    if (open.text[0])
        segments[n++] = open;
    t->segments = segments;
    t->n_segments = n;
    return r;
}

int pn_published_snapshot(struct pn_published *p, struct pn_transcript **ret)
{
    struct pn_transcript *t = NULL;
    int r = pn_transcript_new(SNAPSHOT_MAX, &t);
    if (r < 0)
        return r;
    r = fill(p, t);
    if (r < 0)
        pn_transcript_free(t);
    else
        *ret = t;
    return r;
}
