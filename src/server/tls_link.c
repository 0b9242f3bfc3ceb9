/* tls_link.c - see tls_link.h. */
#include "server/tls_link.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "server/reply.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define SECOND_US       1000000LL
#define LINGER_US       (5 * SECOND_US) /* for the client's half of the end; longer than conn.c's */
#define GONE_US         SECOND_US       /* after its FIN, while nobody takes what it sent */
#define PLAIN_LINGER_US SECOND_US
#define FIRST_BYTE      0x16 /* of every TLS connection: a handshake record */

/* An accepted connection on its way to the loop. */
struct handover {
    struct pn_message message;
    void (*accepted)(void *ctx, int fd, const struct pn_peer *peer);
    void *ctx;
    int fd;
    struct pn_peer peer;
};

/* ---- epoll ------------------------------------------------------------------------------------------- */

int pn_tls_watch(struct pn_tls *t, int op, int fd, struct pn_tls_watch *w, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = w };
    return epoll_ctl(t->epoll_fd, op, fd, &ev);
}

static void watch_room(struct pn_tls *t, int fd, struct pn_tls_watch *w, bool wanted, bool *watched)
{
    if (wanted == *watched)
        return;
    *watched = wanted;
    (void)pn_tls_watch(t, EPOLL_CTL_MOD, fd, w, EPOLLIN | EPOLLRDHUP | EPOLLET | (wanted ? EPOLLOUT : 0u));
}

/* ---- life of a link ---------------------------------------------------------------------------------- */

static void end(struct pn_tls *t, struct pn_tls_link *l)
{
    if (l->stage == PN_TLS_DEAD)
        return;
    l->stage = PN_TLS_DEAD;
    PN_LIST_REMOVE(t->links, l);
    pn_tls_pump_done(&l->pump);
    atomic_fetch_sub_explicit(&t->count, 1, memory_order_relaxed);
    if (l->in_more)
        return;
    l->next = t->graves;
    t->graves = l;
}

void pn_tls_links_bury(struct pn_tls *t)
{
    while (t->graves) {
        struct pn_tls_link *l = t->graves;
        t->graves = l->next;
        free(l);
    }
}

static void put_off(struct pn_tls *t, struct pn_tls_link *l)
{
    if (l->in_more)
        return;
    l->in_more = true;
    l->next_more = t->more;
    t->more = l;
}

/* Says goodbye to a client whose handshake failed: without the FIN its reset could overtake our alert. */
static void refuse(struct pn_tls *t, struct pn_tls_link *l, const char *result)
{
    pn_metric_add(t->opt.handshakes, 1, result);
    shutdown(l->pump.net_fd, SHUT_WR);
    end(t, l);
}

/* ---- the pump ---------------------------------------------------------------------------------------- */

static void run_pump(struct pn_tls *t, struct pn_tls_link *l)
{
    struct pn_tls_pump *p = &l->pump;
    bool parted = p->said_goodbye;
    enum pn_tls_next next = pn_tls_pump_run(p, t->scratch, t->now_us);
    if (next == PN_TLS_OVER) {
        end(t, l);
        return;
    }
    if (p->said_goodbye && !parted)
        l->deadline_us = t->now_us + LINGER_US;
    watch_room(t, p->net_fd, &l->net, p->net_full, &l->net_watched);
    watch_room(t, p->app_fd, &l->app, p->app_full, &l->app_watched);
    if (next == PN_TLS_MORE)
        put_off(t, l);
}

static void deliver(struct pn_message *m)
{
    struct handover *h = PN_CONTAINER_OF(m, struct handover, message);
    h->accepted(h->ctx, h->fd, &h->peer);
    free(h);
}

/* The socketpair: one end for the pump, the other for the loop. */
static int hand_over(struct pn_tls *t, struct pn_tls_link *l)
{
    int ends[2];
    struct handover *h = malloc(sizeof(*h));
    if (!h || !(l->pump.tally = pn_tally_new()) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) < 0) {
        pn_tally_unref(l->pump.tally); /* the loop's share */
        free(h);
        return -PN_ENOMEM;
    }
    l->pump.app_fd = ends[0];
    l->app = (struct pn_tls_watch){ PN_TLS_APP, l };
    *h = (struct handover){ .message = { .deliver = deliver },
                            .accepted = t->opt.accepted,
                            .ctx = t->opt.ctx,
                            .fd = ends[1],
                            .peer = l->peer };
    h->peer.received = l->pump.tally;
    pn_loop_post(t->opt.loop, &h->message);
    return pn_tls_watch(t, EPOLL_CTL_ADD, ends[0], &l->app, EPOLLIN | EPOLLRDHUP | EPOLLET);
}

/* ---- before the pump --------------------------------------------------------------------------------- */

static void shake_hands(struct pn_tls *t, struct pn_tls_link *l)
{
    ERR_clear_error();
    int r = SSL_accept(l->pump.ssl);
    int why = r == 1 ? SSL_ERROR_NONE : SSL_get_error(l->pump.ssl, r);
    if (r == 1) {
        pn_metric_add(t->opt.handshakes, 1, SSL_session_reused(l->pump.ssl) ? "resumed" : "ok");
        l->stage = PN_TLS_OPEN;
        l->deadline_us = INT64_MAX;
        l->pump.net_in = true; /* maybe the request came along */
        if (hand_over(t, l) < 0)
            end(t, l);
        else
            run_pump(t, l);
    } else if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        watch_room(t, l->pump.net_fd, &l->net, why == SSL_ERROR_WANT_WRITE, &l->net_watched);
    } else {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        pn_log(PN_DEBUG, "TLS handshake failed", F_CSTR("reason", reason ? reason : "the client left"));
        refuse(t, l, "failed");
    }
}

