/* pipeline.c - the recogniser that wraps a recogniser: whose work is next, and one step for all of it.
 *
 * Phases of inner streams are told from the pipeline's own, and those of the first recogniser from those of
 * the second, by an offset. A step collects the inner streams of all streams in the batch and makes one step
 * of their recogniser of them, so clients, and the segments of one file, share it. */
#include "asr/pipeline/pipeline.h"

#include "asr/pipeline/flow.h"
#include "asr/pipeline/plan.h"
#include "asr/pipeline/utterance.h"
#include "base/clock.h"

#include <stdlib.h>

enum {
    INBOX = 45 * PN_SAMPLE_RATE, /* lets a decode child run ahead */
    MAX_BATCH = 64,              /* inner streams in one step */
    STEP_US = 50000,             /* that a stream may add to one */
    PATIENCE_PART = 4,           /* of an utterance's length, for its final text */
    PATIENCE_US = 2000000,       /* at most */
    LISTEN_COST_US = 500,
    WRITE_COST_US = 20000
};

struct pn_recognizer *pn_pipeline_first(struct pn_recognizer *r)
{
    return pn_pipeline_of(r)->first;
}

void pn_pipeline_set_second(struct pn_recognizer *r, struct pn_recognizer *second)
{
    pn_pipeline_of(r)->parts.second = second;
}

/* ---- open and close ---- */

static int pipeline_check(const struct pn_recognizer *r, const struct pn_recognition *want,
                          struct pn_err *err)
{
    const struct pn_recognizer *first = pn_pipeline_of(r)->first;
    int e = want->vad_options ? pn_vad_check(want->vad_options, err) : 0;
    return e < 0 ? e : first->ops->check(first, want, err);
}

static void pipeline_close(struct pn_stream *st)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    struct pn_utterance *next;
    for (struct pn_utterance *u = s->first; u; u = next) {
        next = u->next;
        if (u->inner == s->direct)
            u->inner = NULL;
        pn_utterance_free(u);
    }
    if (s->direct)
        pn_ops(s->direct)->close(s->direct);
    pn_cutter_done(&s->cutter);
    pn_track_done(&s->track);
    pn_pcm_inbox_done(&s->inbox);
    pn_published_done(&s->published);
    pn_arena_free(s->arena);
    free(s);
}

/* A thread of the direct stream's recogniser, under its locks. */
static void direct_moved(void *ctx)
{
    struct pn_pipeline_stream *s = ctx;
    if (s->base.progress)
        s->base.progress(s->base.progress_ctx);
}

static int open_direct(struct pn_pipeline_stream *s, struct pn_err *err)
{
    struct pn_recognizer *first = s->pipeline->first;
    int r = first->ops->open(first, &s->want, &s->direct, err);
    if (r < 0)
        return r;
    s->direct->recognizer = first;
    s->direct->progress = s->plan.through ? direct_moved : NULL;
    s->direct->progress_ctx = s;
    s->direct->live = s->want.live;
    if (s->plan.through)
        return 0;
    /* One utterance, which its owner feeds. */
    struct pn_utterance *u = pn_utterance_new(s, PN_UTTERANCE_RUNNING);
    if (!u)
        return -PN_ENOMEM;
    u->inner = s->direct;
    u->bare = first->bare_text;
    s->heard_all = true;
    r = pn_utterance_begin(u, 0);
    if (r == 0)
        u->spans[0].end = INT64_MAX / 2;
    return r;
}

static int open_parts(struct pn_pipeline_stream *s, const struct pn_recognition *want, struct pn_err *err)
{
    int r = pn_plan_copy_want(s, want);
    if (r == 0)
        r = pn_published_init(&s->published);
    if (r < 0)
        return r;
    s->published.language = s->want.language;
    s->sentence_begins = true;
    s->plan = pn_plan_make(s->pipeline, &s->want);
    return s->plan.route == PN_ROUTE_DIRECT ? open_direct(s, err) : pn_pcm_inbox_init(&s->inbox, INBOX);
}

static int pipeline_open(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                         struct pn_err *err)
{
    int e = pipeline_check(r, want, err);
    if (e < 0)
        return e;
    struct pn_pipeline_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return pn_fail(err, PN_ENOMEM, "no memory for another stream");
    s->pipeline = pn_pipeline_of(r);
    e = open_parts(s, want, err);
    if (e < 0) {
        pipeline_close(&s->base);
        return pn_fail(err, (enum pn_error) - e, "no memory for another stream");
    }
    *ret = &s->base;
    return 0;
}

/* ---- samples ---- */

static int pipeline_feed(struct pn_stream *st, const float *pcm, size_t n)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->direct)
        return pn_ops(s->direct)->feed(s->direct, pcm, n);
    int64_t empty = 0;
    int r = pn_pcm_inbox_push(&s->inbox, pcm, n);
    if (r == 0)
        atomic_compare_exchange_strong_explicit(&s->waiting_us, &empty, pn_now_us(), memory_order_relaxed,
                                                memory_order_relaxed);
    return r;
}

