/* session.c - a turn of a session: open, hear, look, or end.
 *
 * Every state is safe to turn at any moment: a turn does what can be done at once. The owner is told of what
 * is new under the session's lock, so that nothing is told once it has closed the session. */
#include "asr/live/session.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
    RETRY_US = 50000, /* a model is being loaded, or no stream is free: nobody tells when that is over */
    LOOK_US = 40000,  /* between two snapshots: text that changes faster is not read */
};

/* ---- the end ---- */

static void give_back(struct pn_live *s)
{
    if (s->stream)
        pn_scheduler_close(s->engine->opt.scheduler, s->stream);
    s->stream = NULL;
    if (s->lent)
        pn_models_release(s->engine->opt.models, s->recognizer);
    s->lent = false;
    s->recognizer = NULL;
    s->intake = pn_intake_free(s->intake);
    free(s->pcm);
    s->pcm = NULL;
    s->n_pcm = s->cap_pcm = 0;
    free(s->want);
    s->want = NULL;
}

/* Under the session's lock. One that its owner has let go of is counted already. */
static void count_end(struct pn_live *s, int code)
{
    struct pn_live_engine *e = s->engine;
    _Atomic uint64_t *n = code == 0 ? &e->n_ended : code == -PN_EFULL ? &e->n_shed : &e->n_failed;
    if (!s->closed)
        atomic_fetch_add_explicit(n, 1, memory_order_relaxed);
}

void pn_live_end(struct pn_live *s, int code, const struct pn_err *err, struct pn_transcript *final)
{
    give_back(s);
    s->state = PN_LIVE_OVER;
    pthread_mutex_lock(&s->mu);
    count_end(s, code);
    pn_bytes_done(&s->bytes);
    s->over = true;
    s->news.ended = true;
    s->news.code = code;
    if (err)
        s->news.err = *err;
    if (code < 0 && s->news.err.code == 0) /* a cause that came without words */
        pn_fail(&s->news.err, (enum pn_error) - code, "%s", pn_error_name(code));
    if (final) {
        pn_transcript_free(s->news.transcript);
        s->news.transcript = final;
        s->news.processing_s = s->finish_us ? (double)(pn_now_us() - s->finish_us) / 1e6 : 0;
    }
    pn_live_tell(s);
    pthread_mutex_unlock(&s->mu);
}

/* ---- the beginning ---- */

static void progressed(void *ctx)
{
    struct pn_live *s = ctx;
    atomic_store_explicit(&s->progressed, true, memory_order_release);
    pn_turns_wake(s->engine->turns, &s->turn);
}

/* False: not yet, or it has ended. */
static bool open_stream(struct pn_live *s)
{
    struct pn_err err = { 0 };
    int r = s->recognizer ? 0 : pn_live_acquire(s, &err);
    if (r == 0)
        r = pn_scheduler_open(s->engine->opt.scheduler, s->recognizer, s->want, progressed, s, &s->stream,
                              &err);
    if (r == 0)
        s->state = PN_LIVE_HEARING;
    else if (r != -PN_EAGAIN && r != -PN_EFULL)
        pn_live_end(s, r, &err, NULL);
    return r == 0;
}

/* ---- results ---- */

static uint64_t mix(uint64_t h, const void *data, size_t n)
{
    const unsigned char *p = data;
    for (size_t i = 0; i < n; i++) /* FNV-1a */
        h = (h ^ p[i]) * 0x100000001b3;
    return h;
}

static uint64_t mix_text(uint64_t h, const char *text)
{
    return text ? mix(h, text, strlen(text) + 1) : h;
}

/* Of what a client could see of it. */
static uint64_t digest_of(const struct pn_transcript *t)
{
    uint64_t h = mix_text(mix_text(0xcbf29ce484222325, t->text), t->live_text);
    for (size_t i = 0; i < t->n_segments; i++) {
        const struct pn_segment *g = &t->segments[i];
        h = mix(mix(mix_text(h, g->text), &g->end, sizeof(g->end)), &g->open, sizeof(g->open));
    }
    for (size_t i = 0; i < t->n_sentences; i++) {
        const struct pn_sentence *n = &t->sentences[i];
        h = mix(mix(mix(h, &n->start, sizeof(n->start)), &n->end, sizeof(n->end)), &n->closed,
                sizeof(n->closed));
    }
    return mix(h, t->language ? t->language : "", t->language ? strlen(t->language) : 0);
}

