/* engine.c - sessions as their owners see them: open, feed, take, close. */
#include "asr/live/live.h"

#include "asr/live/session.h"
#include "asr/live/want.h"
#include "base/clock.h"
#include "base/list.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 1000,
    BUSY_RETRY_MS = 5000,           /* the machine is behind: people must stop talking first */
    RELIEVE_US = 100000,            /* between two looks at the load */
    MAX_FEED = 30 * PN_SAMPLE_RATE, /* well within a stream's inbox */
};

/* ---- the engine ---- */

int pn_live_engine_new(const struct pn_live_options *opt, struct pn_live_engine **ret, struct pn_err *err)
{
    if (opt->worker_threads < 1 || opt->max_sessions < 1 || opt->feed_samples < 1 ||
        opt->feed_samples > MAX_FEED)
        return pn_fail(err, PN_EINVAL, "live audio needs threads, sessions, and pieces of 1 to %d samples",
                       MAX_FEED);
    struct pn_live_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return pn_fail(err, PN_ENOMEM, "no memory for live audio");
    e->opt = *opt;
    pthread_mutex_init(&e->mu, NULL);
    pthread_cond_init(&e->gone, NULL);
    int r = pn_turns_new(opt->worker_threads, pn_live_turn, &e->turns, err);
    if (r < 0)
        pn_live_engine_free(e);
    else
        *ret = e;
    return r;
}

/* Under the engine's lock: its owner has no more to do with it, a turn ends it. */
static void let_go(struct pn_live *s)
{
    pthread_mutex_lock(&s->mu);
    if (!s->closed) {
        s->closed = true;
        s->engine->stats.dropped += !s->over;
        pn_turns_wake(s->engine->turns, &s->turn);
    }
    pthread_mutex_unlock(&s->mu);
}

struct pn_live_engine *pn_live_engine_free(struct pn_live_engine *e)
{
    if (!e)
        return NULL;
    pthread_mutex_lock(&e->mu);
    for (struct pn_live *s = e->first; s; s = s->next)
        let_go(s);
    while (e->stats.open > 0)
        pthread_cond_wait(&e->gone, &e->mu);
    pthread_mutex_unlock(&e->mu);
    pn_turns_free(e->turns);
    pthread_cond_destroy(&e->gone);
    pthread_mutex_destroy(&e->mu);
    free(e);
    return NULL;
}

struct pn_live_stats pn_live_stats(struct pn_live_engine *e)
{
    pthread_mutex_lock(&e->mu);
    struct pn_live_stats stats = e->stats;
    pthread_mutex_unlock(&e->mu);
    stats.ended = atomic_load_explicit(&e->n_ended, memory_order_relaxed);
    stats.failed = atomic_load_explicit(&e->n_failed, memory_order_relaxed);
    stats.shed = atomic_load_explicit(&e->n_shed, memory_order_relaxed);
    stats.audio_s = (double)atomic_load_explicit(&e->n_samples, memory_order_relaxed) / PN_SAMPLE_RATE;
    stats.bad_packets = atomic_load_explicit(&e->n_bad_packets, memory_order_relaxed);
    return stats;
}

/* ---- sessions in it ---- */

static void count_refusal(struct pn_live_engine *e)
{
    pthread_mutex_lock(&e->mu);
    e->stats.refused++;
    pthread_mutex_unlock(&e->mu);
}

/* Under the engine's lock. True: it talks, and has been told to go. */
static bool send_away(struct pn_live *s)
{
    pthread_mutex_lock(&s->mu);
    bool may = s->microphone && !s->over && !s->closed && !s->finish && !s->shed;
    if (may) {
        s->shed = true;
        pn_turns_wake(s->engine->turns, &s->turn);
    }
    pthread_mutex_unlock(&s->mu);
    return may;
}

void pn_live_relieve(struct pn_live_engine *e, int64_t now_us)
{
    int64_t due_us = atomic_load_explicit(&e->relieve_us, memory_order_relaxed);
    if (now_us < due_us ||
        !atomic_compare_exchange_strong_explicit(&e->relieve_us, &due_us, now_us + RELIEVE_US,
                                                 memory_order_relaxed, memory_order_relaxed) ||
        !pn_scheduler_shed(e->opt.scheduler))
        return;
    pthread_mutex_lock(&e->mu);
    struct pn_live *s = e->first; /* the youngest */
    while (s && !send_away(s))
        s = s->next;
    pthread_mutex_unlock(&e->mu);
}

/* 0, or -PN_EFULL. */
static int link_session(struct pn_live_engine *e, struct pn_live *s, struct pn_err *err)
{
    int r = 0;
    pthread_mutex_lock(&e->mu);
    if (e->stats.open >= e->opt.max_sessions) {
        e->stats.refused++;
        r = pn_fail(err, PN_EFULL, "%d people are talking already", e->stats.open);
    } else {
        e->stats.open++;
        e->stats.opened++;
        PN_LIST_ADD(e->first, s);
    }
    pthread_mutex_unlock(&e->mu);
    return r;
}

static void unlink_session(struct pn_live_engine *e, struct pn_live *s)
{
    pthread_mutex_lock(&e->mu);
    PN_LIST_REMOVE(e->first, s);
    if (--e->stats.open == 0)
        pthread_cond_signal(&e->gone);
    pthread_mutex_unlock(&e->mu);
}

/* ---- life ---- */

/* Without a stream. */
static void free_session(struct pn_live *s)
{
    if (s->lent)
        pn_models_release(s->engine->opt.models, s->recognizer);
    pn_bytes_done(&s->bytes);
    pn_transcript_free(s->news.transcript);
    pthread_mutex_destroy(&s->mu);
    free(s->want);
    free(s);
}