static int pipeline_finish(struct pn_stream *st)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->direct)
        return pn_ops(s->direct)->finish(s->direct);
    pn_pcm_inbox_finish(&s->inbox);
    return 0;
}

/* ---- what is next ---- */

static bool more_urgent(const struct pn_work *a, const struct pn_work *b)
{
    if (a->phase == 0 || b->phase == 0)
        return a->phase != 0;
    return a->optional != b->optional ? b->optional : a->deadline_us < b->deadline_us;
}

/* Live: what an inner stream is given whole is as old as the moment when all of it was there; a chunk, which
 * the inner stream dates by itself, no older than the inner stream. */
static int64_t live_deadline(const struct pn_pipeline_stream *s, const struct pn_utterance *u, int64_t own_us)
{
    bool streamed = s->plan.route == PN_ROUTE_STREAMED && u->state <= PN_UTTERANCE_RUNNING;
    return streamed ? PN_MAX(own_us, u->heard_us) : u->due_us;
}

static struct pn_work work_of(const struct pn_pipeline_stream *s, const struct pn_utterance *u)
{
    struct pn_work w = { 0 };
    if (!u->inner)
        return w;
    w = pn_ops(u->inner)->next(u->inner);
    if (w.phase != 0)
        w.phase += u->state == PN_UTTERANCE_SECOND ? PN_PHASE_SECOND : PN_PHASE_FIRST;
    else if (pn_ops(u->inner)->status(u->inner, NULL) != 0)
        w = (struct pn_work){ .phase = PN_PHASE_TEND, .rows = 1 };
    if (s->want.live && w.phase != 0)
        w.deadline_us = live_deadline(s, u, w.deadline_us);
    w.optional = u->state == PN_UTTERANCE_OPEN && u->whole;
    return w;
}

/* The inner streams that can do the most urgent work of any of them; they are noted for the step. */
static struct pn_work inner_work(struct pn_pipeline_stream *s)
{
    struct pn_work lead = { 0 }, works[PN_PIPELINE_TOGETHER];
    const struct pn_utterance *of[PN_PIPELINE_TOGETHER], *first = NULL;
    size_t n = 0;
    for (const struct pn_utterance *u = s->first; u && n < PN_PIPELINE_TOGETHER; u = u->next) {
        struct pn_work w = work_of(s, u);
        if (more_urgent(&w, &lead)) {
            lead = w;
            first = u;
        }
        if (w.phase != 0) {
            works[n] = w;
            of[n++] = u;
        }
    }
    s->n_chosen = 0;
    if (lead.phase < PN_PHASE_FIRST)
        return lead;
    s->chosen[s->n_chosen++] = first->inner;
    for (size_t i = 0; i < n; i++)
        if (of[i] != first && works[i].phase == lead.phase && lead.cost_us + works[i].cost_us <= STEP_US) {
            s->chosen[s->n_chosen++] = of[i]->inner;
            lead.rows += works[i].rows;
            lead.cost_us += works[i].cost_us;
        }
    return lead;
}

static struct pn_work through_work(struct pn_pipeline_stream *s)
{
    struct pn_work w = pn_ops(s->direct)->next(s->direct);
    if (w.phase != 0)
        w.phase += PN_PHASE_FIRST;
    s->chosen[0] = s->direct;
    s->n_chosen = 1;
    return w;
}

/* What is heard whole takes a while by itself: a part of its length is no waiting. */
static int64_t waits_from(const struct pn_utterance *u)
{
    int64_t length_us = pn_stream_us((int64_t)pn_utterance_length(u));
    return u->due_us + PN_MIN(length_us / PATIENCE_PART, (int64_t)PATIENCE_US);
}

/* Since when audio waits to be followed, or the text of a complete utterance is late, whichever is older:
 * inner streams may have threads of their own. */
static int64_t waits_since(const struct pn_pipeline_stream *s, const struct pn_work *best)
{
    bool follows = best->phase == PN_PHASE_LISTEN ||
                   (best->phase >= PN_PHASE_FIRST && s->plan.route == PN_ROUTE_STREAMED);
    int64_t since_us = follows && best->phase < PN_PHASE_SECOND ? best->deadline_us : 0;
    for (const struct pn_utterance *u = s->first; u && u->state != PN_UTTERANCE_OPEN; u = u->next)
        if (since_us == 0 || waits_from(u) < since_us)
            since_us = waits_from(u);
    return since_us;
}

static struct pn_work pipeline_next(const struct pn_stream *st)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->plan.through)
        return through_work(s);
    if (s->failed)
        return (struct pn_work){ 0 };
    struct pn_work best = inner_work(s);
    struct pn_work listen = { .phase = PN_PHASE_LISTEN, .rows = 1, .cost_us = LISTEN_COST_US };
    if (pn_listen_ready(s, &listen.deadline_us) && more_urgent(&listen, &best))
        best = listen;
    struct pn_work write = {
        .phase = PN_PHASE_WRITE, .rows = 1, .cost_us = WRITE_COST_US, .deadline_us = s->write_us
    };
    if (pn_write_ready(s) && more_urgent(&write, &best))
        best = write;
    if (s->want.live)
        best.since_us = waits_since(s, &best);
    return best;
}

