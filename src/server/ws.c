/* ws.c - see ws.h.
 *
 * A session lives from the upgrade until finish(); its memory goes when no event of the running batch can
 * reach it any more. Its connection (conn.h) then lingers, so that the last frame is not lost to a reset. */
#include "server/ws.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "server/state.h"
#include "server/ws_frames.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define SECOND_US     1000000LL
#define PING_US       (30 * SECOND_US)
#define CLOSE_WAIT_US (5 * SECOND_US) /* for the peer's half of the closing handshake */
#define EXTRA_MAX     65536           /* bytes that came with the handshake */
#define GOING_AWAY    1001
#define POLICY        1008

struct pn_ws {
    struct pn_source source;
    struct pn_ws_table *table;
    struct pn_ws *prev, *next;
    const struct pn_ws_protocol *protocol;
    struct pn_conn *conn;
    struct pn_ws_frames *frames;
    char *extra; /* owned; read before the socket; NULL: none is left */
    size_t extra_len, extra_pos;
    bool refused;    /* over MAX_CONNECTIONS: the protocol never sees it */
    bool in_frames;  /* inside pn_ws_frames_run() */
    int paused;      /* pn_ws_pause() calls that stand */
    uint32_t events; /* what the loop watches */
    void *state;     /* the protocol's */
    int64_t heard_us, pinged_us, wrote_us;
    int64_t close_by_us; /* INT64_MAX until we sent a close */
    int64_t drain_by_us; /* INT64_MAX until the service stops */
};

struct pn_ws_table {
    struct pn_server *server;
    struct pn_loop *loop;
    struct pn_ws_options opt;
    struct pn_ws *list;
    int count;
};

static void bury(struct pn_source *s)
{
    struct pn_ws *ws = PN_CONTAINER_OF(s, struct pn_ws, source);
    pn_ws_frames_free(ws->frames);
    free(ws->extra);
    free(ws);
}

static void finish(struct pn_ws *ws)
{
    struct pn_ws_table *t = ws->table;
    PN_LIST_REMOVE(t->list, ws);
    if (!ws->refused) {
        t->count--;
        if (ws->protocol->closed)
            ws->protocol->closed(ws);
    }
    pn_loop_remove(t->loop, &ws->source, bury);
    pn_conn_give_back(ws->conn);
}

/* ---- the stream of bytes and the messages in it ------------------------------------------------------- */

static ssize_t read_extra(struct pn_ws *ws, char *out, size_t n)
{
    n = PN_MIN(n, ws->extra_len - ws->extra_pos);
    memcpy(out, ws->extra + ws->extra_pos, n);
    ws->extra_pos += n;
    if (ws->extra_pos == ws->extra_len) {
        free(ws->extra);
        ws->extra = NULL;
    }
    return (ssize_t)n;
}

static ssize_t stream_read(void *ctx, char *out, size_t n)
{
    struct pn_ws *ws = ctx;
    if (ws->extra)
        return read_extra(ws, out, n);
    ssize_t r = recv(ws->source.fd, out, n, MSG_DONTWAIT);
    if (r > 0)
        ws->heard_us = pn_now_us();
    if (r >= 0)
        return r;
    return errno == EAGAIN || errno == EINTR ? -PN_EAGAIN : -PN_EIO;
}

