/* pipeline.c - the recogniser that wraps a recogniser: whose work is next, and one step for all of it.
 *
 * Phases of inner streams are told from the pipeline's own by an offset. A step collects the inner streams of
 * all streams in the batch and makes one step of the wrapped recogniser of them, so clients share a step as
 * if nothing was in between. */
#include "asr/pipeline/pipeline.h"

#include <stdlib.h>

enum { PHASE_INNER = 0x100 };
enum { MAX_BATCH = 64 }; /* inner streams in one step */

struct pipeline {
    struct pn_recognizer base;
    struct pn_recognizer *first; /* owned */
};

struct pipeline_stream {
    struct pn_stream base;
    struct pipeline *pipeline;
    struct pn_stream *direct; /* its samples go straight in, its results are the stream's */
};

static struct pipeline *pipeline_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct pipeline, base);
}

static struct pipeline_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct pipeline_stream, base);
}

static const struct pn_recognizer_ops *ops_of(const struct pn_stream *inner)
{
    return inner->recognizer->ops;
}

struct pn_recognizer *pn_pipeline_first(struct pn_recognizer *r)
{
    return pipeline_of(r)->first;
}

/* ---- open and close ---- */

static int pipeline_check(const struct pn_recognizer *r, const struct pn_recognition *want,
                          struct pn_err *err)
{
    const struct pn_recognizer *first = pipeline_of(r)->first;
    return first->ops->check(first, want, err);
}

/* The inner stream's own thread, under its locks. */
static void inner_moved(void *ctx)
{
    struct pipeline_stream *s = ctx;
    if (s->base.progress)
        s->base.progress(s->base.progress_ctx);
}

static int open_inner(struct pipeline_stream *s, const struct pn_recognition *want, struct pn_stream **ret,
                      struct pn_err *err)
{
    struct pn_recognizer *r = s->pipeline->first;
    struct pn_stream *inner = NULL;
    int e = r->ops->open(r, want, &inner, err);
    if (e < 0)
        return e;
    inner->recognizer = r;
    inner->progress = inner_moved;
    inner->progress_ctx = s;
    inner->live = want->live;
    *ret = inner;
    return 0;
}

static void pipeline_close(struct pn_stream *st)
{
    struct pipeline_stream *s = stream_of(st);
    if (s->direct)
        ops_of(s->direct)->close(s->direct);
    free(s);
}

static int pipeline_open(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                         struct pn_err *err)
{
    struct pipeline_stream *s = calloc(1, sizeof(*s));
    if (!s)
        return pn_fail(err, PN_ENOMEM, "no memory for another stream");
    s->pipeline = pipeline_of(r);
    int e = open_inner(s, want, &s->direct, err);
    if (e < 0)
        pipeline_close(&s->base);
    else
        *ret = &s->base;
    return e;
}

/* ---- samples ---- */

static int pipeline_feed(struct pn_stream *st, const float *pcm, size_t n)
{
    struct pn_stream *inner = stream_of(st)->direct;
    return ops_of(inner)->feed(inner, pcm, n);
}

static int pipeline_finish(struct pn_stream *st)
{
    struct pn_stream *inner = stream_of(st)->direct;
    return ops_of(inner)->finish(inner);
}

/* ---- the scheduler's side ---- */

static struct pn_work pipeline_next(const struct pn_stream *st)
{
    const struct pn_stream *inner = stream_of(st)->direct;
    struct pn_work work = ops_of(inner)->next(inner);
    if (work.phase)
        work.phase += PHASE_INNER;
    return work;
}

static void pipeline_step(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    struct pn_recognizer *first = pipeline_of(r)->first;
    struct pn_stream *inner[MAX_BATCH];
    for (size_t done = 0, k; done < n; done += k) {
        for (k = 0; k < MAX_BATCH && done + k < n; k++)
            inner[k] = stream_of(batch[done + k])->direct;
        first->ops->step(first, phase - PHASE_INNER, inner, k);
    }
}

/* ---- results ---- */

static int pipeline_status(const struct pn_stream *st, struct pn_err *err)
{
    const struct pn_stream *inner = stream_of(st)->direct;
    return ops_of(inner)->status(inner, err);
}

static int pipeline_result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct pn_stream *inner = stream_of(st)->direct;
    return ops_of(inner)->result(inner, ret, err);
}

static double pipeline_position(const struct pn_stream *st)
{
    const struct pn_stream *inner = stream_of(st)->direct;
    return ops_of(inner)->position(inner);
}

/* ---- the recogniser ---- */

static void pipeline_free(struct pn_recognizer *r)
{
    struct pipeline *p = pipeline_of(r);
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
    struct pipeline *p = ctx;
    if (p->base.wake)
        p->base.wake(p->base.wake_ctx);
}

int pn_pipeline_new(struct pn_recognizer *first, struct pn_recognizer **ret, struct pn_err *err)
{
    struct pipeline *p = calloc(1, sizeof(*p));
    if (!p)
        return pn_fail(err, PN_ENOMEM, "no memory for model '%s'", first->name);
    p->base = (struct pn_recognizer){ .ops = &PIPELINE_OPS,
                                      .name = first->name,
                                      .streaming = first->streaming,
                                      .one_utterance = first->one_utterance,
                                      .bare_text = first->bare_text,
                                      .window_s = first->window_s };
    p->first = first;
    first->wake = first_woke;
    first->wake_ctx = p;
    *ret = &p->base;
    return 0;
}
