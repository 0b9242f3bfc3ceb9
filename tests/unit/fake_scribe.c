/* fake_scribe.c - see fake_scribe.h. */
#include "fake_scribe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 800, CLEAR = 1600, MAX_HEARD = 4096 };

struct heard {
    int k;
    int64_t start, end;
    bool misheard;
};

struct scribe_stream {
    struct pn_stream base;
    struct scribe *scribe;
    struct pn_pcm_inbox inbox;
    struct scribe_stream *next_deferred;
    bool word_times;
    pthread_mutex_t mu;
    /* Guarded by mu. */
    bool taken, found, failed; /* all samples taken; words found */
    int64_t at;                /* samples taken */
    int value;                 /* of the running word */
    int64_t since;
    struct heard words[MAX_HEARD];
    size_t n;
};

static const char *const ENGLISH[SCRIBE_WORDS] = { "",     "one", "two",   "three", "four",
                                                   "five", "six", "seven", "eight", "nine" };
static const char *const CHINESE[SCRIBE_WORDS] = { "", "一", "二", "三", "四", "五", "六", "七", "八", "九" };

static struct scribe *scribe_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct scribe, base);
}

static struct scribe_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct scribe_stream, base);
}

const char *scribe_word(const struct scribe *r, int k)
{
    return r->chinese ? CHINESE[k] : ENGLISH[k];
}

static int check(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err)
{
    (void)r;
    return strcmp(want->language, "xx") == 0 ? pn_fail(err, PN_EUNSUPPORTED, "no xx here") : 0;
}

static int open_stream(struct pn_recognizer *rec, const struct pn_recognition *want, struct pn_stream **ret,
                       struct pn_err *err)
{
    struct scribe *r = scribe_of(rec);
    if (r->fail_open)
        return pn_fail(err, (enum pn_error) - r->fail_open, "told to fail");
    struct scribe_stream *s = calloc(1, sizeof(*s));
    if (!s || pn_pcm_inbox_init(&s->inbox, r->inbox) < 0) {
        free(s);
        return pn_fail(err, PN_ENOMEM, "no memory for a scribe");
    }
    s->scribe = r;
    s->word_times = want->word_timestamps;
    pthread_mutex_init(&s->mu, NULL);
    pthread_mutex_lock(&r->mu);
    r->n_open++;
    r->n_opened++;
    r->max_open = PN_MAX(r->max_open, r->n_open);
    strncat(r->languages, want->language[0] ? want->language : "-",
            sizeof(r->languages) - strlen(r->languages) - 1);
    pthread_mutex_unlock(&r->mu);
    *ret = &s->base;
    return 0;
}

static int feed(struct pn_stream *st, const float *pcm, size_t n)
{
    struct scribe *r = stream_of(st)->scribe;
    int e = pn_pcm_inbox_push(&stream_of(st)->inbox, pcm, n);
    pthread_mutex_lock(&r->mu);
    for (size_t i = 0; i < n && e == 0; i++) {
        r->n_samples++;
        r->n_zeros += pcm[i] == 0;
    }
    pthread_mutex_unlock(&r->mu);
    return e;
}

static int finish(struct pn_stream *st)
{
    pn_pcm_inbox_finish(&stream_of(st)->inbox);
    return 0;
}

static struct pn_work next_work(const struct pn_stream *st)
{
    struct scribe_stream *s = stream_of(st);
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    pthread_mutex_lock(&s->mu);
    bool deferred = s->next_deferred || s->scribe->deferred_first == s;
    int phase = s->failed || s->found || deferred ? 0 : s->taken ? 2 : n >= SCRIBE_CHUNK || finished ? 1 : 0;
    pthread_mutex_unlock(&s->mu);
    return (
        struct pn_work){ .phase = phase, .rows = 1, .cost_us = 1000, .deadline_us = s->scribe->deadline_us };
}

static void end_run(struct scribe_stream *s, bool last)
{
    int64_t n = s->at - s->since;
    if (s->value > 0 && n >= LEAST) {
        if (s->n == MAX_HEARD)
            abort();
        s->words[s->n++] = (struct heard){ s->value, s->since, s->at, last && n < CLEAR };
        s->failed |= s->scribe->fail_at_word && s->value == s->scribe->fail_at_word;
    }
}

static void hear(struct scribe_stream *s, const float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++, s->at++) {
        int value = (int)lrintf(pcm[i] * 32);
        if (value == s->value)
            continue;
        end_run(s, false);
        s->value = value;
        s->since = s->at;
    }
}

static void step_stream(struct scribe_stream *s, int phase)
{
    float pcm[SCRIBE_CHUNK];
    bool end = false;
    pthread_mutex_lock(&s->mu);
    if (phase == 1) {
        hear(s, pcm, 0);
        size_t n = pn_pcm_inbox_take(&s->inbox, pcm, SCRIBE_CHUNK, &end);
        hear(s, pcm, n);
        if (end)
            end_run(s, true);
        s->taken = end;
    } else if (s->scribe->deferred) {
        s->next_deferred = s->scribe->deferred_first;
        s->scribe->deferred_first = s;
    } else {
        s->found = true;
    }
    pthread_mutex_unlock(&s->mu);
}

static void step(struct pn_recognizer *rec, int phase, struct pn_stream *const *batch, size_t n)
{
    struct scribe *r = scribe_of(rec);
    pthread_mutex_lock(&r->mu);
    r->n_steps++;
    r->largest_batch = PN_MAX(r->largest_batch, n);
    for (size_t i = 0; i < n; i++)
        step_stream(stream_of(batch[i]), phase);
    pthread_mutex_unlock(&r->mu);
}

