/* decode_pool.c - keeps one decode child started, caged and idle.
 *
 * A thread of the pool's own starts all children: they are killed when the thread that started them ends
 * (PR_SET_PDEATHSIG), so it must live as long as the pool. It also watches the idle child and replaces it
 * when it dies. Takers pick the idle child up under the lock and wake the thread through an eventfd.
 * Invariant: only the thread sets p->idle; whoever takes it out owns the child. */
#include "audio/decode_pool.h"
#include "base/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum {
    READY_WAIT_MS = 20000, /* 30 ms when the libraries are in memory; a cold, busy disk takes seconds */
    TAKE_WAIT_MS = 30000,
    PAUSE_MS = 200, /* after a child that died idle: no storm of starts */
};

struct pn_decoder_pool {
    struct pn_decoder_options opt;
    pthread_t thread;
    int wake_fd; /* eventfd */
    pthread_mutex_t mu;
    pthread_cond_t changed;          /* idle, failures */
    struct pn_decode_child *idle;    /* guarded by mu, as all that follows */
    struct pn_sandbox_report report; /* of the latest child */
    uint64_t failures;               /* starts that failed */
    struct pn_err failure;           /* of the last one */
    bool tired;                      /* the last start failed and nobody has asked since */
    bool stop;
};

const struct pn_decoder_options *pn_decode_pool_options(const struct pn_decoder_pool *p)
{
    return &p->opt;
}

static void wake(struct pn_decoder_pool *p)
{
    uint64_t one = 1;
    (void)!write(p->wake_fd, &one, sizeof(one)); /* cannot fail but for a full counter, which wakes as well */
}

static bool stopping(struct pn_decoder_pool *p)
{
    pthread_mutex_lock(&p->mu);
    bool stop = p->stop;
    pthread_mutex_unlock(&p->mu);
    return stop;
}

/* Waits for `fd` (may be -1) or a wake-up; true when fd has something. */
static bool wait_fd(struct pn_decoder_pool *p, int fd, int timeout_ms)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = p->wake_fd, .events = POLLIN } };
    if (poll(fds, 2, timeout_ms) <= 0)
        return false;
    uint64_t count;
    if (fds[1].revents)
        (void)!read(p->wake_fd, &count, sizeof(count));
    return fds[0].revents != 0;
}

/* What the first message of a child says. 1: ready; 0: nothing yet; -PN_E*. */
static int hear_ready(struct pn_decoder_pool *p, struct pn_decode_child *c, struct pn_sandbox_report *ret,
                      struct pn_err *err)
{
    char byte; /* one at a time: what follows belongs to the decoder */
    ssize_t n = read(c->pipe_fd, &byte, 1);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? 0 : pn_fail_errno(err, "cannot read from the decoder");
    if (n == 0)
        return pn_decode_child_why(c, &p->opt, err);
    struct pn_str in = { &byte, 1 };
    struct pn_wire_message m;
    int r = pn_wire_read(&c->reader, &in, &m, NULL);
    if (r < 0)
        return pn_fail(err, PN_ECRASH, "%.150s does not talk like a decoder of this version", p->opt.program);
    if (r == 1 && m.type == PN_WIRE_ERROR)
        return pn_fail(err, (enum pn_error)m.error.code, "the decoder cannot start: %s", m.error.text);
    if (r == 1)
        *ret = m.ready;
    return r;
}

static int await_ready(struct pn_decoder_pool *p, struct pn_decode_child *c, struct pn_sandbox_report *ret,
                       struct pn_err *err)
{
    int64_t deadline = pn_now_us() + (int64_t)READY_WAIT_MS * 1000;
    while (!stopping(p)) {
        int r = hear_ready(p, c, ret, err);
        if (r != 0)
            return r < 0 ? r : 0;
        int64_t left = deadline - pn_now_us();
        if (left <= 0)
            return pn_fail(err, PN_ETIMEOUT, "the decoder program does not get ready");
        wait_fd(p, c->pipe_fd, (int)(left / 1000) + 1);
    }
    return pn_fail(err, PN_ECANCELLED, "the decoders are being stopped");
}

static int start_child(struct pn_decoder_pool *p, struct pn_decode_child **ret,
                       struct pn_sandbox_report *report, struct pn_err *err)
{
    struct pn_decode_child *c = NULL;
    int r = pn_decode_child_start(&p->opt, &c, err);
    if (r == 0)
        r = await_ready(p, c, report, err);
    if (r < 0)
        pn_decode_child_free(c);
    else
        *ret = c;
    return r;
}

/* Starts the next idle child and tells everybody how that went. */
static void refill(struct pn_decoder_pool *p)
{
    struct pn_decode_child *c = NULL;
    struct pn_sandbox_report report;
    struct pn_err err = { 0 };
    int r = start_child(p, &c, &report, &err);
    pthread_mutex_lock(&p->mu);
    if (r < 0) {
        p->failures++;
        p->failure = err;
        p->tired = true;
    } else {
        p->idle = c;
        p->report = report;
    }
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mu);
}

/* The idle child moved although nobody asked it to: it died, or it is not what it should be. */
static void drop_idle(struct pn_decoder_pool *p, const struct pn_decode_child *seen)
{
    pthread_mutex_lock(&p->mu);
    struct pn_decode_child *dead = p->idle == seen ? p->idle : NULL;
    if (dead)
        p->idle = NULL;
    pthread_mutex_unlock(&p->mu);
    if (!dead)
        return; /* taken meanwhile; its descriptor may even be another file's by now */
    pn_decode_child_free(dead);
    wait_fd(p, -1, PAUSE_MS);
}

