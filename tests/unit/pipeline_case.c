/* pipeline_case.c - see pipeline_case.h. */
#include "pipeline_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static int g_detector, g_punctuation; /* the fakes look at neither */

void stage_init(struct stage *g)
{
    memset(g, 0, sizeof(*g));
    scribe_init(&g->first);
    scribe_init(&g->second);
    g->second.base.name = "second";
    scribe_init(&g->patient);
    g->patient.deadline_us = INT64_MAX / 2;
    g->parts.vad = (const struct pn_vad_model *)&g_detector;
    g->parts.punctuation = (const struct pn_punctuation *)&g_punctuation;
}

void stage_open(struct stage *g)
{
    struct pn_scheduler_options opt = { .max_streams = 16, .batch_size = 16, .row_budget = 1000 };
    assert_int_equal(pn_pipeline_new(&g->first.base, &g->parts, &g->pipeline, NULL), 0);
    assert_int_equal(pn_scheduler_new(&opt, &g->scheduler, NULL), 0);
}

void stage_close(struct stage *g)
{
    pn_scheduler_free(g->scheduler);
    g->pipeline->ops->free(g->pipeline);
    assert_int_equal(g->first.n_freed, 1);
    assert_int_equal(g->second.n_freed, 0);
    scribe_done(&g->first);
    scribe_done(&g->second);
    scribe_done(&g->patient);
}

/* ---- audio ---- */

void tape_add(struct tape *t, int word, int ms)
{
    size_t n = (size_t)ms * 16;
    if (t->n + n > t->cap) {
        t->cap = (t->n + n) * 2;
        t->pcm = realloc(t->pcm, t->cap * sizeof(float));
        assert_non_null(t->pcm);
    }
    for (size_t i = 0; i < n; i++)
        t->pcm[t->n++] = WORD(word);
}

struct tape tape_of(const char *score)
{
    struct tape t = { 0 };
    for (; *score; score++) {
        if (*score == '.')
            tape_add(&t, 0, 1000);
        else if (*score != ' ')
            tape_add(&t, *score - '0', 200);
        if (*score != '.' && *score != ' ')
            tape_add(&t, 0, 40);
    }
    return t;
}

void tape_free(struct tape *t)
{
    free(t->pcm);
    *t = (struct tape){ 0 };
}

/* ---- streams ---- */

static void post(void *ctx)
{
    sem_post(ctx);
}

void listener_open(struct listener *l, struct stage *g, const struct pn_recognition *want)
{
    struct pn_err err = { 0 };
    *l = (struct listener){ .stage = g };
    sem_init(&l->moved, 0, 0);
    if (pn_scheduler_open(g->scheduler, g->pipeline, want, post, &l->moved, &l->stream, &err) < 0)
        fail_msg("%s", err.text);
}

void listener_feed(struct listener *l, const float *pcm, size_t n)
{
    for (size_t at = 0, k; at < n; at += k) {
        k = PN_MIN(n - at, (size_t)8000);
        int r;
        while ((r = pn_scheduler_feed(l->stage->scheduler, l->stream, pcm + at, k)) == -PN_EFULL)
            sem_wait(&l->moved);
        assert_int_equal(r, 0);
    }
}

void wait_idle(struct stage *g)
{
    const struct pn_recognition want = { .language = "", .task = "transcribe" };
    struct pn_stream *st = NULL;
    sem_t moved;
    sem_init(&moved, 0, 0);
    assert_int_equal(pn_scheduler_open(g->scheduler, &g->patient.base, &want, post, &moved, &st, NULL), 0);
    assert_int_equal(pn_scheduler_finish(g->scheduler, st), 0);
    while (st->recognizer->ops->status(st, NULL) == 0)
        sem_wait(&moved);
    pn_scheduler_close(g->scheduler, st);
    sem_destroy(&moved);
}

void listener_feed_live(struct listener *l, const float *pcm, size_t n)
{
    for (size_t at = 0, k; at < n; at += k) {
        k = PN_MIN(n - at, (size_t)1600);
        listener_feed(l, pcm + at, k);
        wait_idle(l->stage);
    }
}

void listener_finish(struct listener *l)
{
    assert_int_equal(pn_scheduler_finish(l->stage->scheduler, l->stream), 0);
}

int listener_wait(struct listener *l, struct pn_err *err)
{
    int r;
    while ((r = l->stream->recognizer->ops->status(l->stream, err)) == 0)
        sem_wait(&l->moved);
    return r;
}

struct pn_transcript *listener_result(struct listener *l)
{
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    if (l->stream->recognizer->ops->result(l->stream, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

void listener_close(struct listener *l)
{
    pn_scheduler_close(l->stage->scheduler, l->stream);
    sem_destroy(&l->moved);
}

struct pn_transcript *transcribe(struct stage *g, const struct pn_recognition *want, const struct tape *t)
{
    struct listener l;
    struct pn_err err = { 0 };
    listener_open(&l, g, want);
    listener_feed(&l, t->pcm, t->n);
    listener_finish(&l);
    if (listener_wait(&l, &err) < 0)
        fail_msg("%s", err.text);
    struct pn_transcript *result = listener_result(&l);
    listener_close(&l);
    return result;
}