static void begin_handshake(struct pn_tls *t, struct pn_tls_link *l)
{
    pthread_mutex_lock(&t->mu);
    l->pump.ssl = SSL_new(t->context);
    pthread_mutex_unlock(&t->mu);
    if (!l->pump.ssl || SSL_set_fd(l->pump.ssl, l->pump.net_fd) != 1) {
        end(t, l);
        return;
    }
    l->stage = PN_TLS_HANDSHAKE;
    shake_hands(t, l);
}

static void drop_input(struct pn_tls *t, struct pn_tls_link *l)
{
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(l->pump.net_fd, t->scratch, sizeof(t->scratch), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0) {
            end(t, l);
            return;
        }
    }
    put_off(t, l);
}

static void answer_in_plain_text(struct pn_tls *t, struct pn_tls_link *l)
{
    char text[1024];
    size_t n = pn_reply_raw(400, "a plain HTTP request came to a TLS port; use https:// or wss://", text,
                            sizeof(text));
    pn_metric_add(t->opt.handshakes, 1, "plain");
    (void)!send(l->pump.net_fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    shutdown(l->pump.net_fd, SHUT_WR);
    l->stage = PN_TLS_PLAIN;
    l->deadline_us = t->now_us + PLAIN_LINGER_US;
    drop_input(t, l);
}

static void look_at_first_byte(struct pn_tls *t, struct pn_tls_link *l)
{
    unsigned char first;
    ssize_t n = recv(l->pump.net_fd, &first, 1, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0)
        end(t, l);
    else if (first == FIRST_BYTE)
        begin_handshake(t, l);
    else
        answer_in_plain_text(t, l);
}

static void go_on(struct pn_tls *t, struct pn_tls_link *l)
{
    switch (l->stage) {
    case PN_TLS_HELLO:
        look_at_first_byte(t, l);
        return;
    case PN_TLS_HANDSHAKE:
        shake_hands(t, l);
        return;
    case PN_TLS_OPEN:
        run_pump(t, l);
        return;
    case PN_TLS_PLAIN:
        drop_input(t, l);
        return;
    case PN_TLS_DEAD:
        return;
    }
    PN_UNREACHABLE();
}

static struct pn_tls_link *link_new(struct pn_tls *t, int fd, const struct pn_peer *peer)
{
    struct pn_tls_link *l = calloc(1, sizeof(*l));
    if (!l)
        return NULL;
    l->net = (struct pn_tls_watch){ PN_TLS_NET, l };
    l->peer = *peer;
    l->pump = (struct pn_tls_pump){ .net_fd = fd, .app_fd = -1 };
    l->deadline_us = t->now_us + t->opt.handshake_timeout_ms * 1000LL;
    PN_LIST_ADD(t->links, l);
    atomic_fetch_add_explicit(&t->count, 1, memory_order_relaxed);
    return l;
}

void pn_tls_link_begin(struct pn_tls *t, int fd, const struct pn_peer *peer)
{
    struct pn_tls_link *l = pn_tls_count(t) < t->opt.max_connections ? link_new(t, fd, peer) : NULL;
    if (!l) {
        pn_metric_add(t->opt.refused, 1, "connections");
        close(fd);
    } else if (pn_tls_watch(t, EPOLL_CTL_ADD, fd, &l->net, EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
        end(t, l);
    }
}

void pn_tls_link_event(struct pn_tls *t, struct pn_tls_link *l, bool net, uint32_t events)
{
    struct pn_tls_pump *p = &l->pump;
    if (net && (events & EPOLLERR)) {
        end(t, l);
        return;
    }
    if (net) {
        p->net_in = true;
        l->net_hup |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            p->net_full = false;
    } else {
        p->app_in = true;
        p->app_hup |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
        if (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            p->app_full = false;
    }
    go_on(t, l);
}

void pn_tls_links_more(struct pn_tls *t)
{
    struct pn_tls_link *list = t->more;
    t->more = NULL;
    while (list) {
        struct pn_tls_link *l = list;
        list = l->next_more;
        l->in_more = false;
        if (l->stage != PN_TLS_DEAD) {
            go_on(t, l);
            continue;
        }
        l->next = t->graves;
        t->graves = l;
    }
}

/* Whether time has run out for it. */
static bool is_late(const struct pn_tls *t, const struct pn_tls_link *l)
{
    const struct pn_tls_pump *p = &l->pump;
    int64_t quiet_us = t->now_us - p->moved_us;
    if (t->now_us >= l->deadline_us)
        return true;
    if (l->stage != PN_TLS_OPEN || p->said_goodbye)
        return false;
    return (p->app_ended && quiet_us > t->opt.stall_timeout_ms * 1000LL) ||
           (l->net_hup && p->to_app.bytes && quiet_us > GONE_US);
}

void pn_tls_links_tick(struct pn_tls *t)
{
    for (struct pn_tls_link *l = t->links, *next; l; l = next) {
        next = l->next;
        if (is_late(t, l) && (l->stage == PN_TLS_HELLO || l->stage == PN_TLS_HANDSHAKE))
            refuse(t, l, "timeout");
        else if (is_late(t, l))
            end(t, l);
    }
}

/* An end that the loop has not closed was never taken. */
void pn_tls_links_wind_up(struct pn_tls *t, int64_t by_us)
{
    for (struct pn_tls_link *l = t->links, *next; l; l = next) {
        struct pn_tls_pump *p = &l->pump;
        next = l->next;
        p->app_in = p->app_hup = true;
        if (l->stage == PN_TLS_OPEN)
            run_pump(t, l);
        bool flushing = l->stage == PN_TLS_OPEN && !p->said_goodbye && (p->app_ended || p->to_net.bytes);
        if (!flushing || t->now_us > by_us)
            end(t, l);
    }
}
