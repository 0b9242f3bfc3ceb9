/* scheduler.c - the one thread that moves all streams forward.
 *
 * The list of streams is guarded by `mu`. The thread asks every stream for its next work under it, marks the
 * batch as `stepping`, and runs the step without it; close waits for that mark to go. Everything that may
 * have changed a stream's work ends in wake(), which only writes an eventfd and so may be called under any
 * lock. Lock order: `mu`, then a recogniser's own.
 * Invariant: a stream is in the list exactly while it is open; `n_open` counts those and the slots that are
 * being opened. */
#include "asr/scheduler.h"

#include "asr/batch.h"
#include "asr/step_times.h"
#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pn_scheduler {
    struct pn_scheduler_options opt;
    pthread_t thread;
    bool thread_started;
    int wake_fd;
    atomic_bool woken; /* the eventfd holds an unread wake; spares a system call for every feed */
    atomic_bool stop;

    pthread_mutex_t mu;
    pthread_cond_t stepped;          /* some stream's `stepping` went false */
    struct pn_stream *first, *last;  /* guarded by mu */
    int n_open, n_live;              /* guarded by mu */
    uint64_t steps, rows;            /* guarded by mu */
    struct pn_step_times step_times; /* guarded by mu */
    struct pn_load_meter load;       /* guarded by mu */

    /* The thread's alone; max_streams entries each. */
    struct pn_candidate *candidates;
    struct pn_stream **streams;
    size_t *chosen;
    struct pn_stream **batch;
    uint64_t file_steps;
};

enum {
    FILES_BY_AGE = 4,     /* every so many steps of files the one that waits longest comes first */
    MORE_MAY_COME_S = 60, /* of a file that has not ended */
    FORGET = 10           /* audio that came as a burst is forgotten in ten times its length */
};

