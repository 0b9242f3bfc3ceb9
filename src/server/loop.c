/* loop.c - see loop.h.
 *
 * A source that is removed while its event may still be in the batch is only marked dead and put on the grave
 * list; it is buried when the batch is over. */
#include "server/loop.h"

#include "base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MAX_EVENTS 256

struct pn_loop {
    int epoll_fd;
    bool stop;
    struct pn_inbox *inbox;
    struct pn_source inbox_source;
    struct pn_source *graves;
    void (*idle)(void *ctx, int *timeout_ms);
    void *idle_ctx;
    void (*tick)(void *ctx, int64_t now_us);
    void *tick_ctx;
    int64_t next_tick_us;
};

static void inbox_ready(struct pn_source *self, uint32_t events)
{
    (void)events;
    pn_inbox_run(PN_CONTAINER_OF(self, struct pn_loop, inbox_source)->inbox);
}

int pn_loop_new(struct pn_loop **ret, struct pn_err *err)
{
    struct pn_loop *l = calloc(1, sizeof(*l));
    if (!l)
        return pn_fail(err, PN_ENOMEM, "no memory for the event loop");
    l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int r = l->epoll_fd < 0 ? pn_fail_errno(err, "epoll_create1") : pn_inbox_new(&l->inbox, err);
    if (r == 0) {
        l->inbox_source = (struct pn_source){ .fd = pn_inbox_fd(l->inbox), .ready = inbox_ready };
        r = pn_loop_add(l, &l->inbox_source, EPOLLIN, err);
    }
    if (r < 0)
        pn_loop_free(l);
    else
        *ret = l;
    return r;
}

static void bury_all(struct pn_loop *l)
{
    while (l->graves) {
        struct pn_source *s = l->graves;
        l->graves = s->next;
        if (s->bury)
            s->bury(s);
    }
}

struct pn_loop *pn_loop_free(struct pn_loop *l)
{
    if (!l)
        return NULL;
    pn_inbox_free(l->inbox);
    bury_all(l);
    if (l->epoll_fd >= 0)
        close(l->epoll_fd);
    free(l);
    return NULL;
}

int pn_loop_add(struct pn_loop *l, struct pn_source *s, uint32_t events, struct pn_err *err)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };
    s->dead = false;
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, s->fd, &ev) < 0)
        return pn_fail_errno(err, "epoll_ctl");
    return 0;
}

void pn_loop_change(struct pn_loop *l, struct pn_source *s, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = s };
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, s->fd, &ev);
}

void pn_loop_remove(struct pn_loop *l, struct pn_source *s, void (*bury)(struct pn_source *))
{
    if (s->dead)
        return;
    (void)epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, s->fd, NULL);
    s->dead = true;
    if (!bury)
        return;
    s->bury = bury;
    s->next = l->graves;
    l->graves = s;
}

void pn_loop_on_idle(struct pn_loop *l, void (*fn)(void *ctx, int *timeout_ms), void *ctx)
{
    l->idle = fn;
    l->idle_ctx = ctx;
}

void pn_loop_on_tick(struct pn_loop *l, void (*fn)(void *ctx, int64_t now_us), void *ctx)
{
    l->tick = fn;
    l->tick_ctx = ctx;
}

void pn_loop_post(struct pn_loop *l, struct pn_message *m)
{
    pn_inbox_post(l->inbox, m);
}

void pn_loop_stop(struct pn_loop *l)
{
    l->stop = true;
}

static void run_tick(struct pn_loop *l)
{
    int64_t now = pn_now_us();
    if (now < l->next_tick_us)
        return;
    l->next_tick_us = now + PN_LOOP_TICK_MS * 1000;
    if (l->tick)
        l->tick(l->tick_ctx, now);
}

void pn_loop_run(struct pn_loop *l)
{
    int timeout_ms = 0;
    while (!l->stop) {
        struct epoll_event ev[MAX_EVENTS];
        int n = epoll_wait(l->epoll_fd, ev, MAX_EVENTS, timeout_ms);
        for (int i = 0; i < n; i++) {
            struct pn_source *s = ev[i].data.ptr;
            if (!s->dead)
                s->ready(s, ev[i].events);
        }
        run_tick(l);
        timeout_ms = PN_LOOP_TICK_MS;
        if (l->idle)
            l->idle(l->idle_ctx, &timeout_ms);
        bury_all(l);
    }
}