void pn_live_dispose(struct pn_live *s)
{
    unlink_session(s->engine, s);
    free_session(s);
}

int pn_live_acquire(struct pn_live *s, struct pn_err *err)
{
    struct pn_models *models = s->engine->opt.models;
    if (s->model[0] == '\0' || strcmp(s->model, "default") == 0) {
        s->recognizer = pn_models_live(models);
        return 0;
    }
    int r = pn_models_acquire(models, pn_str(s->model), &s->recognizer, err);
    s->lent = r == 0;
    return r;
}

static int check_format(const struct pn_live_request *req, struct pn_err *err)
{
    bool any_rate = req->format == PN_INTAKE_OPUS;
    if (!any_rate && (req->rate < PN_INTAKE_MIN_RATE || req->rate > PN_INTAKE_MAX_RATE))
        return pn_fail(err, PN_EINVAL, "%d Hz: a sample rate is %d to %d Hz", req->rate, PN_INTAKE_MIN_RATE,
                       PN_INTAKE_MAX_RATE);
    return 0;
}

/* What can be known before the model is there. */
static int check_request(struct pn_live *s, const struct pn_live_request *req, struct pn_err *err)
{
    int r = check_format(req, err);
    if (r == 0 && pn_str_copy(s->model, sizeof(s->model), req->model) < 0)
        r = pn_fail(err, PN_ENOTFOUND, "no model has a name so long");
    if (r == 0 && (r = pn_want_copy(&req->want, &s->want)) < 0)
        r = r == -PN_ENOMEM ? pn_fail(err, PN_ENOMEM, "no memory for another session")
                            : pn_fail(err, PN_EINVAL, "hotwords and prompt are too long");
    struct pn_err why = { 0 };
    if (r == 0 && (r = pn_live_acquire(s, &why)) == 0)
        r = s->recognizer->ops->check(s->recognizer, s->want, &why);
    else if (r == -PN_EAGAIN || r == -PN_EFULL)
        return 0; /* a turn asks again */
    if (why.code != 0 && err)
        *err = why;
    return r;
}

static struct pn_live *session_new(struct pn_live_engine *e, const struct pn_live_request *req)
{
    struct pn_live *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    pthread_mutex_init(&s->mu, NULL);
    s->engine = e;
    s->format = req->format;
    s->rate = req->rate;
    s->microphone = req->want.live;
    s->bytes.packets = req->format == PN_INTAKE_OPUS;
    s->tell = req->moved;
    s->ctx = req->ctx;
    return s;
}

int pn_live_open(struct pn_live_engine *e, const struct pn_live_request *req, struct pn_live **ret,
                 int *ret_retry_ms, struct pn_err *err)
{
    if (req->want.live && pn_scheduler_load(e->opt.scheduler).level == PN_LOAD_FULL) {
        count_refusal(e);
        *ret_retry_ms = BUSY_RETRY_MS;
        return pn_fail(err, PN_EFULL, "the machine cannot keep up with more people who talk");
    }
    struct pn_live *s = session_new(e, req);
    if (!s)
        return pn_fail(err, PN_ENOMEM, "no memory for another session");
    int r = check_request(s, req, err);
    if (r == 0)
        r = link_session(e, s, err);
    if (r < 0) {
        free_session(s);
        if (r == -PN_EFULL)
            *ret_retry_ms = RETRY_MS;
        return r;
    }
    *ret = s;
    pn_turns_wake(e->turns, &s->turn);
    return 0;
}

void pn_live_close(struct pn_live *s)
{
    struct pn_live_engine *e = s->engine;
    pthread_mutex_lock(&e->mu);
    let_go(s);
    pthread_mutex_unlock(&e->mu);
}

/* ---- what goes in ---- */

int pn_live_feed(struct pn_live *s, const void *data, size_t n)
{
    int r = 0;
    if (n == 0)
        return 0;
    pthread_mutex_lock(&s->mu);
    if (s->over || s->finish) {
        pthread_mutex_unlock(&s->mu);
        return 0;
    }
    if (n > PN_LIVE_MAX - PN_MIN(s->bytes.waiting, PN_LIVE_MAX))
        r = -PN_ELIMIT;
    else
        r = pn_bytes_add(&s->bytes, data, n, pn_now_us());
    if (r == 0) {
        s->paused |= s->bytes.waiting > PN_LIVE_HIGH;
        r = s->paused;
        pn_turns_wake(s->engine->turns, &s->turn);
    }
    pthread_mutex_unlock(&s->mu);
    return r;
}

void pn_live_finish(struct pn_live *s)
{
    pthread_mutex_lock(&s->mu);
    if (!s->over && !s->finish) {
        s->finish = true;
        s->finish_us = pn_now_us();
        pn_turns_wake(s->engine->turns, &s->turn);
    }
    pthread_mutex_unlock(&s->mu);
}

/* ---- what comes out ---- */

void pn_live_tell(struct pn_live *s)
{
    s->moved = true;
    if (!s->closed)
        s->tell(s->ctx);
}

bool pn_live_take(struct pn_live *s, struct pn_live_news *ret)
{
    pthread_mutex_lock(&s->mu);
    bool moved = s->moved;
    if (moved) {
        *ret = s->news;
        ret->audio_s = (double)s->n_samples / PN_SAMPLE_RATE;
        s->news.transcript = NULL;
        s->news.room = false;
        s->moved = false;
    }
    if (moved && s->stale && !s->over) {
        s->stale = false;
        atomic_store_explicit(&s->progressed, true, memory_order_release);
        pn_turns_wake(s->engine->turns, &s->turn);
    }
    pthread_mutex_unlock(&s->mu);
    return moved;
}
