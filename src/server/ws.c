/* ws.c - see ws.h.
 *
 * A session lives from the upgrade until finish(); its memory goes when no event of the running batch can
 * reach it any more. The library closes the socket; its connection entry (conn.h) then lingers, so that the
 * last frame is not lost to a reset. */
#include "server/ws.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <wslay/wslay.h>

#define PING_US       (30 * 1000000LL)
#define CLOSE_WAIT_US (5 * 1000000LL) /* for the peer's half of the closing handshake */
#define EXTRA_MAX     65536           /* bytes that came with the handshake */

struct pn_ws {
    struct pn_source source;
    struct pn_ws_table *table;
    struct pn_ws *prev, *next;
    const struct pn_ws_protocol *protocol;
    struct MHD_UpgradeResponseHandle *handle;
    wslay_event_context_ptr frames;
    char *extra; /* owned; read before the socket */
    size_t extra_len, extra_pos;
    bool refused;             /* over MAX_CONNECTIONS: the protocol never sees it */
    bool eof;                 /* the peer has gone */
    bool in_frames;           /* inside wslay: finish() must wait */
    int paused;               /* pn_ws_pause() calls that stand */
    void *state;              /* the protocol's */
    bool in_control, in_text; /* what arrives now: a control frame; a text message */
    struct pn_buf text;       /* what of it has arrived */
    size_t binary_bytes;      /* what has arrived of a binary one */
    int64_t heard_us, pinged_us, wrote_us;
    int64_t close_by_us; /* INT64_MAX until a close was sent */
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
    wslay_event_context_free(ws->frames);
    pn_buf_done(&ws->text);
    free(ws->extra);
    free(ws);
}

static void finish(struct pn_ws *ws)
{
    struct pn_ws_table *t = ws->table;
    if (ws->prev)
        ws->prev->next = ws->next;
    else
        t->list = ws->next;
    if (ws->next)
        ws->next->prev = ws->prev;
    if (!ws->refused) {
        t->count--;
        if (ws->protocol->closed)
            ws->protocol->closed(ws);
    }
    pn_loop_remove(t->loop, &ws->source, bury);
    MHD_upgrade_action(ws->handle, MHD_UPGRADE_ACTION_CLOSE);
    pn_http_kick(t->server->http);
}

