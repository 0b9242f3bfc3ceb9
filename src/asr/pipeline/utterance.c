/* utterance.c - see utterance.h. */
#include "asr/pipeline/utterance.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SLICE = 1600 /* samples fed at once: little room must do */ };
#define TEXT_MAX ((size_t)1 << 20)

struct pn_utterance *pn_utterance_new(struct pn_pipeline_stream *s, enum pn_utterance_state state)
{
    struct pn_utterance *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->state = state;
    pn_buf_init(&u->shown, TEXT_MAX);
    pn_agreement_init(&u->agreement);
    *(s->last ? &s->last->next : &s->first) = u;
    s->last = u;
    return u;
}

struct pn_utterance *pn_utterance_free(struct pn_utterance *u)
{
    if (!u)
        return NULL;
    pn_utterance_drop_inner(u);
    for (size_t i = 0; u->lines && i < u->heard->n_segments; i++) {
        free(u->lines[i].marks);
        free(u->lines[i].text);
    }
    free(u->lines);
    pn_transcript_free(u->heard);
    pn_agreement_done(&u->agreement);
    pn_buf_done(&u->shown);
    free(u->pcm);
    free(u->spans);
    free(u);
    return NULL;
}

/* ---- spans ---- */

int pn_utterance_begin(struct pn_utterance *u, int64_t start)
{
    struct pn_span *spans = realloc(u->spans, (u->n_spans + 1) * sizeof(*spans));
    if (!spans)
        return -PN_ENOMEM;
    spans[u->n_spans++] = (struct pn_span){ start, start };
    u->spans = spans;
    return 0;
}

int64_t pn_utterance_start(const struct pn_utterance *u)
{
    return u->spans[0].start;
}

size_t pn_utterance_length(const struct pn_utterance *u)
{
    size_t n = 0;
    for (size_t i = 0; i < u->n_spans; i++)
        n += (size_t)(u->spans[i].end - u->spans[i].start);
    return n;
}

/* Whether anybody will hear it from its beginning again. */
static bool is_needed_whole(const struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    return s->plan.route != PN_ROUTE_STREAMED || (s->plan.second && !u->no_second);
}

int pn_utterance_end(struct pn_pipeline_stream *s, struct pn_utterance *u, int64_t end)
{
    struct pn_span *span = &u->spans[u->n_spans - 1];
    size_t before = pn_utterance_length(u), n = before + (size_t)(end - span->start);
    size_t from = is_needed_whole(s, u) ? before : PN_MIN(u->n_fed, n);
    if (from < n) {
        if (!u->pcm)
            u->pcm_from = from;
        float *pcm = realloc(u->pcm, (n - u->pcm_from) * sizeof(*pcm));
        if (!pcm)
            return -PN_ENOMEM;
        u->pcm = pcm;
        memcpy(pcm + (from - u->pcm_from), pn_track_at(&s->track, span->start + (int64_t)(from - before)),
               (n - from) * sizeof(*pcm));
    }
    span->end = end;
    u->n_to_feed = n;
    u->whole = true;
    return 0;
}

double pn_utterance_time(const struct pn_utterance *u, double seconds, bool is_end)
{
    int64_t sample = llround(seconds * PN_SAMPLE_RATE), before = 0;
    for (size_t i = 0; i < u->n_spans; i++) {
        const struct pn_span *span = &u->spans[i];
        int64_t n = span->end - span->start, into = sample - before;
        if (i + 1 == u->n_spans && u->state != PN_UTTERANCE_OPEN)
            into = PN_MIN(into, n); /* a model's times may be a little behind the end */
        if (into < n || (is_end && into == n) || i + 1 == u->n_spans)
            return (double)(span->start + into) / PN_SAMPLE_RATE;
        before += n;
    }
    return seconds;
}

/* ---- inner streams ---- */

static struct pn_recognition wish(const struct pn_pipeline_stream *s, enum pn_hearing how)
{
    struct pn_recognition want = s->want;
    if (s->language && s->plan.route == PN_ROUTE_SEGMENTS)
        want.language = s->language;
    if (how == PN_HEAR_DRAFT) { /* soon, rather than as well as can be */
        want.beam_size = 0;
        want.word_timestamps = false;
        want.auto_context = true;
    }
    return want;
}

void pn_utterance_drop_inner(struct pn_utterance *u)
{
    if (u->inner)
        pn_ops(u->inner)->close(u->inner);
    u->inner = NULL;
}

static bool waits_for_second(const struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    return u->state == PN_UTTERANCE_RUNNING && s->plan.second && !u->no_second;
}

static const float *samples_at(const struct pn_pipeline_stream *s, const struct pn_utterance *u, size_t i)
{
    return u->pcm ? u->pcm + (i - u->pcm_from) : pn_track_at(&s->track, pn_utterance_start(u) + (int64_t)i);
}

int pn_utterance_pump(struct pn_pipeline_stream *s, struct pn_utterance *u)
{
    int r = 0;
    while (u->n_fed < u->n_to_feed && r == 0) {
        size_t n = PN_MIN(u->n_to_feed - u->n_fed, (size_t)SLICE);
        r = pn_ops(u->inner)->feed(u->inner, samples_at(s, u, u->n_fed), n);
        if (r == 0)
            u->n_fed += n;
    }
    if (r == 0 && u->whole && !u->finished) {
        r = pn_ops(u->inner)->finish(u->inner);
        u->finished = true;
        if (!waits_for_second(s, u)) {
            free(u->pcm);
            u->pcm = NULL;
        }
    }
    return r == -PN_EFULL ? 0 : r;
}

int pn_utterance_hear(struct pn_pipeline_stream *s, struct pn_utterance *u, enum pn_hearing how,
                      struct pn_err *err)
{
    struct pn_recognizer *r = how == PN_HEAR_SECOND ? s->pipeline->parts.second : s->pipeline->first;
    struct pn_recognition want = wish(s, how);
    struct pn_stream *inner = NULL;
    int e = r->ops->open(r, &want, &inner, err);
    if (e < 0)
        return e;
    inner->recognizer = r;
    inner->progress = NULL;
    inner->live = want.live;
    if (s->want.live) {
        int64_t began_us = pn_stream_due_us(&s->base, pn_utterance_start(u));
        atomic_store_explicit(&inner->began_us, began_us, memory_order_relaxed);
    }
    u->inner = inner;
    u->heard_us = pn_now_us();
    u->n_fed = 0;
    u->finished = false;
    u->bare = r->bare_text;
    return pn_utterance_pump(s, u);
}
