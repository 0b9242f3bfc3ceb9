/* ws_client.c - see ws_client.h.
 *
 * TLS wants a write that was refused to be repeated with the same bytes from the same place, and perhaps
 * more. wslay makes its bytes anew each time, so they pass through `out`, where nothing moves until all is
 * gone. */
#include "base/ws_client.h"

#include "base/clock.h"
#include "base/curl_start.h"
#include "base/ws_handshake.h"

#include <errno.h>
#include <openssl/evp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <wslay/wslay.h>

enum { OUT_BYTES = 16384, REASON_MAX = 123, KEY_BYTES = 16 };

struct pn_ws_client {
    struct pn_ws_client_options opt; /* valid while opening, but for message, ctx and protocol */
    CURL *curl;
    curl_socket_t fd;
    char curl_text[CURL_ERROR_SIZE];
    wslay_event_context_ptr frames;
    struct pn_buf early; /* what came with the answer to the handshake */
    size_t early_pos;
    char out[OUT_BYTES];
    size_t out_len, out_pos;
    bool lost;     /* the connection has ended or failed */
    bool violated; /* the server broke the protocol: a close frame says so, nothing more is read */
    unsigned close_code;
    char close_reason[REASON_MAX + 1];
    int64_t heard_us, pinged_us, deadline_us;
};

/* ---- the connection ---- */

static bool readable(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* libcurl asks once a second at least. */
static int on_progress(void *ctx, curl_off_t a, curl_off_t b, curl_off_t d, curl_off_t e)
{
    const struct pn_ws_client *c = ctx;
    (void)a, (void)b, (void)d, (void)e;
    return readable(c->opt.stop_fd);
}

static CURLcode set_options(struct pn_ws_client *c, const char *url)
{
    CURL *h = c->curl;
    CURLcode r = curl_easy_setopt(h, CURLOPT_URL, url);
    r = r ? r : curl_easy_setopt(h, CURLOPT_PROTOCOLS_STR, "http,https");
    r = r ? r : curl_easy_setopt(h, CURLOPT_CONNECT_ONLY, 1L);
    r = r ? r : curl_easy_setopt(h, CURLOPT_HTTPPROXYTUNNEL, 1L);
    r = r ? r : curl_easy_setopt(h, CURLOPT_SSL_ENABLE_ALPN, 0L); /* HTTP/2 has no such handshake */
    r = r ? r : curl_easy_setopt(h, CURLOPT_NOSIGNAL, 1L);
    r = r ? r : curl_easy_setopt(h, CURLOPT_CONNECTTIMEOUT_MS, (long)c->opt.timeout_ms);
    r = r ? r : curl_easy_setopt(h, CURLOPT_ERRORBUFFER, c->curl_text);
    r = r ? r : curl_easy_setopt(h, CURLOPT_NOPROGRESS, 0L);
    r = r ? r : curl_easy_setopt(h, CURLOPT_XFERINFOFUNCTION, on_progress);
    r = r ? r : curl_easy_setopt(h, CURLOPT_XFERINFODATA, c);
    if (!r && c->opt.ca_file && c->opt.ca_file[0])
        r = curl_easy_setopt(h, CURLOPT_CAINFO, c->opt.ca_file);
    if (!r && c->opt.insecure) {
        r = curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 0L);
        r = r ? r : curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    return r;
}

static int connect_failure(const struct pn_ws_client *c, CURLcode code, struct pn_str host,
                           struct pn_err *err)
{
    const char *why = c->curl_text[0] ? c->curl_text : curl_easy_strerror(code);
    enum pn_error e = PN_EIO;
    if (code == CURLE_ABORTED_BY_CALLBACK)
        return pn_fail(err, PN_ECANCELLED, "interrupted");
    if (code == CURLE_OUT_OF_MEMORY)
        e = PN_ENOMEM;
    else if (code == CURLE_OPERATION_TIMEDOUT)
        e = PN_ETIMEOUT;
    else if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CONNECT_ERROR ||
             code == CURLE_SSL_CACERT_BADFILE)
        e = PN_EFORMAT;
    return pn_fail(err, e, "cannot connect to %.*s: %.150s", (int)PN_MIN(host.len, 60), host.ptr, why);
}

