/* transcriber.c - the queue of jobs and the threads that turn them.
 *
 * `mu` guards the list of all jobs, the queue and the counters. A job waits in the queue until fewer than
 * max_concurrent run, then it is given to the job thread with the fewest; one that is cancelled while it
 * waits goes to a thread at once, which ends it without having opened anything. A share of the places is kept
 * for small files: they go past large ones that wait while large ones have all the other places, else jobs
 * start in order. Lock order: `mu`, then a thread's. Invariant: `done` is called exactly once for every job
 * that submit took, without any lock. */
#include "asr/transcriber.h"

#include "asr/job_thread.h"
#include "base/clock.h"
#include "base/list.h"

#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    SMALL_BYTES = 1 << 20, /* half a minute as plain WAV, a minute or two compressed */
    KEPT_PART = 5          /* of the places: 4 of 20; none where there are fewer */
};

struct pn_transcriber {
    struct pn_transcriber_options opt;
    struct pn_job_thread **threads;
    int n_threads; /* started */

    pthread_mutex_t mu;
    struct pn_job *all;
    struct pn_job *first_waiting, *last_waiting;
    int running_large;
    pn_job_id last_id;
    struct pn_transcriber_stats stats;
};

/* ---- under mu ---- */

static void give_to_thread(struct pn_transcriber *t, struct pn_job *job)
{
    struct pn_job_thread *best = t->threads[0];
    for (int i = 1; i < t->n_threads; i++)
        if (pn_job_thread_load(t->threads[i]) < pn_job_thread_load(best))
            best = t->threads[i];
    job->thread = best;
    pn_job_thread_add(best, job);
}

static void append_waiting(struct pn_transcriber *t, struct pn_job *job)
{
    job->next_waiting = NULL;
    *(t->last_waiting ? &t->last_waiting->next_waiting : &t->first_waiting) = job;
    t->last_waiting = job;
    t->stats.waiting++;
}

/* Takes a job out of the queue if it is there. */
static bool remove_waiting(struct pn_transcriber *t, struct pn_job *job)
{
    struct pn_job *before = NULL;
    for (struct pn_job *j = t->first_waiting; j; before = j, j = j->next_waiting) {
        if (j != job)
            continue;
        *(before ? &before->next_waiting : &t->first_waiting) = j->next_waiting;
        if (t->last_waiting == j)
            t->last_waiting = before;
        t->stats.waiting--;
        return true;
    }
    return false;
}

/* The first that may start; NULL: none. */
static struct pn_job *next_to_start(const struct pn_transcriber *t)
{
    int most = t->opt.max_concurrent, most_large = most - most / KEPT_PART;
    struct pn_job *job = t->stats.running < most ? t->first_waiting : NULL;
    while (job && !job->small && t->running_large >= most_large)
        job = job->next_waiting;
    return job;
}

static void start_waiting(struct pn_transcriber *t)
{
    for (struct pn_job *job; (job = next_to_start(t));) {
        remove_waiting(t, job);
        t->stats.running++;
        t->running_large += !job->small;
        job->started = true;
        job->started_us = pn_now_us();
        give_to_thread(t, job);
    }
}

static void cancel_job(struct pn_transcriber *t, struct pn_job *job)
{
    atomic_store_explicit(&job->cancelled, true, memory_order_release);
    if (remove_waiting(t, job))
        give_to_thread(t, job);
    else
        pn_job_thread_wake(job->thread);
}

static bool is_full(const struct pn_transcriber *t)
{
    return t->stats.running >= t->opt.max_concurrent && t->stats.waiting >= t->opt.queue_size;
}

/* ---- a job thread ---- */

static void fill_times(struct pn_job *job)
{
    int64_t now = pn_now_us();
    int64_t started = job->started ? job->started_us : now;
    job->result.waited_s = (double)(started - job->submitted_us) / 1e6;
    job->result.ran_s = (double)(now - started) / 1e6;
}

static void job_ended(void *ctx, struct pn_job_thread *thread, struct pn_job *job)
{
    (void)thread;
    struct pn_transcriber *t = ctx;
    fill_times(job);
    pthread_mutex_lock(&t->mu);
    PN_LIST_REMOVE(t->all, job); /* from here on cancel does not find it */
    t->stats.running -= job->started;
    t->running_large -= job->started && !job->small;
    if (job->result.code == 0)
        t->stats.done++;
    else if (job->result.code == -PN_ECANCELLED)
        t->stats.cancelled++;
    else
        t->stats.failed++;
    start_waiting(t);
    pthread_mutex_unlock(&t->mu);

    job->req.done(job->req.ctx, job->id, &job->result);
    pn_job_free(job);
    if (t->opt.trim_memory)
        malloc_trim(0);
}

