/* acceptor.c - see acceptor.h. */
#include "server/acceptor.h"

#include "base/log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#define ACCEPTS_PER_EVENT 64

struct entrance {
    struct pn_source source;
    struct pn_acceptor *owner;
    const struct pn_listener *listener;
    bool starved; /* no descriptors left: accepting pauses until the next tick */
};

struct pn_acceptor {
    struct pn_loop *loop;
    struct entrance entrances[PN_LISTENERS_MAX];
    size_t n;
    void (*accepted)(void *ctx, int fd, const struct pn_peer *peer);
    void *ctx;
};

static void entrance_ready(struct pn_source *s, uint32_t events)
{
    struct entrance *e = PN_CONTAINER_OF(s, struct entrance, source);
    struct pn_peer peer;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
        int fd = pn_listen_accept(e->listener, &peer);
        if (fd == -PN_ENOMEM) {
            pn_log(PN_WARN, "accepting pauses", F_CSTR("error", strerror(errno)));
            e->starved = true;
            pn_loop_change(e->owner->loop, s, 0);
        }
        if (fd < 0)
            return;
        e->owner->accepted(e->owner->ctx, fd, &peer);
    }
}

int pn_acceptor_new(struct pn_loop *loop, const struct pn_listener *listeners, size_t n,
                    void (*accepted)(void *ctx, int fd, const struct pn_peer *peer), void *ctx,
                    struct pn_acceptor **ret, struct pn_err *err)
{
    struct pn_acceptor *a = calloc(1, sizeof(*a));
    if (!a)
        return pn_fail(err, PN_ENOMEM, "no memory for the listeners");
    a->loop = loop;
    a->accepted = accepted;
    a->ctx = ctx;
    for (; a->n < n; a->n++) {
        struct entrance *e = &a->entrances[a->n];
        *e = (struct entrance){ .source = { .fd = listeners[a->n].fd, .ready = entrance_ready },
                                .owner = a,
                                .listener = &listeners[a->n] };
        int r = pn_loop_add(loop, &e->source, EPOLLIN, err);
        if (r < 0) {
            pn_acceptor_free(a);
            return r;
        }
    }
    *ret = a;
    return 0;
}

struct pn_acceptor *pn_acceptor_free(struct pn_acceptor *a)
{
    for (size_t i = 0; a && i < a->n; i++)
        pn_loop_remove(a->loop, &a->entrances[i].source, NULL);
    free(a);
    return NULL;
}

void pn_acceptor_tick(struct pn_acceptor *a)
{
    for (size_t i = 0; a && i < a->n; i++) {
        struct entrance *e = &a->entrances[i];
        if (e->starved)
            pn_loop_change(a->loop, &e->source, EPOLLIN);
        e->starved = false;
    }
}
