/* conn.c - see conn.h. Loop thread only.
 *
 * Invariant: an entry is in the list from accept until release(), and its source is in the loop, except in
 * SOCKET. */
#include "server/conn.h"

#include "base/clock.h"
#include "base/list.h"
#include "server/http_head.h"
#include "server/reply.h"
#include "server/tally.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define RATE_WINDOW_US   (30 * 1000000LL)
#define REPLY_TIMEOUT_US (600 * 1000000LL) /* the library's own inactivity limit is shorter */
#define LINGER_US        (3 * 1000000LL)
#define LINGER_MAX_BYTES (16LL << 20)
#define HURRY_US         (10 * 1000000LL)

struct pn_conns {
    struct pn_loop *loop;
    struct pn_conns_options opt;
    int count;
    bool hurried; /* pn_conns_hurry() */
    struct pn_conn *list;
    struct pn_conn **by_fd; /* entries handed to the library, by descriptor; n_by_fd long */
    size_t n_by_fd;
    char peek[PN_HEAD_MAX_BYTES];
};

static void release(struct pn_conn *c)
{
    struct pn_conns *cs = c->owner;
    PN_LIST_REMOVE(cs->list, c);
    cs->count--;
}

static void conn_free(struct pn_conn *c)
{
    pn_tally_unref(c->peer.received);
    free(c);
}

static void bury(struct pn_source *s)
{
    conn_free(PN_CONTAINER_OF(s, struct pn_conn, source));
}

/* Ends an entry whose descriptor is ours. */
static void drop(struct pn_conn *c)
{
    bool library_knows = c->upgraded && c->mhd; /* then pn_conn_closed() is still to come, and frees it */
    release(c);
    c->dropped = true;
    c->source.dead = false; /* it may have left the loop already; buried with the batch all the same */
    pn_loop_remove(c->owner->loop, &c->source, library_knows ? NULL : bury);
    close(c->fd);
}

static void linger(struct pn_conn *c)
{
    shutdown(c->fd, SHUT_WR);
    c->state = PN_CONN_LINGER;
    c->deadline_us = pn_now_us() + LINGER_US;
}

/* False when nothing more will come. */
static bool drop_input(struct pn_conn *c)
{
    for (int i = 0; i < 16; i++) {
        ssize_t n = recv(c->fd, c->owner->peek, sizeof(c->owner->peek), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n <= 0 || (c->lingered += n) > LINGER_MAX_BYTES)
            return false;
    }
    return true;
}