/* ---- anybody ---- */

struct pn_transcriber *pn_transcriber_free(struct pn_transcriber *t)
{
    if (!t)
        return NULL;
    pthread_mutex_lock(&t->mu);
    for (struct pn_job *job = t->all; job; job = job->next)
        cancel_job(t, job);
    pthread_mutex_unlock(&t->mu);
    for (int i = 0; i < t->n_threads; i++)
        pn_job_thread_free(t->threads[i]);
    pthread_mutex_destroy(&t->mu);
    free(t->threads);
    free(t);
    return NULL;
}

int pn_transcriber_new(const struct pn_transcriber_options *opt, struct pn_transcriber **ret,
                       struct pn_err *err)
{
    if (opt->worker_threads < 1 || opt->max_concurrent < 1 || opt->queue_size < 0)
        return pn_fail(err, PN_EINVAL, "a transcriber needs a thread, a job and a queue");
    struct pn_transcriber *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for the transcriber");
    t->opt = *opt;
    pthread_mutex_init(&t->mu, NULL);
    t->threads = calloc((size_t)opt->worker_threads, sizeof(struct pn_job_thread *));
    int r = t->threads ? 0 : pn_fail(err, PN_ENOMEM, "no memory for the job threads");
    struct pn_job_thread_options thread_opt = { .transcriber = *opt, .ended = job_ended, .ctx = t };
    while (r == 0 && t->n_threads < opt->worker_threads) {
        r = pn_job_thread_new(&thread_opt, &t->threads[t->n_threads], err);
        t->n_threads += r == 0;
    }
    if (r < 0)
        t = pn_transcriber_free(t);
    else
        *ret = t;
    return r;
}

/* What can be known before a slot is free. A model that is still being loaded says it later. */
static int check_request(struct pn_job *job, struct pn_err *err)
{
    int r = job->recognizer ? 0 : pn_models_acquire(job->req.models, job->req.model, &job->recognizer, err);
    if (r == -PN_EAGAIN || r == -PN_EFULL) {
        if (err)
            *err = (struct pn_err){ 0 };
        return 0;
    }
    return r < 0 ? r : job->recognizer->ops->check(job->recognizer, &job->req.want, err);
}

/* A pipe may bring anything. */
static bool is_small(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SMALL_BYTES;
}

int pn_transcriber_submit(struct pn_transcriber *t, const struct pn_job_request *req, pn_job_id *ret_id,
                          struct pn_err *err)
{
    struct pn_job *job = NULL;
    int r = pn_job_new(req, &job, err);
    if (r == 0)
        r = check_request(job, err);
    if (r < 0) {
        if (job)
            pn_job_drop(job);
        return r;
    }
    job->submitted_us = pn_now_us();
    job->small = is_small(req->fd);
    pthread_mutex_lock(&t->mu);
    bool full = is_full(t);
    if (!full) {
        job->id = ++t->last_id;
        *ret_id = job->id; /* before any thread can call `done` */
        PN_LIST_ADD(t->all, job);
        append_waiting(t, job);
        start_waiting(t);
    }
    pthread_mutex_unlock(&t->mu);
    if (!full)
        return 0;
    pn_job_drop(job);
    return pn_fail(err, PN_EFULL, "%d recordings are being recognised and %d wait", t->opt.max_concurrent,
                   t->opt.queue_size);
}

void pn_transcriber_cancel(struct pn_transcriber *t, pn_job_id id)
{
    pthread_mutex_lock(&t->mu);
    for (struct pn_job *job = t->all; job; job = job->next)
        if (job->id == id) {
            cancel_job(t, job);
            break;
        }
    pthread_mutex_unlock(&t->mu);
}

bool pn_transcriber_full(struct pn_transcriber *t)
{
    pthread_mutex_lock(&t->mu);
    bool full = is_full(t);
    pthread_mutex_unlock(&t->mu);
    return full;
}

struct pn_transcriber_stats pn_transcriber_stats(struct pn_transcriber *t)
{
    pthread_mutex_lock(&t->mu);
    struct pn_transcriber_stats stats = t->stats;
    pthread_mutex_unlock(&t->mu);
    return stats;
}