/* ---- steps ---- */

static void step_inner(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    struct pn_stream *inner[MAX_BATCH];
    size_t n_inner = 0;
    for (size_t i = 0; i < n; i++) {
        struct pn_pipeline_stream *s = pn_pipeline_stream_of(batch[i]);
        if (n_inner + s->n_chosen > MAX_BATCH) {
            r->ops->step(r, phase, inner, n_inner);
            n_inner = 0;
        }
        for (size_t k = 0; k < s->n_chosen; k++)
            inner[n_inner++] = s->chosen[k];
    }
    r->ops->step(r, phase, inner, n_inner);
}

static void step_own(enum pn_pipeline_phase phase, struct pn_pipeline_stream *s)
{
    struct pn_err err = { 0 };
    int r = 0;
    if (phase == PN_PHASE_LISTEN)
        r = pn_listen_step(s, &err);
    else if (phase == PN_PHASE_WRITE)
        r = pn_write_step(s);
    if (r < 0)
        pn_flow_fail(s, r, &err);
}

static void pipeline_step(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    struct pn_pipeline *p = pn_pipeline_of(r);
    bool inner = phase >= PN_PHASE_FIRST;
    if (phase >= PN_PHASE_SECOND)
        step_inner(p->parts.second, phase - PN_PHASE_SECOND, batch, n);
    else if (inner)
        step_inner(p->first, phase - PN_PHASE_FIRST, batch, n);
    for (size_t i = 0; i < n; i++) {
        struct pn_pipeline_stream *s = pn_pipeline_stream_of(batch[i]);
        if (s->plan.through)
            continue;
        if (!inner)
            step_own((enum pn_pipeline_phase)phase, s);
        pn_flow_advance(s, inner);
    }
}

/* ---- results ---- */

static int pipeline_status(const struct pn_stream *st, struct pn_err *err)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->plan.through)
        return pn_ops(s->direct)->status(s->direct, err);
    pthread_mutex_lock(&s->published.mu);
    int r = s->published.error;
    struct pn_err why = s->published.err;
    bool final = s->published.final;
    pthread_mutex_unlock(&s->published.mu);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : final;
}

static int pipeline_result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->plan.through)
        return pn_ops(s->direct)->result(s->direct, ret, err);
    struct pn_transcript *t = NULL;
    int r = pn_published_snapshot(&s->published, &t);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "no memory for the transcript");
    t->model = pn_arena_str(t->arena, pn_str(s->pipeline->base.name));
    t->task = pn_arena_str(t->arena, pn_str(s->want.task));
    if (!t->model || !t->task) {
        pn_transcript_free(t);
        return pn_fail(err, PN_ENOMEM, "no memory for the transcript");
    }
    *ret = t;
    return 0;
}

static double pipeline_position(const struct pn_stream *st)
{
    struct pn_pipeline_stream *s = pn_pipeline_stream_of(st);
    if (s->plan.through)
        return pn_ops(s->direct)->position(s->direct);
    pthread_mutex_lock(&s->published.mu);
    double position = s->published.position;
    pthread_mutex_unlock(&s->published.mu);
    return position;
}

/* ---- the recogniser ---- */

static void pipeline_free(struct pn_recognizer *r)
{
    struct pn_pipeline *p = pn_pipeline_of(r);
    p->first->ops->free(p->first);
    free(p);
}

static const struct pn_recognizer_ops PIPELINE_OPS = {
    .check = pipeline_check,
    .open = pipeline_open,
    .feed = pipeline_feed,
    .finish = pipeline_finish,
    .next = pipeline_next,
    .step = pipeline_step,
    .status = pipeline_status,
    .result = pipeline_result,
    .position = pipeline_position,
    .close = pipeline_close,
    .free = pipeline_free,
};

/* A thread of the wrapped recogniser, while one of its streams is open. */
static void first_woke(void *ctx)
{
    struct pn_pipeline *p = ctx;
    if (p->base.wake)
        p->base.wake(p->base.wake_ctx);
}

int pn_pipeline_new(struct pn_recognizer *first, const struct pn_pipeline_parts *parts,
                    struct pn_recognizer **ret, struct pn_err *err)
{
    struct pn_pipeline *p = calloc(1, sizeof(*p));
    if (!p)
        return pn_fail(err, PN_ENOMEM, "no memory for model '%s'", first->name);
    p->base = *first; /* its name and its facts */
    p->base.ops = &PIPELINE_OPS;
    p->base.wake = NULL;
    p->base.wake_ctx = NULL;
    p->first = first;
    if (parts)
        p->parts = *parts;
    first->wake = first_woke;
    first->wake_ctx = p;
    *ret = &p->base;
    return 0;
}