/* ---- wslay's callbacks ------------------------------------------------------------------------------- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    struct pn_ws *ws = user;
    (void)flags;
    /* A peer that floods and never reads would grow the queue without bound: stop reading in mid-loop. */
    if (ws->paused || wslay_event_get_queued_msg_length(ctx) >= PN_WS_QUEUE_MAX) {
        wslay_event_set_error(ctx, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    if (ws->extra_pos < ws->extra_len) {
        size_t n = PN_MIN(len, ws->extra_len - ws->extra_pos);
        memcpy(buf, ws->extra + ws->extra_pos, n);
        ws->extra_pos += n;
        return (ssize_t)n;
    }
    ssize_t n = recv(ws->source.fd, buf, len, MSG_DONTWAIT);
    if (n > 0) {
        ws->heard_us = pn_now_us();
        return n;
    }
    bool again = n < 0 && (errno == EAGAIN || errno == EINTR);
    ws->eof = !again;
    wslay_event_set_error(ctx, again ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *user)
{
    struct pn_ws *ws = user;
    (void)flags;
    ssize_t n = send(ws->source.fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
        ws->wrote_us = pn_now_us();
        return n;
    }
    bool again = errno == EAGAIN || errno == EINTR;
    wslay_event_set_error(ctx, again ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* A close frame with half a code is taken by wslay for one without; the limits of messages are ours, because
 * it does not gather them. */
static void on_frame(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_start_arg *arg,
                     void *user)
{
    struct pn_ws *ws = user;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE && arg->payload_length == 1)
        wslay_event_queue_close(ctx, WSLAY_CODE_PROTOCOL_ERROR, NULL, 0);
    ws->in_control = wslay_is_ctrl_frame(arg->opcode);
    if (ws->in_control)
        return;
    if (arg->opcode != WSLAY_CONTINUATION_FRAME)
        ws->in_text = arg->opcode == WSLAY_TEXT_FRAME;
    size_t before = ws->in_text ? ws->text.len : ws->binary_bytes;
    size_t limit = ws->in_text ? ws->protocol->max_text : ws->protocol->max_binary;
    if (arg->payload_length > limit || before > limit - arg->payload_length) {
        pn_ws_close(ws, WSLAY_CODE_MESSAGE_TOO_BIG, "the message is too long");
        wslay_event_shutdown_read(ctx); /* the rest of it is of no use */
    }
}

static bool listens(const struct pn_ws *ws)
{
    return !ws->refused && ws->close_by_us == INT64_MAX;
}

static void on_piece(wslay_event_context_ptr ctx, const struct wslay_event_on_frame_recv_chunk_arg *arg,
                     void *user)
{
    struct pn_ws *ws = user;
    (void)ctx;
    if (ws->in_control || !listens(ws))
        return;
    if (ws->in_text) {
        pn_buf_append(&ws->text, arg->data, arg->data_length);
    } else {
        ws->binary_bytes += arg->data_length;
        ws->protocol->binary(ws, (const char *)arg->data, arg->data_length, false);
    }
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct pn_ws *ws = user;
    (void)ctx;
    if (wslay_is_ctrl_frame(arg->opcode))
        return;
    if (!ws->in_text && listens(ws))
        ws->protocol->binary(ws, "", 0, true);
    else if (ws->text.failed < 0)
        pn_ws_close(ws, WSLAY_CODE_INTERNAL_SERVER_ERROR, "no memory");
    else if (listens(ws))
        ws->protocol->text(ws, ws->text.len ? ws->text.ptr : "", ws->text.len);
    ws->binary_bytes = 0;
    pn_buf_done(&ws->text);
    pn_buf_init(&ws->text, ws->protocol->max_text);
}

/* ---- reading and writing ----------------------------------------------------------------------------- */

static void set_interest(struct pn_ws *ws)
{
    bool full = wslay_event_get_queued_msg_length(ws->frames) >= PN_WS_QUEUE_MAX;
    uint32_t events = wslay_event_want_write(ws->frames) ? EPOLLOUT : 0;
    if (wslay_event_want_read(ws->frames) && !full)
        events |= ws->paused ? EPOLLRDHUP : EPOLLIN;
    if (!ws->paused && ws->extra_pos < ws->extra_len)
        events |= EPOLLOUT; /* they are no event of the socket */
    pn_loop_change(ws->table->loop, &ws->source, events);
}

/* wslay ends on some violations without a word: a control frame that is fragmented or over 125 bytes. */
static void say_protocol_error(struct pn_ws *ws)
{
    static const uint8_t close_1002[] = { 0x88, 2, 1002 >> 8, 1002 & 0xff };
    if (!wslay_event_get_close_sent(ws->frames))
        (void)!send(ws->source.fd, close_1002, sizeof(close_1002), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* False when the session has ended. */
static bool pump(struct pn_ws *ws)
{
    bool alive = true;
    ws->in_frames = true;
    if (wslay_event_want_read(ws->frames) && wslay_event_recv(ws->frames) != 0) {
        if (!ws->eof)
            say_protocol_error(ws);
        alive = false;
    }
    if (alive && wslay_event_want_write(ws->frames) && wslay_event_send(ws->frames) != 0)
        alive = false;
    ws->in_frames = false;
    if (alive && (wslay_event_want_read(ws->frames) || wslay_event_want_write(ws->frames))) {
        set_interest(ws);
        return true;
    }
    finish(ws);
    return false;
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
    ws->paused++;
    if (!ws->in_frames)
        set_interest(ws);
}

void pn_ws_resume(struct pn_ws *ws)
{
    ws->paused--;
    ws->heard_us = pn_now_us(); /* it was not for the peer to be heard */
    if (!ws->in_frames)
        set_interest(ws);
}

int pn_ws_send(struct pn_ws *ws, bool text, const char *data, size_t n)
{
    struct wslay_event_msg msg = { text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, (const uint8_t *)data, n };
    if (wslay_event_get_queued_msg_length(ws->frames) + n >
        2 * (size_t)PN_WS_QUEUE_MAX + ws->protocol->max_text)
        return -PN_EFULL;
    int r = wslay_event_queue_msg(ws->frames, &msg);
    if (r != 0)
        return r == WSLAY_ERR_NOMEM ? -PN_ENOMEM : -PN_ECANCELLED;
    if (!ws->in_frames)
        set_interest(ws);
    return 0;
}

void pn_ws_close(struct pn_ws *ws, unsigned code, const char *reason)
{
    size_t n = PN_MIN(strlen(reason), (size_t)123);
    if (wslay_event_queue_close(ws->frames, (uint16_t)code, (const uint8_t *)reason, n) == 0)
        ws->close_by_us = PN_MIN(ws->close_by_us, pn_now_us() + CLOSE_WAIT_US);
    if (!ws->in_frames)
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

int pn_ws_table_count(const struct pn_ws_table *t)
{
    return t->count;
}

static void ping(struct pn_ws *ws, int64_t now_us)
{
    struct wslay_event_msg msg = { WSLAY_PING, NULL, 0 };
    ws->pinged_us = now_us;
    if (wslay_event_queue_msg(ws->frames, &msg) == 0)
        set_interest(ws);
}

static void session_tick(struct pn_ws *ws, int64_t now_us)
{
    bool stalled = wslay_event_want_write(ws->frames) && now_us - ws->wrote_us > PN_WS_STALL_S * 1000000LL;
    if (listens(ws) && ws->protocol->tick)
        ws->protocol->tick(ws, now_us);
    if (now_us > ws->close_by_us || stalled)
        finish(ws);
    else if (ws->close_by_us == INT64_MAX && !ws->paused &&
             now_us - ws->heard_us > ws->table->opt.idle_timeout_s * 1000000LL)
        pn_ws_close(ws, WSLAY_CODE_GOING_AWAY, "idle for too long");
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

void pn_ws_table_close_all(struct pn_ws_table *t)
{
    for (struct pn_ws *ws = t->list; ws; ws = ws->next)
        pn_ws_close(ws, WSLAY_CODE_GOING_AWAY, "the service is stopping");
}

/* ---- the handshake ----------------------------------------------------------------------------------- */

static struct pn_ws *session_new(struct pn_server *s, const struct pn_ws_protocol *protocol, int fd)
{
    static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv,
                                                            .send_callback = on_send,
                                                            .on_frame_recv_start_callback = on_frame,
                                                            .on_frame_recv_chunk_callback = on_piece,
                                                            .on_msg_recv_callback = on_message };
    struct pn_ws *ws = calloc(1, sizeof(*ws));
    if (!ws || wslay_event_context_server_init(&ws->frames, &callbacks, ws) != 0) {
        free(ws);
        return NULL;
    }
    wslay_event_config_set_no_buffering(ws->frames, 1);
    wslay_event_config_set_max_recv_msg_length(ws->frames, UINT32_MAX); /* on_frame() knows better */
    pn_buf_init(&ws->text, protocol->max_text);
    ws->source = (struct pn_source){ .fd = fd, .ready = on_ready };
    ws->table = s->sockets;
    ws->protocol = protocol;
    ws->close_by_us = INT64_MAX;
    ws->heard_us = ws->pinged_us = ws->wrote_us = pn_now_us();
    return ws;
}

static void enlist(struct pn_ws *ws)
{
    struct pn_ws_table *t = ws->table;
    ws->next = t->list;
    if (t->list)
        t->list->prev = ws;
    t->list = ws;
    ws->refused = t->count >= t->opt.max_sessions;
    if (!ws->refused)
        t->count++;
}

static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *extra,
                       size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    (void)mhd;
    (void)con_cls;
    struct pn_request *req = cls;
    struct pn_ws *ws = extra_len <= EXTRA_MAX ? session_new(req->server, req->route->websocket, fd) : NULL;
    pn_conn_socket(req->conn);
    if (ws && extra_len > 0) {
        ws->extra = malloc(extra_len);
        ws->extra_len = ws->extra ? extra_len : 0;
        if (ws->extra)
            memcpy(ws->extra, extra, extra_len);
    }
    (void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    if (!ws || pn_loop_add(ws->table->loop, &ws->source, EPOLLIN, NULL) < 0) {
        if (ws)
            bury(&ws->source);
        MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
        pn_http_kick(req->server->http);
        return;
    }
    ws->handle = handle;
    enlist(ws);
    if (ws->refused) {
        pn_metric_add(req->server->m.refused, 1, "sockets");
        pn_ws_close(ws, WSLAY_CODE_POLICY_VIOLATION, "服务器连接已满，请稍后重试");
    } else if (ws->protocol->opened) {
        ws->protocol->opened(ws, req);
    }
    pump(ws);
}

/* RFC 6455 4.2.2: base64 of the SHA-1 of the key and a fixed text. */
static bool accept_key(struct pn_str key, char out[32])
{
    char text[128];
    unsigned char digest[EVP_MAX_MD_SIZE];
    int n = snprintf(text, sizeof(text), "%.*s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", (int)key.len, key.ptr);
    if (EVP_Digest(text, (size_t)n, digest, NULL, EVP_sha1(), NULL) != 1)
        return false;
    EVP_EncodeBlock((unsigned char *)out, digest, 20);
    return true;
}

/* Whether a comma-separated list names `item`, as `same` compares. */
static bool offers(struct pn_str list, struct pn_str item, bool (*same)(struct pn_str, struct pn_str))
{
    while (list.len > 0) {
        const char *comma = memchr(list.ptr, ',', list.len);
        size_t n = comma ? (size_t)(comma - list.ptr) : list.len;
        if (same(pn_str_trim((struct pn_str){ list.ptr, n }), item))
            return true;
        n += comma != NULL;
        list = (struct pn_str){ list.ptr + n, list.len - n };
    }
    return false;
}

static const char *choose_subprotocol(struct pn_request *req)
{
    struct pn_str offered = pn_request_header(req, "Sec-WebSocket-Protocol");
    const char *const *p = req->route->websocket->subprotocols;
    while (p && *p && !offers(offered, pn_str(*p), pn_str_eq))
        p++;
    return p ? *p : NULL;
}

struct pn_reply *pn_ws_upgrade_required(const char *why)
{
    struct pn_reply *r = pn_reply_error(426, NULL, NULL, "%s", why);
    pn_reply_header(r, "Upgrade", "websocket");
    pn_reply_header(r, "Sec-WebSocket-Version", "13");
    return r;
}

bool pn_ws_wanted(struct pn_request *req)
{
    return pn_str_ieq(pn_request_header(req, "Upgrade"), PN_STR("websocket"));
}

/* NULL when the handshake is right. */
static struct pn_reply *check_handshake(struct pn_request *req)
{
    if (!pn_ws_wanted(req) || strcmp(req->method, "GET") != 0)
        return pn_ws_upgrade_required("this is a WebSocket endpoint");
    if (!offers(pn_request_header(req, "Connection"), PN_STR("upgrade"), pn_str_ieq))
        return pn_reply_error(400, NULL, NULL, "a WebSocket handshake needs Connection: Upgrade");
    if (!pn_str_is(pn_request_header(req, "Sec-WebSocket-Version"), "13"))
        return pn_ws_upgrade_required("only WebSocket version 13 is spoken here");
    if (pn_request_header(req, "Sec-WebSocket-Key").len != 24)
        return pn_reply_error(400, NULL, NULL, "Sec-WebSocket-Key must be 16 bytes in base64");
    if (req->server->draining)
        return pn_server_refuse(req->server, "draining");
    const struct pn_ws_protocol *p = req->route->websocket;
    return p->check ? p->check(req) : NULL;
}

enum MHD_Result pn_ws_upgrade(struct pn_request *req)
{
    char accept[32];
    req->reply = check_handshake(req);
    if (!req->reply && !accept_key(pn_request_header(req, "Sec-WebSocket-Key"), accept))
        return MHD_NO;
    if (req->reply)
        return pn_http_reply(req);
    struct MHD_Response *r = MHD_create_response_for_upgrade(on_upgrade, req);
    if (!r)
        return MHD_NO;
    const char *subprotocol = choose_subprotocol(req);
    MHD_add_response_header(r, "Upgrade", "websocket");
    MHD_add_response_header(r, "Sec-WebSocket-Accept", accept);
    MHD_add_response_header(r, "x-request-id", req->id);
    if (subprotocol)
        MHD_add_response_header(r, "Sec-WebSocket-Protocol", subprotocol);
    enum MHD_Result ok = MHD_queue_response(req->mhd, MHD_HTTP_SWITCHING_PROTOCOLS, r);
    MHD_destroy_response(r);
    return ok;
}