/* An answer of our own on a socket to which nothing of an answer has been written yet. */
static void answer_raw(struct pn_conn *c, int status, const char *why)
{
    char text[1024];
    size_t len = pn_reply_raw(status, why, text, sizeof(text));
    (void)!send(c->fd, text, len, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* Ends a connection that may be the library's; then the library finds the end of the input and closes. */
static void end(struct pn_conn *c)
{
    if (!c->mhd) {
        linger(c);
        pn_loop_change(c->owner->loop, &c->source, EPOLLIN | EPOLLRDHUP);
        return;
    }
    c->doomed = true;
    c->linger_after = true;
    c->deadline_us = INT64_MAX;
    drop_input(c);
    shutdown(c->fd, SHUT_RDWR);
    if (c->state == PN_CONN_HEAD) { /* suspended */
        c->state = PN_CONN_BODY;
        c->owner->opt.readable(c->owner->opt.ctx, c);
    }
}

static void refuse(struct pn_conn *c, const char *kind, int status, const char *why)
{
    c->owner->opt.refused(c->owner->opt.ctx, kind);
    answer_raw(c, status, why);
    end(c);
}

static int remember(struct pn_conn *c)
{
    struct pn_conns *cs = c->owner;
    size_t need = (size_t)c->fd + 1;
    if (need > cs->n_by_fd) {
        size_t n = PN_MAX(need, 2 * cs->n_by_fd);
        struct pn_conn **grown = realloc(cs->by_fd, n * sizeof(struct pn_conn *));
        if (!grown)
            return -PN_ENOMEM;
        cs->by_fd = grown;
        cs->n_by_fd = n;
    }
    cs->by_fd[c->fd] = c;
    return 0;
}

/* The library reads from here on: the head that passed, and the body. */
static void hand_over(struct pn_conn *c, const struct pn_head *head)
{
    c->expected += (int64_t)head->len + PN_MAX(head->content_length, (int64_t)0);
    c->chunked = head->chunked;
    c->state = PN_CONN_BODY;
    c->window_us = pn_now_us();
    c->window_bytes = 0;
    c->seen_bytes = -1;
    c->deadline_us = c->window_us + c->owner->opt.body_timeout_ms * 1000LL;
    c->owner->opt.readable(c->owner->opt.ctx, c);
}

static void head_ready(struct pn_conn *c)
{
    struct pn_conns *cs = c->owner;
    ssize_t n = recv(c->fd, cs->peek, sizeof(cs->peek), MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        if (c->mhd)
            end(c);
        else
            drop(c);
        return;
    }
    if (!c->heard && c->mhd) /* the first head's time runs from accept, a later one's from its first byte */
        c->deadline_us = pn_now_us() + cs->opt.header_timeout_ms * 1000LL;
    c->heard = true;
    struct pn_head head = pn_http_head_check(cs->peek, (size_t)n);
    if (head.status == 200)
        hand_over(c, &head);
    else if (head.status != 0)
        refuse(c, "head", head.status, head.why);
    else if (c->hung_up)
        refuse(c, "head", 400, "the request head is cut off");
}

static void report_hangup(struct pn_conn *c)
{
    void (*hangup)(void *ctx) = c->hangup;
    c->hangup = NULL;
    if (hangup)
        hangup(c->hangup_ctx);
}

static void conn_ready(struct pn_source *s, uint32_t events)
{
    struct pn_conn *c = PN_CONTAINER_OF(s, struct pn_conn, source);
    c->hung_up |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    switch (c->state) {
    case PN_CONN_HEAD:
        head_ready(c);
        return;
    case PN_CONN_LINGER:
        if (!drop_input(c))
            drop(c);
        return;
    case PN_CONN_WORK:
        if (c->hung_up)
            report_hangup(c);
        return;
    case PN_CONN_BODY:
    case PN_CONN_REPLY:
    case PN_CONN_SOCKET:
        return; /* the library's or the session's business */
    }
    PN_UNREACHABLE();
}

static struct pn_conn *conn_new(struct pn_conns *cs, int fd, const struct pn_peer *peer)
{
    struct pn_conn *c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    *c =
        (struct pn_conn){ .source = { .fd = fd, .ready = conn_ready }, .owner = cs, .fd = fd, .peer = *peer };
    PN_LIST_ADD(cs->list, c);
    cs->count++;
    return c;
}

void pn_conns_adopt(struct pn_conns *cs, int fd, const struct pn_peer *peer)
{
    bool full = cs->count >= cs->opt.max_connections;
    struct pn_conn *c = cs->count < cs->opt.max_connections + PN_CONNS_SPARE ? conn_new(cs, fd, peer) : NULL;
    if (!c || remember(c) < 0 ||
        pn_loop_add(cs->loop, &c->source, EPOLLIN | EPOLLRDHUP | EPOLLET, NULL) < 0) {
        cs->opt.refused(cs->opt.ctx, "connections");
        if (c) {
            release(c);
            conn_free(c);
        } else {
            pn_tally_unref(peer->received);
        }
        close(fd);
        return;
    }
    c->deadline_us = pn_now_us() + cs->opt.header_timeout_ms * 1000LL;
    if (full)
        refuse(c, "connections", 503, "too many connections");
}

int pn_conns_new(struct pn_loop *loop, const struct pn_conns_options *opt, struct pn_conns **ret,
                 struct pn_err *err)
{
    struct pn_conns *cs = calloc(1, sizeof(*cs));
    if (!cs)
        return pn_fail(err, PN_ENOMEM, "no memory for connections");
    cs->loop = loop;
    cs->opt = *opt;
    *ret = cs;
    return 0;
}

struct pn_conns *pn_conns_free(struct pn_conns *cs)
{
    if (!cs)
        return NULL;
    while (cs->list)
        drop(cs->list);
    free(cs->by_fd);
    free(cs);
    return NULL;
}

void pn_conns_end_all(struct pn_conns *cs)
{
    for (struct pn_conn *c = cs ? cs->list : NULL; c; c = c->next)
        if (c->mhd && c->state == PN_CONN_HEAD)
            end(c);
}

int pn_conns_count(const struct pn_conns *cs)
{
    return cs->count;
}

struct pn_conn *pn_conns_find(struct pn_conns *cs, int fd)
{
    return cs->by_fd[fd];
}

void pn_conn_await(struct pn_conn *c)
{
    c->state = PN_CONN_HEAD;
    c->heard = false;
    c->deadline_us = pn_now_us() + c->owner->opt.keepalive_ms * 1000LL;
    head_ready(c); /* its edge may be past */
}

void pn_conn_body(struct pn_conn *c, size_t bytes)
{
    c->window_bytes += (int64_t)bytes;
}

void pn_conn_work(struct pn_conn *c, void (*hangup)(void *ctx), void *ctx)
{
    c->state = PN_CONN_WORK;
    c->deadline_us = INT64_MAX;
    c->hangup = hangup;
    c->hangup_ctx = ctx;
    if (c->hung_up)
        report_hangup(c);
}

void pn_conn_reply(struct pn_conn *c)
{
    c->state = PN_CONN_REPLY;
    c->deadline_us = pn_now_us() + REPLY_TIMEOUT_US;
    c->hangup = NULL;
}

int pn_conn_take(struct pn_conn *c)
{
    int one = 1, copy = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0)
        return -PN_EIO;
    pn_loop_remove(c->owner->loop, &c->source, NULL);
    setsockopt(copy, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)); /* the library has unset it */
    c->fd = c->source.fd = copy;
    c->upgraded = true;
    c->state = PN_CONN_SOCKET;
    c->deadline_us = INT64_MAX;
    return copy;
}