/* How late a partial result comes that is about to be told, if more audio has been heard for it. */
static void measure(struct pn_live *s)
{
    double position_s = s->recognizer->ops->position(s->stream);
    if (!s->microphone || position_s <= s->told_position_s)
        return;
    s->told_position_s = position_s;
    int64_t end = PN_MIN((int64_t)(position_s * PN_SAMPLE_RATE), (int64_t)s->n_samples);
    int64_t late_us = pn_now_us() - pn_arrivals_of(&s->arrivals, end);
    pn_metric_observe(s->engine->opt.chunk_latency, (double)PN_MAX(late_us, 0) / 1e6);
}

/* A snapshot, if it shows something new; none while one waits to be fetched. Some recognisers have none
 * before the end. */
static int take_snapshot(struct pn_live *s, struct pn_err *err)
{
    pthread_mutex_lock(&s->mu);
    bool waits = s->news.transcript != NULL;
    s->stale = waits;
    pthread_mutex_unlock(&s->mu);
    if (waits)
        return 0;
    struct pn_transcript *t = NULL;
    int r = s->recognizer->ops->result(s->stream, &t, err);
    if (r == -PN_EAGAIN) {
        *err = (struct pn_err){ 0 };
        return 0;
    }
    if (r < 0)
        return r;
    s->look_us = pn_now_us() + LOOK_US;
    uint64_t digest = digest_of(t);
    if (digest == s->digest) {
        pn_transcript_free(t);
        return 0;
    }
    s->digest = digest;
    measure(s);
    pthread_mutex_lock(&s->mu);
    s->news.transcript = t;
    pn_live_tell(s);
    pthread_mutex_unlock(&s->mu);
    return 0;
}

/* The final result, or a partial one if there may be a new one and the last was long enough ago. */
static void look(struct pn_live *s)
{
    struct pn_err err = { 0 };
    struct pn_transcript *final = NULL;
    s->look_again |= atomic_exchange_explicit(&s->progressed, false, memory_order_acq_rel);
    int r = s->recognizer->ops->status(s->stream, &err);
    if (r == 1) {
        r = s->recognizer->ops->result(s->stream, &final, &err);
        pn_live_end(s, r, &err, final);
        return;
    }
    if (r == 0 && s->look_again && pn_now_us() >= s->look_us) {
        s->look_again = false;
        r = take_snapshot(s, &err);
    }
    if (r < 0)
        pn_live_end(s, r, &err, NULL);
}

/* ---- a turn ---- */

enum orders { GO_ON, GO_AWAY, CLOSE };

static enum orders orders_for(struct pn_live *s)
{
    pthread_mutex_lock(&s->mu);
    enum orders o = s->closed ? CLOSE : s->shed ? GO_AWAY : GO_ON;
    pthread_mutex_unlock(&s->mu);
    return o;
}

static void send_away(struct pn_live *s)
{
    struct pn_err err = { 0 };
    int r = pn_fail(&err, PN_EFULL, "the machine cannot keep up with all who talk; try again in a while");
    pn_live_end(s, r, &err, NULL);
}

/* Does what can be done; returns when there is more to do. */
static int64_t move_on(struct pn_live *s)
{
    enum pn_hearing_outcome heard = PN_HEARD_ALL;
    if (s->state == PN_LIVE_OPENING && !open_stream(s))
        return pn_now_us() + RETRY_US;
    if (s->state == PN_LIVE_HEARING || s->state == PN_LIVE_TAIL)
        heard = pn_live_hear(s);
    if (s->state != PN_LIVE_OVER)
        look(s);
    if (heard == PN_HEARD_MORE)
        return 0;
    return s->look_again ? s->look_us : PN_TURN_SLEEP;
}

int64_t pn_live_turn(struct pn_turn *turn)
{
    struct pn_live *s = PN_CONTAINER_OF(turn, struct pn_live, turn);
    int64_t next_us = PN_TURN_SLEEP;
    switch (orders_for(s)) {
    case CLOSE:
        give_back(s);
        pn_live_dispose(s);
        return PN_TURN_GONE;
    case GO_AWAY:
        if (s->state != PN_LIVE_OVER)
            send_away(s);
        break;
    case GO_ON:
        pn_live_relieve(s->engine, pn_now_us());
        if (s->state != PN_LIVE_OVER)
            next_us = move_on(s);
        break;
    }
    return s->state == PN_LIVE_OVER ? PN_TURN_SLEEP : next_us;
}
