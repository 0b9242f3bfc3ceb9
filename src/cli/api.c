/* api.c - the public library: models and streams of include/pinna.h over the scheduler.
 *
 * A model is a set of recognisers with one member and a scheduler of its own. A stream waits for the
 * scheduler by a flag that its `progress` raises; the caller tries again whenever it was raised, so no wake
 * is ever lost. */
#include "cli/api.h"

#include "asr/models.h"
#include "asr/scheduler.h"
#include "base/clock.h"
#include "text/language.h"

#include <pinna.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_STREAMS = 16, MOST_STREAMS = 4096, ROW_BUDGET = 4096, SLICE = 8192 /* samples fed at once */ };

struct pinna_model {
    struct pn_models *models;
    struct pn_scheduler *scheduler;
    struct pn_recognizer *recognizer;
    int max_streams;
    pthread_mutex_t mu;
    pthread_cond_t left; /* a stream was closed */
    int open;            /* guarded by mu; slots of the scheduler that are taken or about to be */
};

struct pinna_stream {
    struct pinna_model *model;
    struct pn_stream *stream;
    struct pn_err err;
    pthread_mutex_t mu;
    pthread_cond_t moved_cond; /* on the monotonic clock */
    bool moved;                /* guarded by mu */
};

#define SAME(name) ((int)PINNA_##name == (int)PN_##name)
_Static_assert(SAME(ENOMEM) && SAME(EINVAL) && SAME(EIO) && SAME(EFORMAT) && SAME(ELIMIT) && SAME(EFULL) &&
                   SAME(ECANCELLED) && SAME(ENOTFOUND) && SAME(EUNSUPPORTED) && SAME(INT8) && SAME(F32),
               "public numbers are the inner ones");

/* What the inside found out, for the caller; returns r. */
static int tell(int r, const struct pn_err *from, struct pinna_error *to)
{
    if (r < 0 && to) {
        *to = (struct pinna_error){ .code = -r };
        snprintf(to->text, sizeof(to->text), "%s", from->text[0] ? from->text : pn_error_name(r));
    }
    return r;
}

const char *pinna_version(void)
{
    return PINNA_VERSION;
}

/* ---- models ---- */

static int open_models(struct pinna_model *m, const char *name, const struct pinna_model_options *o,
                       struct pn_err *err)
{
    if (o->precision != PINNA_INT8 && o->precision != PINNA_F32)
        return pn_fail(err, PN_EINVAL, "precision: %d is none", o->precision);
    if (o->threads < 0 || o->threads > 1024 || o->max_streams < 0 || o->max_streams > MOST_STREAMS)
        return pn_fail(err, PN_EINVAL, "threads: 0 to 1024; max_streams: 0 to %d", MOST_STREAMS);
    struct pn_models_options opt = { .model = name,
                                     .threads = o->threads,
                                     .precision = (enum pn_precision)o->precision,
                                     .model_dir = o->model_dir ? o->model_dir : "",
                                     .cache_dir = o->cache_dir ? o->cache_dir : "",
                                     .max_loaded = 1,
                                     .vad = o->vad,
                                     .punctuation = o->punctuation,
                                     .final_model = o->final_model ? o->final_model : "off",
                                     .progress = o->progress,
                                     .ctx = o->ctx };
    m->max_streams = o->max_streams ? o->max_streams : MAX_STREAMS;
    struct pn_scheduler_options sched = { .max_streams = m->max_streams,
                                          .batch_size = m->max_streams,
                                          .row_budget = ROW_BUDGET };
    int r = pn_models_open(&opt, &m->models, err);
    if (r < 0)
        return r;
    m->recognizer = pn_models_default(m->models);
    return pn_scheduler_new(&sched, &m->scheduler, err);
}

int pinna_model_open(const char *name, const struct pinna_model_options *opt, struct pinna_model **ret_model,
                     struct pinna_error *err)
{
    struct pinna_model_options o;
    struct pn_err why = { 0 };
    int r = name ? pn_api_read(opt, &o, sizeof(o), &why) : pn_fail(&why, PN_EINVAL, "which model?");
    if (r < 0)
        return tell(r, &why, err);
    struct pinna_model *m = calloc(1, sizeof(*m));
    if (!m)
        return tell(-PN_ENOMEM, &why, err);
    pthread_mutex_init(&m->mu, NULL);
    pthread_cond_init(&m->left, NULL);
    r = open_models(m, name, &o, &why);
    if (r < 0)
        pinna_model_close(m);
    else
        *ret_model = m;
    return tell(r, &why, err);
}