static int connect_to(struct pn_ws_client *c, const struct pn_ws_url *u, struct pn_err *err)
{
    char url[PN_WS_URL_MAX + 32];
    snprintf(url, sizeof(url), "%s://%.*s:%d/", u->tls ? "https" : "http", (int)u->host.len, u->host.ptr,
             u->port);
    c->curl = pn_curl_start();
    CURLcode r = c->curl ? set_options(c, url) : CURLE_OUT_OF_MEMORY;
    r = r ? r : curl_easy_perform(c->curl);
    r = r ? r : curl_easy_getinfo(c->curl, CURLINFO_ACTIVESOCKET, &c->fd);
    if (!r && c->fd == CURL_SOCKET_BAD)
        r = CURLE_COULDNT_CONNECT;
    return r ? connect_failure(c, r, u->host, err) : 0;
}

/* Bytes; 0: not now; -1: the connection has ended, and c->lost. */
static ssize_t conn_send(struct pn_ws_client *c, const char *data, size_t n)
{
    size_t sent = 0;
    CURLcode r = c->lost ? CURLE_SEND_ERROR : curl_easy_send(c->curl, data, n, &sent);
    c->lost |= r != CURLE_OK && r != CURLE_AGAIN;
    return c->lost ? -1 : (ssize_t)sent;
}

static ssize_t conn_recv(struct pn_ws_client *c, char *data, size_t n)
{
    size_t got = 0;
    CURLcode r = c->lost ? CURLE_RECV_ERROR : curl_easy_recv(c->curl, data, n, &got);
    c->lost |= (r != CURLE_OK && r != CURLE_AGAIN) || (r == CURLE_OK && got == 0);
    if (got > 0)
        c->heard_us = pn_now_us();
    return c->lost ? -1 : (ssize_t)got;
}

/* ---- the handshake ---- */

static int wait_for(struct pn_ws_client *c, short events, struct pn_err *err)
{
    struct pollfd p[] = { { .fd = c->fd, .events = events }, { .fd = c->opt.stop_fd, .events = POLLIN } };
    int64_t left_ms = (c->deadline_us - pn_now_us()) / 1000;
    if (left_ms <= 0)
        return pn_fail(err, PN_ETIMEOUT, "the server does not answer");
    if (poll(p, 2, (int)PN_MIN(left_ms, INT64_C(1000))) < 0 && errno != EINTR)
        return pn_fail_errno(err, "poll");
    return p[1].revents ? pn_fail(err, PN_ECANCELLED, "interrupted") : 0;
}

static int send_request(struct pn_ws_client *c, const struct pn_ws_url *u, const char *key,
                        struct pn_err *err)
{
    struct pn_buf b;
    pn_buf_init(&b, 2 * PN_WS_URL_MAX + 1024);
    pn_ws_request_write(u, key, c->opt.protocol, &b);
    int r = b.failed < 0 ? pn_fail(err, PN_ENOMEM, "no memory for a handshake") : 0;
    for (size_t at = 0; r == 0 && at < b.len;) {
        ssize_t n = conn_send(c, b.ptr + at, b.len - at);
        if (n < 0)
            r = pn_fail(err, PN_EIO, "the server hung up");
        else if (n == 0)
            r = wait_for(c, POLLOUT, err);
        else
            at += (size_t)n;
    }
    pn_buf_done(&b);
    return r;
}

/* What comes behind the head stays in `early`. */
static int read_answer(struct pn_ws_client *c, const char *accept, struct pn_err *err)
{
    int status = 0, r = 0;
    while (r == 0) {
        char piece[4096];
        ssize_t n = conn_recv(c, piece, sizeof(piece));
        if (n < 0)
            return pn_fail(err, PN_EIO, "the server hung up instead of answering");
        if (n == 0) {
            r = wait_for(c, POLLIN, err);
            continue;
        }
        pn_buf_append(&c->early, piece, (size_t)n);
        if (c->early.failed < 0)
            return pn_fail(err, PN_ENOMEM, "no memory for a handshake");
        r = pn_ws_answer_check((struct pn_str){ c->early.ptr, c->early.len }, accept, c->opt.protocol,
                               &status, err);
    }
    if (r > 0)
        c->early_pos = (size_t)r;
    return PN_MIN(r, 0);
}

static int shake_hands(struct pn_ws_client *c, const struct pn_ws_url *u, struct pn_err *err)
{
    unsigned char nonce[KEY_BYTES];
    char key[PN_WS_KEY_LEN + 1], accept[PN_WS_ACCEPT_LEN + 1];
    if (getrandom(nonce, sizeof(nonce), 0) != (ssize_t)sizeof(nonce))
        return pn_fail_errno(err, "getrandom");
    EVP_EncodeBlock((unsigned char *)key, nonce, sizeof(nonce));
    if (!pn_ws_accept_of((struct pn_str){ key, PN_WS_KEY_LEN }, accept))
        return pn_fail(err, PN_ENOMEM, "no memory for a handshake");
    int r = send_request(c, u, key, err);
    return r < 0 ? r : read_answer(c, accept, err);
}

