/* job_thread.c - the loop of a job thread.
 *
 * Jobs come in by a list under `mu` and leave by `ended`; in between they are the thread's alone. Others
 * reach the thread by its eventfd only: after a wake it turns all its jobs, which are few. */
#include "asr/job_thread.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pn_job_thread {
    struct pn_job_thread_options opt;
    pthread_t thread;
    bool started;
    int wake_fd;         /* nonblocking: a full counter is awake enough */
    struct pollfd *fds;  /* one for the eventfd, one for each job that may run */
    struct pn_job *jobs; /* the thread's alone */

    pthread_mutex_t mu;
    struct pn_job *incoming; /* guarded by mu, as the next ones */
    int load;
    bool stop;
};

void pn_job_thread_wake(struct pn_job_thread *t)
{
    ssize_t n = write(t->wake_fd, &(uint64_t){ 1 }, sizeof(uint64_t));
    (void)n;
}

static void moved(void *ctx)
{
    pn_job_thread_wake(ctx);
}

static void take_incoming(struct pn_job_thread *t)
{
    pthread_mutex_lock(&t->mu);
    struct pn_job *job = t->incoming;
    t->incoming = NULL;
    pthread_mutex_unlock(&t->mu);
    while (job) {
        struct pn_job *next = job->next_waiting;
        job->next_of_thread = t->jobs;
        t->jobs = job;
        job = next;
    }
}

static void hand_over(struct pn_job_thread *t, struct pn_job *job)
{
    pthread_mutex_lock(&t->mu);
    t->load--;
    pthread_mutex_unlock(&t->mu);
    t->opt.ended(t->opt.ctx, t, job);
}

static void turn_jobs(struct pn_job_thread *t)
{
    struct pn_job **link = &t->jobs, *job;
    while ((job = *link)) {
        pn_job_turn(job, &t->opt.transcriber, moved, t);
        if (job->state == PN_JOB_ENDED) {
            *link = job->next_of_thread;
            hand_over(t, job);
        } else {
            link = &job->next_of_thread;
        }
    }
}

static void wait_for_news(struct pn_job_thread *t)
{
    nfds_t n = 0;
    int timeout_ms = -1;
    t->fds[n++] = (struct pollfd){ .fd = t->wake_fd, .events = POLLIN };
    for (const struct pn_job *job = t->jobs; job; job = job->next_of_thread) {
        int fd = pn_job_poll_fd(job), patience = pn_job_patience_ms(job);
        if (fd >= 0)
            t->fds[n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
        if (patience >= 0 && (timeout_ms < 0 || patience < timeout_ms))
            timeout_ms = patience;
    }
    poll(t->fds, n, timeout_ms);
    if (t->fds[0].revents) {
        uint64_t count;
        ssize_t got = read(t->wake_fd, &count, sizeof(count));
        (void)got;
    }
}

static bool is_over(struct pn_job_thread *t)
{
    pthread_mutex_lock(&t->mu);
    bool over = t->stop && !t->incoming && !t->jobs;
    pthread_mutex_unlock(&t->mu);
    return over;
}

static void *run(void *arg)
{
    struct pn_job_thread *t = arg;
    while (!is_over(t)) {
        take_incoming(t);
        turn_jobs(t);
        if (!is_over(t))
            wait_for_news(t);
    }
    return NULL;
}

/* ---- other threads ---- */

struct pn_job_thread *pn_job_thread_free(struct pn_job_thread *t)
{
    if (!t)
        return NULL;
    pthread_mutex_lock(&t->mu);
    t->stop = true;
    pthread_mutex_unlock(&t->mu);
    if (t->started) {
        pn_job_thread_wake(t);
        pthread_join(t->thread, NULL);
    }
    pthread_mutex_destroy(&t->mu);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    free(t->fds);
    free(t);
    return NULL;
}

int pn_job_thread_new(const struct pn_job_thread_options *opt, struct pn_job_thread **ret, struct pn_err *err)
{
    struct pn_job_thread *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for a job thread");
    t->opt = *opt;
    pthread_mutex_init(&t->mu, NULL);
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->fds = calloc((size_t)opt->transcriber.max_concurrent + 1, sizeof(*t->fds));
    if (t->wake_fd >= 0 && t->fds) {
        errno = pthread_create(&t->thread, NULL, run, t);
        t->started = errno == 0;
    }
    if (!t->started) {
        int r = pn_fail_errno(err, "job thread");
        pn_job_thread_free(t);
        return r;
    }
    *ret = t;
    return 0;
}

void pn_job_thread_add(struct pn_job_thread *t, struct pn_job *job)
{
    pthread_mutex_lock(&t->mu);
    job->next_waiting = t->incoming;
    t->incoming = job;
    t->load++;
    pthread_mutex_unlock(&t->mu);
    pn_job_thread_wake(t);
}

int pn_job_thread_load(struct pn_job_thread *t)
{
    pthread_mutex_lock(&t->mu);
    int n = t->load;
    pthread_mutex_unlock(&t->mu);
    return n;
}