void pinna_model_close(struct pinna_model *m)
{
    if (!m)
        return;
    pn_scheduler_free(m->scheduler);
    pn_models_free(m->models);
    pthread_cond_destroy(&m->left);
    pthread_mutex_destroy(&m->mu);
    free(m);
}

const char *pinna_model_name(const struct pinna_model *m)
{
    return m->recognizer->name;
}

/* A slot of the model's; with `wait` it comes sooner or later. */
static int take_slot(struct pinna_model *m, bool wait, struct pn_err *err)
{
    pthread_mutex_lock(&m->mu);
    while (wait && m->open == m->max_streams)
        pthread_cond_wait(&m->left, &m->mu);
    bool full = m->open == m->max_streams;
    m->open += !full;
    pthread_mutex_unlock(&m->mu);
    return full ? pn_fail(err, PN_EFULL, "all %d streams of the model are open", m->max_streams) : 0;
}

static void leave_slot(struct pinna_model *m)
{
    pthread_mutex_lock(&m->mu);
    m->open--;
    pthread_cond_signal(&m->left);
    pthread_mutex_unlock(&m->mu);
}

/* ---- waiting ---- */

static void moved(void *ctx)
{
    struct pinna_stream *s = ctx;
    pthread_mutex_lock(&s->mu);
    s->moved = true;
    pthread_cond_signal(&s->moved_cond);
    pthread_mutex_unlock(&s->mu);
}

static int64_t deadline_us(int timeout_ms)
{
    return timeout_ms < 0 ? INT64_MAX : pn_now_us() + (int64_t)timeout_ms * 1000;
}

/* True: something moved since the last time, try again. False: the deadline is there. */
static bool wait_moved(struct pinna_stream *s, int64_t until_us)
{
    struct timespec until = { .tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000 };
    int r = 0;
    pthread_mutex_lock(&s->mu);
    while (!s->moved && r == 0)
        r = until_us == INT64_MAX ? pthread_cond_wait(&s->moved_cond, &s->mu)
                                  : pthread_cond_timedwait(&s->moved_cond, &s->mu, &until);
    bool did = s->moved;
    s->moved = false;
    pthread_mutex_unlock(&s->mu);
    return did;
}

/* ---- streams ---- */

static int read_options(const struct pinna_options *o, struct pn_recognition *ret, struct pn_err *err)
{
    const char *language = o->language ? o->language : "";
    *ret = (struct pn_recognition){ .language = pn_language_code(pn_str(language)),
                                    .task = o->task ? o->task : "transcribe",
                                    .prompt = o->prompt ? o->prompt : "",
                                    .temperature = o->temperature,
                                    .beam_size = o->beam_size,
                                    .best_of = o->best_of,
                                    .word_timestamps = o->word_timestamps != 0,
                                    .batch = o->batch != 0,
                                    .auto_context = o->auto_context != 0,
                                    .hotwords = o->hotwords ? o->hotwords : "",
                                    .vad = o->vad != 0,
                                    .punctuation = o->no_punctuation == 0,
                                    .itn = o->itn != 0 };
    if (!ret->language)
        return pn_fail(err, PN_EINVAL, "language: '%.60s' is no language that is known", language);
    if (strcmp(ret->task, "transcribe") != 0 && strcmp(ret->task, "translate") != 0)
        return pn_fail(err, PN_EINVAL, "task: '%.60s' is neither transcribe nor translate", ret->task);
    if (!(o->temperature >= 0 && o->temperature <= 1) || o->beam_size < 0 || o->best_of < 0)
        return pn_fail(err, PN_EINVAL, "temperature: 0 to 1; beam_size and best_of: not below 0");
    return 0;
}