void scribe_release(struct scribe *r)
{
    pthread_mutex_lock(&r->mu);
    while (r->deferred_first) {
        struct scribe_stream *s = r->deferred_first;
        r->deferred_first = s->next_deferred;
        pthread_mutex_lock(&s->mu);
        s->next_deferred = NULL;
        s->found = true;
        pthread_mutex_unlock(&s->mu);
        if (s->base.progress)
            s->base.progress(s->base.progress_ctx);
    }
    if (r->n_open > 0 && r->base.wake)
        r->base.wake(r->base.wake_ctx);
    pthread_mutex_unlock(&r->mu);
}

static int status(const struct pn_stream *st, struct pn_err *err)
{
    struct scribe_stream *s = stream_of(st);
    pthread_mutex_lock(&s->mu);
    bool failed = s->failed, found = s->found;
    pthread_mutex_unlock(&s->mu);
    return failed ? pn_fail(err, PN_EFORMAT, "the scribe gave up") : found;
}

/* NULL without memory. */
static const char *write_word(struct scribe_stream *s, struct pn_arena *a, size_t i, struct pn_word *ret)
{
    const struct heard *h = &s->words[i];
    int k = s->scribe->hears_wrong && h->k == 1 ? 2 : h->k;
    const char *text = pn_arena_printf(a, "%s%s", s->scribe->chinese ? "" : " ",
                                       h->misheard ? "mumble" : scribe_word(s->scribe, k));
    *ret = (struct pn_word){
        .text = text, .start = (double)h->start / 16000, .end = (double)h->end / 16000, .confidence = 0.9
    };
    return text;
}

static int write_words(struct scribe_stream *s, struct pn_transcript *t)
{
    struct pn_segment *segment = pn_arena_alloc(t->arena, sizeof(*segment));
    struct pn_word *words = pn_arena_alloc(t->arena, (s->n + 1) * sizeof(*words));
    const char *text = "";
    if (!segment || !words)
        return -PN_ENOMEM;
    for (size_t i = 0; i < s->n; i++) {
        const char *word = write_word(s, t->arena, i, &words[i]);
        text = word ? pn_arena_printf(t->arena, "%s%s", text, word) : NULL;
        if (!text)
            return -PN_ENOMEM;
    }
    *segment = (struct pn_segment){ .start = words[0].start,
                                    .end = s->n ? words[s->n - 1].end : 0,
                                    .seek = (int64_t)(words[0].start * 100),
                                    .text = text,
                                    .words = words,
                                    .n_words = s->n,
                                    .confidence = 0.5 };
    t->text = text;
    t->segments = segment;
    t->n_segments = s->n > 0;
    return 0;
}

static int result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct scribe_stream *s = stream_of(st);
    struct pn_transcript *t = NULL;
    if (pn_transcript_new(1 << 24, &t) < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for what was heard");
    pthread_mutex_lock(&s->mu);
    int r = write_words(s, t);
    t->model = "scribe";
    t->language = s->scribe->language;
    t->task = "transcribe";
    t->duration = (double)s->at / 16000;
    t->word_times = s->word_times;
    t->final = s->found;
    pthread_mutex_unlock(&s->mu);
    if (r < 0) {
        pn_transcript_free(t);
        return pn_fail(err, PN_ENOMEM, "no memory for what was heard");
    }
    *ret = t;
    return 0;
}

static double position(const struct pn_stream *st)
{
    struct scribe_stream *s = stream_of(st);
    pthread_mutex_lock(&s->mu);
    double at = (double)s->at / 16000;
    pthread_mutex_unlock(&s->mu);
    return at;
}

static void close_stream(struct pn_stream *st)
{
    struct scribe_stream *s = stream_of(st);
    struct scribe *r = s->scribe;
    pthread_mutex_lock(&r->mu);
    r->n_open--;
    for (struct scribe_stream **link = &r->deferred_first; *link; link = &(*link)->next_deferred)
        if (*link == s) {
            *link = s->next_deferred;
            break;
        }
    pthread_mutex_unlock(&r->mu);
    pthread_mutex_destroy(&s->mu);
    pn_pcm_inbox_done(&s->inbox);
    free(s);
}

static void free_scribe(struct pn_recognizer *rec)
{
    scribe_of(rec)->n_freed++;
}

static const struct pn_recognizer_ops OPS = { .check = check,
                                              .open = open_stream,
                                              .feed = feed,
                                              .finish = finish,
                                              .next = next_work,
                                              .step = step,
                                              .status = status,
                                              .result = result,
                                              .position = position,
                                              .close = close_stream,
                                              .free = free_scribe };

void scribe_init(struct scribe *r)
{
    memset(r, 0, sizeof(*r));
    r->base.ops = &OPS;
    r->base.name = "scribe";
    r->language = "";
    r->inbox = SCRIBE_INBOX;
    pthread_mutex_init(&r->mu, NULL);
}

void scribe_done(struct scribe *r)
{
    if (r->n_open != 0)
        abort();
    pthread_mutex_destroy(&r->mu);
}

int scribe_open_now(struct scribe *r)
{
    pthread_mutex_lock(&r->mu);
    int n = r->n_open;
    pthread_mutex_unlock(&r->mu);
    return n;
}