static ssize_t stream_write(void *ctx, const struct iovec *v, int n)
{
    struct pn_ws *ws = ctx;
    struct msghdr m = { .msg_iov = (struct iovec *)v, .msg_iovlen = (size_t)n };
    ssize_t r = sendmsg(ws->source.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (r < 0)
        return errno == EAGAIN || errno == EINTR ? -PN_EAGAIN : -PN_EIO;
    ws->wrote_us = pn_now_us();
    return r;
}

static void tell_text(void *ctx, const char *data, size_t n)
{
    struct pn_ws *ws = ctx;
    ws->protocol->text(ws, data, n);
}

static void tell_binary(void *ctx, const char *data, size_t n, bool end)
{
    struct pn_ws *ws = ctx;
    ws->protocol->binary(ws, data, n, end);
}

static const struct pn_ws_frames_ops STREAM = {
    .read = stream_read, .write = stream_write, .text = tell_text, .binary = tell_binary
};

/* ---- events ------------------------------------------------------------------------------------------ */

/* While nothing is read, a hang-up is looked for. */
static void set_interest(struct pn_ws *ws)
{
    if (ws->in_frames)
        return;
    bool reads = pn_ws_frames_wants_read(ws->frames);
    uint32_t events = reads ? EPOLLIN : EPOLLRDHUP;
    if (pn_ws_frames_wants_write(ws->frames) || (reads && ws->extra)) /* extra is no event of the socket */
        events |= EPOLLOUT;
    if (events != ws->events)
        pn_loop_change(ws->table->loop, &ws->source, events);
    ws->events = events;
}

static void pump(struct pn_ws *ws)
{
    ws->in_frames = true;
    bool alive = pn_ws_frames_run(ws->frames, pn_now_us());
    ws->in_frames = false;
    if (alive)
        set_interest(ws);
    else
        finish(ws);
}

static void on_ready(struct pn_source *s, uint32_t events)
{
    struct pn_ws *ws = PN_CONTAINER_OF(s, struct pn_ws, source);
    if (events & (EPOLLERR | EPOLLHUP | EPOLLRDHUP))
        finish(ws);
    else
        pump(ws);
}

void pn_ws_set_state(struct pn_ws *ws, void *state)
{
    ws->state = state;
}

void *pn_ws_state(const struct pn_ws *ws)
{
    return ws->state;
}

struct pn_server *pn_ws_server(const struct pn_ws *ws)
{
    return ws->table->server;
}

void pn_ws_pause(struct pn_ws *ws)
{
    pn_ws_frames_hold(ws->frames, ++ws->paused > 0);
    set_interest(ws);
}

void pn_ws_resume(struct pn_ws *ws)
{
    pn_ws_frames_hold(ws->frames, --ws->paused > 0);
    ws->heard_us = pn_now_us(); /* it was not for the peer to be heard */
    set_interest(ws);
}

int pn_ws_send(struct pn_ws *ws, bool text, const char *data, size_t n)
{
    int r = pn_ws_frames_send(ws->frames, text, data, n);
    set_interest(ws);
    return r;
}

void pn_ws_close(struct pn_ws *ws, unsigned code, const char *reason)
{
    pn_ws_frames_close(ws->frames, code, reason);
    ws->close_by_us = PN_MIN(ws->close_by_us, pn_now_us() + CLOSE_WAIT_US);
    set_interest(ws);
}

/* ---- the table --------------------------------------------------------------------------------------- */

int pn_ws_table_new(struct pn_server *server, const struct pn_ws_options *opt, struct pn_ws_table **ret,
                    struct pn_err *err)
{
    struct pn_ws_table *t = calloc(1, sizeof(*t));
    if (!t)
        return pn_fail(err, PN_ENOMEM, "no memory for WebSockets");
    t->server = server;
    t->loop = server->loop;
    t->opt = *opt;
    *ret = t;
    return 0;
}

struct pn_ws_table *pn_ws_table_free(struct pn_ws_table *t)
{
    while (t && t->list)
        finish(t->list);
    free(t);
    return NULL;
}

bool pn_ws_table_is_empty(const struct pn_ws_table *t)
{
    return !t->list;
}

int pn_ws_table_count(const struct pn_ws_table *t)
{
    return t->count;
}

static bool listens(const struct pn_ws *ws)
{
    return !pn_ws_frames_closing(ws->frames);
}

static void ping(struct pn_ws *ws, int64_t now_us)
{
    ws->pinged_us = now_us;
    pn_ws_frames_ping(ws->frames);
    set_interest(ws);
}

static void session_tick(struct pn_ws *ws, int64_t now_us)
{
    const struct pn_ws_options *opt = &ws->table->opt;
    bool stalled =
        pn_ws_frames_wants_write(ws->frames) && now_us - ws->wrote_us > opt->stall_timeout_s * SECOND_US;
    if (listens(ws) && ws->protocol->tick)
        ws->protocol->tick(ws, now_us);
    if (now_us > ws->close_by_us || stalled)
        finish(ws);
    else if (listens(ws) && now_us > ws->drain_by_us)
        pn_ws_close(ws, GOING_AWAY, PN_WS_STOPPING);
    else if (listens(ws) && !ws->paused && now_us - ws->heard_us > opt->idle_timeout_s * SECOND_US)
        pn_ws_close(ws, GOING_AWAY, "idle for too long");
    else if (now_us - PN_MAX(ws->heard_us, ws->pinged_us) > PING_US)
        ping(ws, now_us);
}

void pn_ws_table_tick(struct pn_ws_table *t, int64_t now_us)
{
    for (struct pn_ws *ws = t->list, *next; ws; ws = next) {
        next = ws->next;
        session_tick(ws, now_us);
    }
}

void pn_ws_table_drain(struct pn_ws_table *t)
{
    int64_t by_us = pn_now_us() + PN_WS_DRAIN_S * SECOND_US;
    for (struct pn_ws *ws = t->list; ws; ws = ws->next) {
        ws->drain_by_us = by_us;
        if (!ws->protocol->drain)
            pn_ws_close(ws, GOING_AWAY, PN_WS_STOPPING);
        else if (listens(ws))
            ws->protocol->drain(ws);
    }
}

/* ---- the beginning ----------------------------------------------------------------------------------- */

static int keep_extra(struct pn_ws *ws, const char *extra, size_t n)
{
    if (n == 0)
        return 0;
    if (n > EXTRA_MAX || !(ws->extra = malloc(n)))
        return -PN_ENOMEM;
    memcpy(ws->extra, extra, n);
    ws->extra_len = n;
    return 0;
}

static struct pn_ws *session_new(struct pn_server *s, const struct pn_ws_protocol *protocol, int fd)
{
    struct pn_ws *ws = calloc(1, sizeof(*ws));
    size_t max_binary = protocol->max_binary ? protocol->max_binary : (size_t)s->config->max_message_mb << 20;
    if (!ws || pn_ws_frames_new(&STREAM, protocol->max_text, max_binary, ws, &ws->frames) < 0) {
        free(ws);
        return NULL;
    }
    ws->source = (struct pn_source){ .fd = fd, .ready = on_ready };
    ws->table = s->sockets;
    ws->protocol = protocol;
    ws->close_by_us = ws->drain_by_us = INT64_MAX;
    ws->heard_us = ws->pinged_us = ws->wrote_us = pn_now_us();
    return ws;
}

static void enlist(struct pn_ws *ws)
{
    struct pn_ws_table *t = ws->table;
    PN_LIST_ADD(t->list, ws);
    ws->refused = t->count >= t->opt.max_sessions;
    if (!ws->refused)
        t->count++;
}

void pn_ws_begin(struct pn_request *req, const char *extra, size_t n)
{
    int fd = pn_conn_take(req->conn);
    if (fd < 0)
        return;
    struct pn_ws *ws = session_new(req->server, req->route->websocket, fd);
    if (!ws || keep_extra(ws, extra, n) < 0 ||
        pn_loop_add(ws->table->loop, &ws->source, ws->events = EPOLLIN, NULL) < 0) {
        if (ws)
            bury(&ws->source);
        pn_conn_give_back(req->conn);
        return;
    }
    ws->conn = req->conn;
    enlist(ws);
    if (ws->refused) {
        pn_metric_add(req->server->m.refused, 1, "sockets");
        pn_ws_close(ws, POLICY, "服务器连接已满，请稍后重试");
    } else if (ws->protocol->opened) {
        ws->protocol->opened(ws, req);
    }
    pump(ws);
}