void pn_conn_give_back(struct pn_conn *c)
{
    linger(c);
    if (pn_loop_add(c->owner->loop, &c->source, EPOLLIN | EPOLLRDHUP, NULL) < 0)
        drop(c);
}

/* What ever arrived at the descriptor; -1: unknown. */
static int64_t received(const struct pn_conn *c)
{
    struct tcp_info info;
    socklen_t len = sizeof(info);
    if (c->peer.received)
        return pn_tally_read(c->peer.received);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) < 0 ||
        len < offsetof(struct tcp_info, tcpi_bytes_received) + sizeof(info.tcpi_bytes_received))
        return -1;
    return (int64_t)info.tcpi_bytes_received;
}

bool pn_conn_overread(const struct pn_conn *c)
{
    int unread = 0;
    if (c->chunked || ioctl(c->fd, FIONREAD, &unread) < 0)
        return true;
    /* In this order: bytes that come in between make the sum too large, which only costs a connection. */
    int64_t all = received(c);
    return all < 0 || all - unread > c->expected;
}

/* Keeps a second descriptor of the socket: the peer can finish sending and read its answer although the
 * library closes its own with bytes unread, which would reset the connection. */
static bool linger_on_copy(struct pn_conn *c)
{
    int copy = dup(c->fd);
    if (copy < 0)
        return false;
    pn_loop_remove(c->owner->loop, &c->source, NULL);
    c->fd = c->source.fd = copy;
    c->mhd = NULL;
    linger(c);
    if (pn_loop_add(c->owner->loop, &c->source, EPOLLIN | EPOLLRDHUP, NULL) == 0)
        return true;
    close(copy);
    return false;
}

void pn_conn_closed(struct pn_conn *c)
{
    if (c->upgraded) { /* the entry has a descriptor of its own */
        c->mhd = NULL;
        if (c->dropped)
            conn_free(c);
        return;
    }
    if (c->linger_after && linger_on_copy(c))
        return;
    release(c);
    c->source.dead = false; /* as in drop() */
    pn_loop_remove(c->owner->loop, &c->source, bury);
}

static void check_rate(struct pn_conn *c, int64_t now_us)
{
    if (now_us - c->window_us < RATE_WINDOW_US)
        return;
    if (c->window_bytes < c->owner->opt.body_min_rate * (RATE_WINDOW_US / 1000000))
        c->deadline_us = now_us;
    c->window_us = now_us;
    c->window_bytes = 0;
    c->seen_bytes = -1;
}

/* The library misses an end of input that comes together with data: it reads less than it asked for and waits
 * for an edge that has been. So once all was read and nothing moves, the unfinished request is ended here. */
static void check_hung_up(struct pn_conn *c)
{
    int unread = 0;
    if (c->hung_up && c->window_bytes == c->seen_bytes && ioctl(c->fd, FIONREAD, &unread) == 0 && unread == 0)
        end(c);
    c->seen_bytes = c->window_bytes;
}

static void deadline_passed(struct pn_conn *c)
{
    switch (c->state) {
    case PN_CONN_HEAD:
        if (c->heard || !c->mhd)
            refuse(c, "timeout", 408, "the request head came too slowly");
        else
            end(c); /* kept alive for long enough */
        return;
    case PN_CONN_BODY:
        refuse(c, "timeout", 408, "the body came too slowly");
        return;
    case PN_CONN_REPLY:
        c->owner->opt.refused(c->owner->opt.ctx, "timeout");
        end(c);
        return;
    case PN_CONN_LINGER:
        drop(c);
        return;
    case PN_CONN_WORK:
    case PN_CONN_SOCKET:
        return; /* have none */
    }
    PN_UNREACHABLE();
}

void pn_conns_hurry(struct pn_conns *cs)
{
    cs->hurried = true;
}

void pn_conns_tick(struct pn_conns *cs, int64_t now_us)
{
    for (struct pn_conn *c = cs->list, *next; c; c = next) {
        next = c->next;
        if (c->state == PN_CONN_BODY) {
            check_rate(c, now_us);
            check_hung_up(c);
        }
        if (cs->hurried && c->deadline_us != INT64_MAX)
            c->deadline_us = PN_MIN(c->deadline_us, now_us + HURRY_US);
        if (now_us >= c->deadline_us)
            deadline_passed(c);
    }
}
