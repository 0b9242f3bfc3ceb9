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

    /* The thread's alone; max_streams entries each. */
    struct pn_candidate *candidates;
    struct pn_stream **streams;
    size_t *chosen;
    struct pn_stream **batch;
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

/* Under mu: asks all streams, fills s->batch and marks it. Returns its size; *ret_phase and *ret_rows. */
static size_t gather_batch(struct pn_scheduler *s, int *ret_phase, int64_t *ret_rows)
{
    size_t n = 0;
    for (struct pn_stream *st = s->first; st; st = st->next, n++) {
        s->streams[n] = st;
        s->candidates[n] = (struct pn_candidate){ st->recognizer, st->recognizer->ops->next(st), st->live };
    }
    size_t n_batch =
        pn_batch_choose(s->candidates, n, (size_t)s->opt.batch_size, s->opt.row_budget, s->chosen);
    *ret_rows = 0;
    for (size_t i = 0; i < n_batch; i++) {
        s->batch[i] = s->streams[s->chosen[i]];
        s->batch[i]->stepping = true;
        *ret_rows += s->candidates[s->chosen[i]].work.rows;
    }
    if (n_batch)
        *ret_phase = s->candidates[s->chosen[0]].work.phase;
    return n_batch;
}

/* One step if anybody has work. The streams of the batch cannot be closed meanwhile. */
static bool run_step(struct pn_scheduler *s)
{
    int phase = 0;
    int64_t rows;
    pthread_mutex_lock(&s->mu);
    size_t n = gather_batch(s, &phase, &rows);
    pthread_mutex_unlock(&s->mu);
    if (n == 0)
        return false;

    int64_t start_us = pn_now_us();
    struct pn_recognizer *r = s->batch[0]->recognizer;
    r->ops->step(r, phase, s->batch, n);
    int64_t took_us = pn_now_us() - start_us;
    for (size_t i = 0; i < n; i++)
        if (s->batch[i]->progress)
            s->batch[i]->progress(s->batch[i]->progress_ctx);

    pthread_mutex_lock(&s->mu);
    for (size_t i = 0; i < n; i++)
        s->batch[i]->stepping = false;
    s->steps++;
    s->rows += (uint64_t)rows;
    pn_step_times_add(&s->step_times, took_us);
    pthread_cond_broadcast(&s->stepped);
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
        link_stream(s, st);
        *ret = st;
    }
    pthread_mutex_unlock(&s->mu);
    return e;
}

int pn_scheduler_feed(struct pn_scheduler *s, struct pn_stream *st, const float *pcm, size_t n)
{
    int r = st->recognizer->ops->feed(st, pcm, n);
    if (r == 0)
        wake(s);
    return r;
}

int pn_scheduler_finish(struct pn_scheduler *s, struct pn_stream *st)
{
    int r = st->recognizer->ops->finish(st);
    if (r == 0)
        wake(s);
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
    (void)s;
    return (struct pn_load){ .level = PN_LOAD_FINE };
}

bool pn_scheduler_shed(struct pn_scheduler *s)
{
    (void)s;
    return false;
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
