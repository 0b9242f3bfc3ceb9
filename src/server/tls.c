/* tls.c - see tls.h: the thread, its listeners and its context. What happens to a client is in tls_link.c. */
#include "server/tls.h"

#include "base/clock.h"
#include "base/log.h"
#include "server/tls_context.h"
#include "server/tls_link.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MAX_EVENTS        64
#define ACCEPTS_PER_EVENT 64
#define TICK_MS           200
#define FLUSH_US          3000000 /* pn_tls_free() */

static void open_entrances(struct pn_tls *t, bool open)
{
    for (size_t i = 0; i < t->opt.n_listeners; i++)
        (void)pn_tls_watch(t, EPOLL_CTL_MOD, t->opt.listeners[i].fd, &t->entrances[i], open ? EPOLLIN : 0);
}

static void accept_some(struct pn_tls *t, const struct pn_listener *listener)
{
    struct pn_peer peer;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = pn_listen_accept(listener, &peer);
        if (fd == -PN_ENOMEM) {
            pn_log(PN_WARN, "accepting pauses", F_CSTR("error", strerror(errno)));
            t->starved = true;
            open_entrances(t, false);
        }
        if (fd < 0)
            return;
        pn_tls_link_begin(t, fd, &peer);
    }
}

static void on_event(struct pn_tls *t, struct pn_tls_watch *w, uint32_t events)
{
    uint64_t n;
    switch (w->what) {
    case PN_TLS_LISTENER:
        accept_some(t, w->of);
        return;
    case PN_TLS_WAKE:
        (void)!read(t->wake_fd, &n, sizeof(n));
        return;
    case PN_TLS_NET:
    case PN_TLS_APP:
        pn_tls_link_event(t, w->of, w->what == PN_TLS_NET, events);
        return;
    }
    PN_UNREACHABLE();
}

static void tick(struct pn_tls *t)
{
    if (t->now_us < t->next_tick_us)
        return;
    t->next_tick_us = t->now_us + TICK_MS * 1000;
    if (t->starved)
        open_entrances(t, true);
    t->starved = false;
    pn_tls_links_tick(t);
}

static void wind_up(struct pn_tls *t)
{
    if (t->stop_by_us == 0) {
        t->stop_by_us = t->now_us + FLUSH_US;
        open_entrances(t, false);
    }
    pn_tls_links_wind_up(t, t->stop_by_us);
}

static void *run(void *ctx)
{
    struct pn_tls *t = ctx;
    struct epoll_event ev[MAX_EVENTS];
    bool stop = false;
    while (!stop || t->links) {
        int n = epoll_wait(t->epoll_fd, ev, MAX_EVENTS, t->more ? 0 : TICK_MS);
        t->now_us = pn_now_us();
        for (int i = 0; i < n; i++)
            on_event(t, ev[i].data.ptr, ev[i].events);
        pn_tls_links_more(t);
        tick(t);
        stop = atomic_load_explicit(&t->stop, memory_order_acquire);
        if (stop)
            wind_up(t);
        pn_tls_links_bury(t);
    }
    pn_tls_links_more(t);
    pn_tls_links_bury(t);
    return NULL;
}

/* ---- from other threads ------------------------------------------------------------------------------ */

static void say_age(SSL_CTX *context)
{
    char until[32];
    enum pn_tls_age age = pn_tls_context_age(context, until);
    if (age == PN_TLS_EXPIRED)
        pn_log(PN_WARN, "the certificate has expired", F_CSTR("until", until));
    else if (age == PN_TLS_EARLY)
        pn_log(PN_WARN, "the certificate is not valid yet", F_CSTR("until", until));
    else
        pn_log(PN_INFO, "certificate", F_CSTR("until", until));
}

static int start(struct pn_tls *t, struct pn_err *err)
{
    t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    t->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->wake = (struct pn_tls_watch){ PN_TLS_WAKE, NULL };
    if (t->epoll_fd < 0 || t->wake_fd < 0 ||
        pn_tls_watch(t, EPOLL_CTL_ADD, t->wake_fd, &t->wake, EPOLLIN) < 0)
        return pn_fail_errno(err, "epoll for TLS");
    for (size_t i = 0; i < t->opt.n_listeners; i++) {
        t->entrances[i] = (struct pn_tls_watch){ PN_TLS_LISTENER, (void *)&t->opt.listeners[i] };
        if (pn_tls_watch(t, EPOLL_CTL_ADD, t->opt.listeners[i].fd, &t->entrances[i], EPOLLIN) < 0)
            return pn_fail_errno(err, "epoll for TLS");
    }
    t->now_us = pn_now_us();
    if (pthread_create(&t->thread, NULL, run, t) != 0)
        return pn_fail(err, PN_ENOMEM, "no thread for TLS");
    pthread_setname_np(t->thread, "pinna-tls");
    t->started = true;
    return 0;
}

int pn_tls_new(const struct pn_tls_options *opt, struct pn_tls **ret, struct pn_err *err)
{
    struct pn_tls *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for TLS");
    t->opt = *opt;
    t->epoll_fd = t->wake_fd = -1;
    pthread_mutex_init(&t->mu, NULL);
    int r = pn_tls_context_new(opt->cert, opt->key, &t->context, err);
    if (r == 0) {
        say_age(t->context);
        r = start(t, err);
    }
    if (r < 0)
        pn_tls_free(t);
    else
        *ret = t;
    return r;
}

struct pn_tls *pn_tls_free(struct pn_tls *t)
{
    if (!t)
        return NULL;
    if (t->started) {
        uint64_t one = 1;
        atomic_store_explicit(&t->stop, true, memory_order_release);
        (void)!write(t->wake_fd, &one, sizeof(one));
        pthread_join(t->thread, NULL);
    }
    if (t->epoll_fd >= 0)
        close(t->epoll_fd);
    if (t->wake_fd >= 0)
        close(t->wake_fd);
    SSL_CTX_free(t->context);
    pthread_mutex_destroy(&t->mu);
    free(t);
    return NULL;
}

int pn_tls_reload(struct pn_tls *t, struct pn_err *err)
{
    SSL_CTX *fresh = NULL;
    int r = pn_tls_context_new(t->opt.cert, t->opt.key, &fresh, err);
    if (r < 0)
        return r;
    say_age(fresh);
    pthread_mutex_lock(&t->mu);
    SSL_CTX *old = t->context;
    t->context = fresh;
    pthread_mutex_unlock(&t->mu);
    SSL_CTX_free(old);
    return 0;
}

int pn_tls_count(const struct pn_tls *t)
{
    return t ? atomic_load_explicit(&t->count, memory_order_relaxed) : 0;
}