static void wake(void *ctx)
{
    struct pn_scheduler *s = ctx;
    if (atomic_exchange_explicit(&s->woken, true, memory_order_acq_rel))
        return;
    ssize_t n;
    do
        n = write(s->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
    while (n < 0 && errno == EINTR);
}

static void wait_for_wake(struct pn_scheduler *s)
{
    uint64_t count;
    ssize_t n;
    do
        n = read(s->wake_fd, &count, sizeof(count));
    while (n < 0 && errno == EINTR);
    /* An exchange, so that what a waker did before it found the flag set is seen by the next look. */
    atomic_exchange_explicit(&s->woken, false, memory_order_acq_rel);
}

/* ---- the thread ---- */

static double samples_s(int64_t n)
{
    return (double)n / PN_STREAM_RATE;
}

/* How much is left of a file; of one that has not ended, at least a minute more than has come. */
static double seconds_left(const struct pn_stream *st)
{
    int64_t fed = atomic_load_explicit(&st->fed, memory_order_relaxed);
    bool ended = atomic_load_explicit(&st->ended, memory_order_relaxed);
    return samples_s(fed) - st->recognizer->ops->position(st) + (ended ? 0 : MORE_MAY_COME_S);
}

/* Under mu: what all streams could do, into s->candidates. Returns how many there are. */
static size_t ask_streams(struct pn_scheduler *s)
{
    size_t n = 0;
    double pace = pn_load_meter_pace(&s->load);
    bool by_age = s->file_steps % FILES_BY_AGE == FILES_BY_AGE - 1;
    for (struct pn_stream *st = s->first; st; st = st->next, n++) {
        st->recognizer->draft_pace = pace;
        struct pn_candidate *c = &s->candidates[n];
        *c = (struct pn_candidate){ st->recognizer, st->recognizer->ops->next(st), st->live, 0 };
        if (!st->live && c->work.phase != 0 && !by_age)
            c->rank = pn_batch_rank(seconds_left(st));
        s->streams[n] = st;
    }
    return n;
}

/* Since when a live stream's work waits, or is in other threads' hands. 0: there is none. */
static int64_t waits_since(const struct pn_candidate *c)
{
    if (!c->live || c->work.since_us != 0)
        return c->work.since_us;
    return c->work.phase != 0 && !c->work.optional ? c->work.deadline_us : 0;
}

/* Under mu. */
static void note_load(struct pn_scheduler *s, size_t n, int64_t now_us, bool steps)
{
    struct pn_load_look look = { .n_live = s->n_live, .steps = steps };
    for (size_t i = 0; i < n; i++) {
        const struct pn_candidate *c = &s->candidates[i];
        int64_t since_us = c->live ? waits_since(c) : 0;
        if (since_us != 0)
            look.lag_s = PN_MAX(look.lag_s, (double)(now_us - since_us) / 1e6);
        look.files_wait |= !c->live && c->work.phase != 0;
    }
    pn_load_meter_look(&s->load, now_us, &look);
}

/* What run_step() has to know of its batch. */
struct batch_facts {
    size_t n;
    int phase;
    int64_t rows, live_rows, must_rows; /* all; of live streams; of those that may not be left out */
};

/* Under mu: asks all streams, fills s->batch and marks it. */
static struct batch_facts gather_batch(struct pn_scheduler *s)
{
    struct batch_facts f = { 0 };
    size_t n = ask_streams(s);
    f.n = pn_batch_choose(s->candidates, n, (size_t)s->opt.batch_size, s->opt.row_budget, s->chosen);
    for (size_t i = 0; i < f.n; i++) {
        const struct pn_candidate *c = &s->candidates[s->chosen[i]];
        s->batch[i] = s->streams[s->chosen[i]];
        s->batch[i]->stepping = true;
        f.phase = c->work.phase;
        f.rows += c->work.rows;
        f.live_rows += c->live ? c->work.rows : 0;
        f.must_rows += c->live && !c->work.optional ? c->work.rows : 0;
    }
    if (f.n > 0 && !s->candidates[s->chosen[0]].live)
        s->file_steps++;
    note_load(s, n, pn_now_us(), f.n > 0);
    return f;
}

/* Under mu. */
static void end_step(struct pn_scheduler *s, const struct batch_facts *f, int64_t start_us)
{
    int64_t now_us = pn_now_us(), took_us = now_us - start_us;
    double rows = (double)PN_MAX(f->rows, (int64_t)1);
    for (size_t i = 0; i < f->n; i++)
        s->batch[i]->stepping = false;
    s->steps++;
    s->rows += (uint64_t)f->rows;
    pn_step_times_add(&s->step_times, took_us);
    pn_load_meter_step(&s->load, now_us, took_us, (double)f->must_rows / rows, (double)f->live_rows / rows);
    pthread_cond_broadcast(&s->stepped);
}

/* One step if anybody has work. The streams of the batch cannot be closed meanwhile. */
static bool run_step(struct pn_scheduler *s)
{
    pthread_mutex_lock(&s->mu);
    struct batch_facts f = gather_batch(s);
    pthread_mutex_unlock(&s->mu);
    if (f.n == 0)
        return false;

    int64_t start_us = pn_now_us();
    struct pn_recognizer *r = s->batch[0]->recognizer;
    r->ops->step(r, f.phase, s->batch, f.n);
    for (size_t i = 0; i < f.n; i++)
        if (s->batch[i]->progress)
            s->batch[i]->progress(s->batch[i]->progress_ctx);

    pthread_mutex_lock(&s->mu);
    end_step(s, &f, start_us);
    pthread_mutex_unlock(&s->mu);
    return true;
}

static void *run(void *arg)
{
    struct pn_scheduler *s = arg;
    while (!atomic_load_explicit(&s->stop, memory_order_acquire))
        if (!run_step(s))
            wait_for_wake(s);
    return NULL;
}

/* ---- life ---- */

struct pn_scheduler *pn_scheduler_free(struct pn_scheduler *s)
{
    if (!s)
        return NULL;
    if (s->thread_started) {
        atomic_store_explicit(&s->stop, true, memory_order_release);
        wake(s);
        pthread_join(s->thread, NULL);
    }
    if (s->wake_fd >= 0)
        close(s->wake_fd);
    pthread_cond_destroy(&s->stepped);
    pthread_mutex_destroy(&s->mu);
    free(s->candidates);
    free(s->streams);
    free(s->chosen);
    free(s->batch);
    free(s);
    return NULL;
}

static int make_room(struct pn_scheduler *s, struct pn_err *err)
{
    size_t n = (size_t)s->opt.max_streams;
    s->candidates = calloc(n, sizeof(*s->candidates));
    s->streams = calloc(n, sizeof(struct pn_stream *));
    s->chosen = calloc(n, sizeof(*s->chosen));
    s->batch = calloc(n, sizeof(struct pn_stream *));
    if (!s->candidates || !s->streams || !s->chosen || !s->batch)
        return pn_fail(err, PN_ENOMEM, "no memory for %zu streams", n);
    s->wake_fd = eventfd(0, EFD_CLOEXEC);
    return s->wake_fd < 0 ? pn_fail_errno(err, "eventfd") : 0;
}

int pn_scheduler_new(const struct pn_scheduler_options *opt, struct pn_scheduler **ret, struct pn_err *err)
{
    if (opt->max_streams < 1 || opt->batch_size < 1 || opt->row_budget < 1)
        return pn_fail(err, PN_EINVAL, "streams, batch size and row budget must be at least 1");
    struct pn_scheduler *s = calloc(1, sizeof(*s));
    if (!s)
        return pn_fail(err, PN_ENOMEM, "no memory for the scheduler");
    s->opt = *opt;
    s->opt.batch_size = PN_MIN(opt->batch_size, opt->max_streams);
    s->wake_fd = -1;
    pthread_mutex_init(&s->mu, NULL);
    pthread_cond_init(&s->stepped, NULL);
    pn_load_meter_init(&s->load, pn_now_us());
    int r = make_room(s, err);
    if (r == 0) {
        errno = pthread_create(&s->thread, NULL, run, s);
        s->thread_started = errno == 0;
        if (!s->thread_started)
            r = pn_fail_errno(err, "scheduler thread");
    }
    if (r < 0)
        s = pn_scheduler_free(s);
    else
        *ret = s;
    return r;
}

/* ---- streams ---- */

static int take_slot(struct pn_scheduler *s, struct pn_recognizer *r, struct pn_err *err)
{
    int e = 0;
    pthread_mutex_lock(&s->mu);
    if (s->n_open == s->opt.max_streams) {
        e = pn_fail(err, PN_EFULL, "all %d streams are in use", s->opt.max_streams);
    } else {
        s->n_open++;
        if (r->wake_ctx != s) { /* joins; none of its streams is open, so it reads neither now */
            r->wake = wake;
            r->wake_ctx = s;
        }
    }
    pthread_mutex_unlock(&s->mu);
    return e;
}

static void link_stream(struct pn_scheduler *s, struct pn_stream *st)
{
    st->prev = s->last;
    st->next = NULL;
    *(s->last ? &s->last->next : &s->first) = st;
    s->last = st;
    s->n_live += st->live;
}

static void unlink_stream(struct pn_scheduler *s, struct pn_stream *st)
{
    *(st->prev ? &st->prev->next : &s->first) = st->next;
    *(st->next ? &st->next->prev : &s->last) = st->prev;
    s->n_live -= st->live;
    if (st->live && s->n_live == 0)
        pn_load_meter_all_gone(&s->load, pn_now_us());
}

int pn_scheduler_open(struct pn_scheduler *s, struct pn_recognizer *r, const struct pn_recognition *want,
                      void (*progress)(void *ctx), void *ctx, struct pn_stream **ret, struct pn_err *err)
{
    int e = take_slot(s, r, err);
    if (e < 0)
        return e;
    struct pn_stream *st = NULL;
    e = r->ops->open(r, want, &st, err);
    pthread_mutex_lock(&s->mu);
    if (e < 0) {
        s->n_open--;
    } else {
        st->recognizer = r;
        st->progress = progress;
        st->progress_ctx = ctx;
        st->live = want->live;
        st->stepping = false;
        atomic_store_explicit(&st->fed, 0, memory_order_relaxed);
        atomic_store_explicit(&st->began_us, 0, memory_order_relaxed);
        atomic_store_explicit(&st->ended, false, memory_order_relaxed);
        st->fed_us = 0;
        link_stream(s, st);
        *ret = st;
    }
    pthread_mutex_unlock(&s->mu);
    return e;
}

/* The stream's audio is as old as it would be in real time, so a recording that is pushed faster does not go
 * before people who talk; after a pause it is as old as it is. A burst behind a stall of the network cannot
 * be told from such a push at once: it is forgotten bit by bit. */
static void note_arrival(struct pn_stream *st, int64_t n, int64_t now_us)
{
    int64_t fed = atomic_load_explicit(&st->fed, memory_order_relaxed);
    int64_t began_us = atomic_load_explicit(&st->began_us, memory_order_relaxed);
    int64_t newest_us = now_us - pn_stream_us(fed + PN_MIN(n, (int64_t)PN_STREAM_RATE));
    int64_t forgotten_us = (now_us - st->fed_us) / FORGET;
    st->fed_us = now_us;
    began_us = began_us ? PN_MAX(began_us - forgotten_us, newest_us) : newest_us;
    atomic_store_explicit(&st->began_us, began_us, memory_order_relaxed);
}

int pn_scheduler_feed(struct pn_scheduler *s, struct pn_stream *st, const float *pcm, size_t n)
{
    int r = st->recognizer->ops->feed(st, pcm, n);
    if (r == 0) {
        if (st->live)
            note_arrival(st, (int64_t)n, pn_now_us());
        atomic_fetch_add_explicit(&st->fed, (int64_t)n, memory_order_relaxed);
        wake(s);
    }
    return r;
}

int pn_scheduler_finish(struct pn_scheduler *s, struct pn_stream *st)
{
    int r = st->recognizer->ops->finish(st);
    if (r == 0) {
        atomic_store_explicit(&st->ended, true, memory_order_relaxed);
        wake(s);
    }
    return r;
}

void pn_scheduler_close(struct pn_scheduler *s, struct pn_stream *st)
{
    pthread_mutex_lock(&s->mu);
    while (st->stepping)
        pthread_cond_wait(&s->stepped, &s->mu);
    unlink_stream(s, st);
    pthread_mutex_unlock(&s->mu);

    st->recognizer->ops->close(st);

    pthread_mutex_lock(&s->mu);
    s->n_open--; /* only now: what the stream held is free again */
    pthread_mutex_unlock(&s->mu);
}

struct pn_load pn_scheduler_load(struct pn_scheduler *s)
{
    pthread_mutex_lock(&s->mu);
    struct pn_load load = pn_load_meter_read(&s->load, pn_now_us(), s->n_live);
    pthread_mutex_unlock(&s->mu);
    return load;
}

bool pn_scheduler_shed(struct pn_scheduler *s)
{
    pthread_mutex_lock(&s->mu);
    bool shed = s->n_live > 0 && pn_load_meter_shed(&s->load, pn_now_us());
    pthread_mutex_unlock(&s->mu);
    return shed;
}

struct pn_scheduler_stats pn_scheduler_stats(struct pn_scheduler *s)
{
    struct pn_step_times times;
    pthread_mutex_lock(&s->mu);
    struct pn_scheduler_stats stats = {
        .streams = s->n_open, .live = s->n_live, .steps = s->steps, .rows = s->rows
    };
    times = s->step_times;
    pthread_mutex_unlock(&s->mu);
    stats.step_p99_ms = pn_step_times_p99_ms(&times);
    return stats;
}