static struct pinna_stream *stream_new(struct pinna_model *m)
{
    struct pinna_stream *s = calloc(1, sizeof(*s));
    pthread_condattr_t attr;
    if (!s)
        return NULL;
    s->model = m;
    pthread_mutex_init(&s->mu, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->moved_cond, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

static int open_stream(struct pinna_model *m, const struct pinna_options *opt, bool live,
                       struct pinna_stream **ret, struct pn_err *err)
{
    struct pinna_options o;
    struct pn_recognition want;
    int r = pn_api_read(opt, &o, sizeof(o), err);
    if (r == 0)
        r = read_options(&o, &want, err);
    if (r == 0)
        r = m->recognizer->ops->check(m->recognizer, &want, err);
    if (r == 0)
        r = take_slot(m, !live, err);
    if (r < 0)
        return r;
    struct pinna_stream *s = stream_new(m);
    want.live = live;
    r = s ? pn_scheduler_open(m->scheduler, m->recognizer, &want, moved, s, &s->stream, err) : -PN_ENOMEM;
    if (r == 0) {
        *ret = s;
    } else if (s) {
        pinna_stream_close(s);
    } else {
        leave_slot(m);
    }
    return r;
}

int pinna_stream_open(struct pinna_model *m, const struct pinna_options *opt,
                      struct pinna_stream **ret_stream, struct pinna_error *err)
{
    struct pn_err why = { 0 };
    return tell(open_stream(m, opt, true, ret_stream, &why), &why, err);
}

/* Gives its slot back, too. */
void pinna_stream_close(struct pinna_stream *s)
{
    if (!s)
        return;
    if (s->stream)
        pn_scheduler_close(s->model->scheduler, s->stream);
    leave_slot(s->model);
    pthread_cond_destroy(&s->moved_cond);
    pthread_mutex_destroy(&s->mu);
    free(s);
}

static int failed(struct pinna_stream *s, int r)
{
    if (r < 0 && s->err.code == 0)
        pn_fail(&s->err, (enum pn_error) - r, "%s", pn_error_name(r));
    return r;
}

int64_t pinna_stream_feed(struct pinna_stream *s, const float *pcm, size_t n, int timeout_ms)
{
    int64_t until = deadline_us(timeout_ms);
    size_t fed = 0;
    s->err = (struct pn_err){ 0 };
    while (fed < n) {
        size_t slice = PN_MIN(n - fed, (size_t)SLICE);
        int r = s->model->recognizer->ops->status(s->stream, &s->err); /* a failure may come before the end */
        if (r >= 0)
            r = pn_scheduler_feed(s->model->scheduler, s->stream, pcm + fed, slice);
        if (r == 0)
            fed += slice;
        else if (r != -PN_EFULL)
            return failed(s, r);
        else if (!wait_moved(s, until))
            break;
    }
    return (int64_t)fed;
}

int pinna_stream_finish(struct pinna_stream *s)
{
    s->err = (struct pn_err){ 0 };
    return failed(s, pn_scheduler_finish(s->model->scheduler, s->stream));
}

/* What there is, final or not; *ret stays NULL when the recogniser has nothing to show yet. */
static int snapshot(struct pinna_stream *s, bool final, struct pinna_result **ret)
{
    struct pn_transcript *t = NULL;
    int r = s->model->recognizer->ops->result(s->stream, &t, &s->err);
    if (r == -PN_EAGAIN && !final) {
        s->err = (struct pn_err){ 0 };
        return 0;
    }
    return r < 0 ? r : pn_api_result(t, ret, &s->err);
}

int pinna_stream_result(struct pinna_stream *s, int timeout_ms, struct pinna_result **ret_result)
{
    int64_t until = deadline_us(timeout_ms);
    struct pinna_result *result = NULL;
    int status;
    s->err = (struct pn_err){ 0 };
    do {
        status = s->model->recognizer->ops->status(s->stream, &s->err);
    } while (status == 0 && wait_moved(s, until));
    int r = status < 0 ? status : snapshot(s, status == 1, &result);
    if (r < 0)
        return failed(s, r);
    *ret_result = result;
    return status;
}

double pinna_stream_position(const struct pinna_stream *s)
{
    return s->model->recognizer->ops->position(s->stream);
}

const char *pinna_stream_error(const struct pinna_stream *s)
{
    return s->err.text;
}

/* ---- all at once ---- */

int pinna_transcribe(struct pinna_model *m, const struct pinna_options *opt, const float *pcm, size_t n,
                     struct pinna_result **ret_result, struct pinna_error *err)
{
    struct pn_err why = { 0 };
    struct pinna_stream *s = NULL;
    int r = open_stream(m, opt, false, &s, &why);
    if (r < 0)
        return tell(r, &why, err);
    int64_t fed = pinna_stream_feed(s, pcm, n, -1);
    r = fed < 0 ? (int)fed : pinna_stream_finish(s);
    if (r == 0)
        r = pinna_stream_result(s, -1, ret_result);
    tell(r, &s->err, err);
    pinna_stream_close(s);
    return r < 0 ? r : 0;
}
