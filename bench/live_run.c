/* live_run.c - see live_run.h.
 *
 * One thread: an epoll of all connections and a timer, at whose ticks every speaker says what is due. */
#include "live_run.h"

#include "process.h"
#include "timing.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/splitmix.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

enum {
    TICK_MS = 4,
    EVENTS = 256,
    SPREAD_MS = 1200,
    PATIENCE_MS = 8000,
    GROWS_MS = 150,
    LIMIT_MS = LIVE_CHUNK_MS,
    FINAL_MS = 2 * LIVE_CHUNK_MS
};
static const double US = 1e6;

struct run {
    const struct live_options *opt;
    struct live_speaker *speakers;
    struct live_totals totals;
    int n, epoll_fd, timer_fd;
};

/* ---- the server, by /proc ---- */

struct usage {
    double cpu_s, mb;
};

static struct usage usage_of(pid_t pid)
{
    char path[64], *rest;
    struct usage u = { 0 };
    struct pn_buf b;
    pn_buf_init(&b, 65536);
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    if (pid > 0 && pn_file_read(path, &b, NULL) == 0 && b.len > 0 && (rest = strrchr(b.ptr, ')'))) {
        unsigned long user = 0, system = 0, pages = 0;
        /* state and 10 fields, utime, stime; 8 fields; rss in pages */
        if (sscanf(rest + 1,
                   " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %*d %*d %*d %*d %*d %*d %*u %*u %lu",
                   &user, &system, &pages) == 3) {
            u.cpu_s = (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
            u.mb = (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
        }
    }
    pn_buf_done(&b);
    return u;
}

/* ---- the loop ---- */

static uint32_t epoll_events(short polled)
{
    return (polled & POLLIN ? EPOLLIN : 0u) | (polled & POLLOUT ? EPOLLOUT : 0u);
}

static void follow(struct run *r, struct live_speaker *s)
{
    short wanted = s->state == LIVE_GONE ? 0 : pn_ws_client_events(s->client);
    if (wanted == s->events)
        return;
    struct epoll_event e = { .events = epoll_events(wanted), .data.ptr = s };
    int op = s->state == LIVE_GONE ? EPOLL_CTL_DEL : EPOLL_CTL_MOD;
    if (epoll_ctl(r->epoll_fd, op, pn_ws_client_fd(s->client), &e) < 0)
        bench_die("epoll_ctl", NULL);
    s->events = wanted;
}

static void tick(struct run *r)
{
    uint64_t ticks;
    if (read(r->timer_fd, &ticks, sizeof(ticks)) != (ssize_t)sizeof(ticks))
        return;
    int64_t now = pn_now_us();
    for (int i = 0; i < r->n; i++)
        if (r->speakers[i].due_us <= now) {
            live_speaker_tick(&r->speakers[i], now);
            follow(r, &r->speakers[i]);
        }
}

static bool somebody_waits(const struct run *r)
{
    for (int i = 0; i < r->n; i++)
        if (r->speakers[i].state == LIVE_WAITING)
            return true;
    return false;
}

/* Until `end_us`, or, if nobody begins any more, until nobody waits. */
static void loop_until(struct run *r, int64_t end_us, bool ending)
{
    struct epoll_event events[EVENTS];
    while (pn_now_us() < end_us && (!ending || somebody_waits(r))) {
        int n = epoll_wait(r->epoll_fd, events, EVENTS, 100);
        for (int i = 0; i < n; i++) {
            struct live_speaker *s = events[i].data.ptr;
            if (s)
                live_speaker_run(s);
            else
                tick(r);
            if (s)
                follow(r, s);
        }
    }
}

/* Those who talk stop in mid-word. */
static void end_all(struct run *r)
{
    for (int i = 0; i < r->n; i++) {
        struct live_speaker *s = &r->speakers[i];
        if (s->state == LIVE_TALKING)
            s->n_wanted = s->n_sent + 1;
        else if (s->state == LIVE_PAUSING)
            s->due_us = INT64_MAX;
    }
}

/* ---- life ---- */

static void connect_all(struct run *r)
{
    struct pn_err err = { 0 };
    for (int i = 0; i < r->n; i++) {
        struct live_speaker *s = &r->speakers[i];
        if (live_speaker_open(s, r->opt, &r->totals, (uint64_t)i + 1, &err) < 0)
            bench_die("a speaker", &err);
        live_speaker_run(s);
        s->events = s->state == LIVE_GONE ? 0 : pn_ws_client_events(s->client);
        struct epoll_event e = { .events = epoll_events(s->events), .data.ptr = s };
        if (s->state != LIVE_GONE &&
            epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, pn_ws_client_fd(s->client), &e) < 0)
            bench_die("epoll_ctl", NULL);
    }
}

static void open_loop(struct run *r)
{
    struct itimerspec every = { .it_interval.tv_nsec = TICK_MS * 1000000L,
                                .it_value.tv_nsec = TICK_MS * 1000000L };
    struct epoll_event e = { .events = EPOLLIN };
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    r->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (r->epoll_fd < 0 || r->timer_fd < 0 || timerfd_settime(r->timer_fd, 0, &every, NULL) < 0 ||
        epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, r->timer_fd, &e) < 0)
        bench_die("the loop", NULL);
}