/* ---- frames ---- */

static ssize_t on_recv(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, int flags, void *user)
{
    struct pn_ws_client *c = user;
    (void)flags;
    ssize_t n = 0;
    if (c->early_pos < c->early.len) {
        n = (ssize_t)PN_MIN(len, c->early.len - c->early_pos);
        memcpy(buf, c->early.ptr + c->early_pos, (size_t)n);
        c->early_pos += (size_t)n;
    } else if (wslay_event_get_queued_msg_length(ctx) < PN_WS_CLIENT_QUEUE) { /* else a flood of pings */
        n = conn_recv(c, (char *)buf, len);
    }
    if (n > 0)
        return n;
    wslay_event_set_error(ctx, n == 0 ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* False: it could not all be written now, or c->lost. */
static bool flush_out(struct pn_ws_client *c)
{
    while (c->out_pos < c->out_len) {
        ssize_t n = conn_send(c, c->out + c->out_pos, c->out_len - c->out_pos);
        if (n <= 0)
            return false;
        c->out_pos += (size_t)n;
    }
    c->out_len = c->out_pos = 0;
    return true;
}

static ssize_t on_send(wslay_event_context_ptr ctx, const uint8_t *data, size_t len, int flags, void *user)
{
    struct pn_ws_client *c = user;
    (void)flags;
    if (c->out_len == OUT_BYTES)
        (void)flush_out(c);
    size_t n = PN_MIN(len, OUT_BYTES - c->out_len);
    if (n > 0) {
        memcpy(c->out + c->out_len, data, n);
        c->out_len += n;
        return (ssize_t)n;
    }
    wslay_event_set_error(ctx, c->lost ? WSLAY_ERR_CALLBACK_FAILURE : WSLAY_ERR_WOULDBLOCK);
    return -1;
}

static int on_mask(wslay_event_context_ptr ctx, uint8_t *buf, size_t len, void *user)
{
    (void)user;
    if (getrandom(buf, len, 0) == (ssize_t)len)
        return 0;
    wslay_event_set_error(ctx, WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static void keep_reason(struct pn_ws_client *c, const struct wslay_event_on_msg_recv_arg *arg)
{
    size_t n = arg->msg_length > 2 ? PN_MIN(arg->msg_length - 2, (size_t)REASON_MAX) : 0;
    c->close_code = arg->status_code ? arg->status_code : WSLAY_CODE_NO_STATUS_RCVD;
    if (n > 0)
        memcpy(c->close_reason, arg->msg + 2, n);
    c->close_reason[n] = '\0';
}

static void on_message(wslay_event_context_ptr ctx, const struct wslay_event_on_msg_recv_arg *arg, void *user)
{
    struct pn_ws_client *c = user;
    (void)ctx;
    if (arg->opcode == WSLAY_CONNECTION_CLOSE)
        keep_reason(c, arg);
    else if (!wslay_is_ctrl_frame(arg->opcode))
        c->opt.message(c->opt.ctx, arg->opcode == WSLAY_TEXT_FRAME,
                       (struct pn_str){ (const char *)arg->msg, arg->msg_length });
}

static int start_frames(struct pn_ws_client *c, struct pn_err *err)
{
    static const struct wslay_event_callbacks callbacks = { .recv_callback = on_recv,
                                                            .send_callback = on_send,
                                                            .genmask_callback = on_mask,
                                                            .on_msg_recv_callback = on_message };
    if (wslay_event_context_client_init(&c->frames, &callbacks, c) != 0)
        return pn_fail(err, PN_ENOMEM, "no memory for a WebSocket");
    wslay_event_config_set_max_recv_msg_length(c->frames, c->opt.max_message);
    return 0;
}

/* ---- running ---- */

static int ask_whether_alive(struct pn_ws_client *c, struct pn_err *err)
{
    struct wslay_event_msg ping = { WSLAY_PING, NULL, 0 };
    int64_t now = pn_now_us();
    if (now - c->heard_us > PN_WS_CLIENT_ALIVE_S * INT64_C(1000000))
        return pn_fail(err, PN_ETIMEOUT, "the server has been silent for %d s", PN_WS_CLIENT_ALIVE_S);
    if (now - PN_MAX(c->heard_us, c->pinged_us) <= PN_WS_CLIENT_PING_S * INT64_C(1000000))
        return 0;
    c->pinged_us = now;
    int r = wslay_event_queue_msg(c->frames, &ping);
    return r == WSLAY_ERR_NOMEM ? pn_fail(err, PN_ENOMEM, "no memory for a ping") : 0;
}

static int failure(const struct pn_ws_client *c, int wslay_error, struct pn_err *err)
{
    if (wslay_error == WSLAY_ERR_NOMEM)
        return pn_fail(err, PN_ENOMEM, "no memory for a message");
    return c->violated || !c->lost ? pn_fail(err, PN_EFORMAT, "the server broke the WebSocket protocol")
                                   : pn_fail(err, PN_EIO, "the connection was lost");
}

int pn_ws_client_run(struct pn_ws_client *c, struct pn_err *err)
{
    int r = wslay_event_want_read(c->frames) ? wslay_event_recv(c->frames) : 0;
    bool closed = wslay_event_get_close_received(c->frames);
    c->violated |= !c->lost && !closed && !wslay_event_want_read(c->frames);
    if (r == 0 && wslay_event_want_write(c->frames))
        r = wslay_event_send(c->frames);
    if (r == 0 && !flush_out(c) && c->lost)
        r = WSLAY_ERR_CALLBACK_FAILURE;
    if (closed && (r != 0 || !pn_ws_client_events(c)))
        return 1; /* whether our half of the good-bye arrives does not matter */
    if (r != 0 || (c->violated && !pn_ws_client_events(c)))
        return failure(c, r, err);
    return ask_whether_alive(c, err);
}

int pn_ws_client_send(struct pn_ws_client *c, bool text, struct pn_str data)
{
    struct wslay_event_msg msg = { text ? WSLAY_TEXT_FRAME : WSLAY_BINARY_FRAME, (const uint8_t *)data.ptr,
                                   data.len };
    int r = wslay_event_queue_msg(c->frames, &msg);
    return r == 0 ? 0 : r == WSLAY_ERR_NOMEM ? -PN_ENOMEM : -PN_ECANCELLED;
}

void pn_ws_client_close(struct pn_ws_client *c, unsigned code)
{
    (void)wslay_event_queue_close(c->frames, (uint16_t)code, NULL, 0); /* else it is closing already */
}

int pn_ws_client_fd(const struct pn_ws_client *c)
{
    return (int)c->fd;
}

short pn_ws_client_events(const struct pn_ws_client *c)
{
    bool full = wslay_event_get_queued_msg_length(c->frames) >= PN_WS_CLIENT_QUEUE;
    short events = wslay_event_want_read(c->frames) && !full ? POLLIN : 0;
    if (wslay_event_want_write(c->frames) || c->out_pos < c->out_len)
        events |= POLLOUT;
    return events;
}

size_t pn_ws_client_waiting(const struct pn_ws_client *c)
{
    return wslay_event_get_queued_msg_length(c->frames) + (c->out_len - c->out_pos);
}

unsigned pn_ws_client_close_code(const struct pn_ws_client *c)
{
    return c->close_code;
}

const char *pn_ws_client_close_reason(const struct pn_ws_client *c)
{
    return c->close_reason;
}

/* ---- life ---- */

int pn_ws_client_open(const struct pn_ws_client_options *opt, struct pn_ws_client **ret, struct pn_err *err)
{
    struct pn_ws_url url;
    int r = pn_ws_url_parse(pn_str(opt->url), &url, err);
    if (r < 0)
        return r;
    struct pn_ws_client *c = calloc(1, sizeof(*c));
    if (!c)
        return pn_fail(err, PN_ENOMEM, "no memory for a WebSocket");
    c->opt = *opt;
    c->opt.protocol = opt->protocol ? opt->protocol : "";
    c->fd = CURL_SOCKET_BAD;
    c->deadline_us = pn_now_us() + opt->timeout_ms * INT64_C(1000);
    pn_buf_init(&c->early, PN_WS_HEAD_MAX + 4096);
    r = connect_to(c, &url, err);
    if (r == 0)
        r = shake_hands(c, &url, err);
    if (r == 0)
        r = start_frames(c, err);
    c->heard_us = c->pinged_us = pn_now_us();
    if (r < 0)
        pn_ws_client_free(c);
    else
        *ret = c;
    return r;
}

struct pn_ws_client *pn_ws_client_free(struct pn_ws_client *c)
{
    if (!c)
        return NULL;
    wslay_event_context_free(c->frames);
    curl_easy_cleanup(c->curl);
    pn_buf_done(&c->early);
    free(c);
    return NULL;
}