/* One turn of the thread: an idle child is made, or watched. False: stop. */
static bool turn(struct pn_decoder_pool *p)
{
    pthread_mutex_lock(&p->mu);
    bool stop = p->stop, start = !p->idle && !p->tired;
    const struct pn_decode_child *idle = p->idle;
    int fd = idle ? idle->pipe_fd : -1;
    pthread_mutex_unlock(&p->mu);
    if (stop)
        return false;
    if (start)
        refill(p);
    else if (wait_fd(p, fd, -1))
        drop_idle(p, idle);
    return true;
}

static void *pool_main(void *arg)
{
    while (turn(arg))
        ;
    return NULL;
}

/* Waits until p->idle is set, with the lock held. */
static int await_idle(struct pn_decoder_pool *p, struct pn_err *err)
{
    uint64_t before = p->failures;
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += TAKE_WAIT_MS / 1000;
    if (!p->idle) {
        p->tired = false;
        wake(p);
    }
    int e = 0;
    while (!p->idle && p->failures == before && e == 0)
        e = pthread_cond_timedwait(&p->changed, &p->mu, &until);
    if (p->idle)
        return 0;
    if (p->failures != before)
        return pn_fail(err, (enum pn_error)p->failure.code, "%s", p->failure.text);
    return pn_fail(err, PN_ETIMEOUT, "no decoder got ready in %d seconds", TAKE_WAIT_MS / 1000);
}

int pn_decode_pool_take(struct pn_decoder_pool *p, struct pn_decode_child **ret, struct pn_err *err)
{
    pthread_mutex_lock(&p->mu);
    int r = await_idle(p, err);
    if (r == 0) {
        *ret = p->idle;
        p->idle = NULL;
    }
    pthread_mutex_unlock(&p->mu);
    wake(p);
    return r;
}

struct pn_sandbox_report pn_decoder_pool_sandbox(struct pn_decoder_pool *p)
{
    pthread_mutex_lock(&p->mu);
    struct pn_sandbox_report report = p->report;
    pthread_mutex_unlock(&p->mu);
    return report;
}

/* The condition counts in the monotonic clock. */
static int init_sync(struct pn_decoder_pool *p)
{
    pthread_condattr_t attr;
    if (pthread_mutex_init(&p->mu, NULL) != 0)
        return -PN_ENOMEM;
    int e = pthread_condattr_init(&attr);
    if (e == 0) {
        pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        e = pthread_cond_init(&p->changed, &attr);
        pthread_condattr_destroy(&attr);
    }
    if (e != 0)
        pthread_mutex_destroy(&p->mu);
    return e ? -PN_ENOMEM : 0;
}

static int check_options(const struct pn_decoder_options *opt, struct pn_err *err)
{
    if (!opt->program || !*opt->program || opt->max_samples < 1 || opt->memory_mb < 1 || opt->cpu_s < 1 ||
        opt->stall_s < 1)
        return pn_fail(err, PN_EINVAL, "decoders need a program and limits of at least 1");
    return 0;
}

/* Everything but the thread. */
static int pool_alloc(const struct pn_decoder_options *opt, struct pn_decoder_pool **ret)
{
    struct pn_decoder_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return -PN_ENOMEM;
    p->opt = *opt;
    p->opt.program = strdup(opt->program);
    p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->opt.program && p->wake_fd >= 0 && init_sync(p) == 0) {
        *ret = p;
        return 0;
    }
    if (p->wake_fd >= 0)
        close(p->wake_fd);
    free((char *)p->opt.program);
    free(p);
    return -PN_ENOMEM;
}

static void pool_done(struct pn_decoder_pool *p)
{
    pn_decode_child_free(p->idle);
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mu);
    close(p->wake_fd);
    free((char *)p->opt.program);
    free(p);
}

int pn_decoder_pool_new(const struct pn_decoder_options *opt, struct pn_decoder_pool **ret,
                        struct pn_err *err)
{
    struct pn_decoder_pool *p = NULL;
    int r = check_options(opt, err);
    if (r < 0)
        return r;
    if (pool_alloc(opt, &p) < 0)
        return pn_fail(err, PN_ENOMEM, "no memory or descriptors for the decoders");
    p->tired = true; /* the first start is asked for below */
    if (pthread_create(&p->thread, NULL, pool_main, p) != 0) {
        pool_done(p);
        return pn_fail(err, PN_ENOMEM, "cannot start the decoders' thread");
    }
    pthread_mutex_lock(&p->mu);
    r = await_idle(p, err);
    pthread_mutex_unlock(&p->mu);
    if (r < 0)
        p = pn_decoder_pool_free(p);
    else
        *ret = p;
    return r;
}

struct pn_decoder_pool *pn_decoder_pool_free(struct pn_decoder_pool *p)
{
    if (!p)
        return NULL;
    pthread_mutex_lock(&p->mu);
    p->stop = true;
    pthread_mutex_unlock(&p->mu);
    wake(p);
    pthread_join(p->thread, NULL);
    pool_done(p);
    return NULL;
}