static void begin_all(struct run *r)
{
    int64_t now = pn_now_us();
    uint64_t random = 7;
    for (int i = 0; i < r->n; i++)
        if (r->speakers[i].state == LIVE_PAUSING)
            live_speaker_begin(&r->speakers[i], now + (int64_t)(pn_splitmix64(&random) % (SPREAD_MS * 1000)));
}

/* ---- what came of it ---- */

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double *sorted(const double *ms, int n)
{
    double *v = malloc((size_t)PN_MAX(n, 1) * sizeof(*v));
    if (!v)
        bench_die("memory", NULL);
    memcpy(v, ms, (size_t)n * sizeof(*v));
    qsort(v, (size_t)n, sizeof(*v), compare);
    return v;
}

static struct live_percentiles percentiles(const struct live_series *s)
{
    struct live_percentiles p = { .n = s->n };
    if (s->n == 0)
        return p;
    double *v = sorted(s->ms, s->n);
    p.p50 = v[s->n / 2];
    p.p95 = v[s->n * 95 / 100];
    p.p99 = v[s->n * 99 / 100];
    p.worst = v[s->n - 1];
    free(v);
    return p;
}

static double slope(const struct live_series *s)
{
    int third = s->n / 3;
    if (third == 0)
        return 0;
    double *first = sorted(s->ms, third), *last = sorted(s->ms + s->n - third, third);
    double grown = last[third / 2] - first[third / 2];
    free(first);
    free(last);
    return grown;
}

static int phase_of(const struct run *r)
{
    int best = -1, votes = 0;
    for (int ms = 0; ms < LIVE_CHUNK_MS; ms++) {
        int n = 0;
        for (int i = 0; i < r->n; i++)
            n += r->speakers[i].phase_votes[ms];
        if (n > votes) {
            votes = n;
            best = ms;
        }
    }
    return best;
}

static void judge(const struct run *r, struct live_result *ret)
{
    const struct live_totals *t = &r->totals;
    const struct live_series *felt = t->chunk.n > 0 ? &t->chunk : &t->final;
    ret->first = percentiles(&t->first);
    ret->chunk = percentiles(&t->chunk);
    ret->final = percentiles(&t->final);
    ret->slope_ms = slope(felt);
    ret->utterances = t->utterances;
    ret->partials = t->partials;
    ret->refused = t->refused;
    ret->failed = t->failed;
    ret->heard_s = t->heard_s;
    for (int i = 0; i < t->chunk.n; i++)
        ret->late += t->chunk.ms[i] > LIMIT_MS;
    for (int i = 0; i < r->n; i++)
        ret->lost += r->speakers[i].state == LIVE_WAITING;
    ret->phase_ms = phase_of(r);
    double final_ms = ret->final.p99 - r->opt->protocol->silence_ms; /* tells what unstamped chunks hide */
    double p99 = t->chunk.n > 0 ? ret->chunk.p99 : final_ms;
    ret->holds = felt->n > 0 && p99 < LIMIT_MS && final_ms < FINAL_MS && ret->slope_ms < GROWS_MS &&
                 ret->refused == 0 && ret->failed == 0 && ret->lost == 0;
}

static void close_all(struct run *r)
{
    for (int i = 0; i < r->n; i++)
        live_speaker_close(&r->speakers[i]);
    struct live_series *const series[] = { &r->totals.first, &r->totals.chunk, &r->totals.final };
    for (size_t i = 0; i < PN_ARRAY_LEN(series); i++) {
        free(series[i]->ms);
        free(series[i]->at_us);
    }
    free(r->speakers);
    close(r->epoll_fd);
    close(r->timer_fd);
}

struct live_result live_run(const struct live_options *opt, int n, int seconds, pid_t pid)
{
    struct run r = { .opt = opt, .n = n, .speakers = calloc((size_t)n, sizeof(*r.speakers)) };
    struct live_result result = { .speakers = n };
    if (!r.speakers)
        bench_die("memory", NULL);
    open_loop(&r);
    connect_all(&r);
    begin_all(&r);
    struct usage before = usage_of(pid);
    double own = bench_cpu_time();
    int64_t start = pn_now_us();
    loop_until(&r, start + seconds * INT64_C(1000000), false);
    struct usage after = usage_of(pid);
    double wall = (double)(pn_now_us() - start) / US;
    result.own_cores = (bench_cpu_time() - own) / wall;
    result.server_cores = (after.cpu_s - before.cpu_s) / wall;
    result.server_mb = after.mb;
    end_all(&r);
    loop_until(&r, pn_now_us() + opt->frame_ms * INT64_C(2000), false);
    loop_until(&r, pn_now_us() + PATIENCE_MS * INT64_C(1000), true);
    judge(&r, &result);
    close_all(&r);
    return result;
}
