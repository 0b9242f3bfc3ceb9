/* http.c - see http.h. Loop thread only.
 *
 * The library calls on_request once with the head, once for each piece of the body, and once at its end;
 * after a suspension once more when the request is resumed. req->reply, once set, is the answer: at once if
 * the client is not in the middle of a body worth waiting for, else after that body was dropped. */
#include "server/http.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "server/route.h"
#include "server/state.h"
#include "server/ws.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

#define REQUEST_ARENA_MAX  (1 << 20)
#define CONNECTION_MEMORY  65536u /* also the largest piece of a body */
#define INACTIVITY_S       120u   /* of a client that does not read its answer */
#define MULTIPART_OVERHEAD 65536  /* boundaries and fields beside the file */

struct pn_http {
    struct pn_server *server;
    struct MHD_Daemon *daemon;
    struct pn_source source;
    struct pn_arena *spare; /* of the last request, for the next; NULL: none */
    bool kick;              /* the library has something to do although its descriptor is quiet */
};

/* ---- requests ---------------------------------------------------------------------------------------- */

struct pn_str pn_request_query(struct pn_request *req, const char *name)
{
    const char *v = NULL;
    size_t n = 0;
    if (MHD_lookup_connection_value_n(req->mhd, MHD_GET_ARGUMENT_KIND, name, strlen(name), &v, &n) !=
            MHD_YES ||
        !v)
        return (struct pn_str){ NULL, 0 };
    return (struct pn_str){ v, n };
}

struct pn_str pn_request_header(struct pn_request *req, const char *name)
{
    return pn_str(MHD_lookup_connection_value(req->mhd, MHD_HEADER_KIND, name));
}

static void on_hangup(void *ctx)
{
    struct pn_request *req = ctx;
    req->gone = true;
    pn_request_resume(req);
}

void pn_request_suspend(struct pn_request *req)
{
    req->suspended = true;
    MHD_suspend_connection(req->mhd);
    pn_conn_work(req->conn, on_hangup, req);
}

void pn_request_resume(struct pn_request *req)
{
    if (!req->suspended)
        return;
    req->suspended = false;
    pn_conn_reply(req->conn);
    MHD_resume_connection(req->mhd);
    req->server->http->kick = true;
}

struct pn_request *pn_request_find(struct pn_server *s, uint64_t serial)
{
    struct pn_request *req = s->requests;
    while (req && req->serial != serial)
        req = req->next;
    return req;
}

static struct pn_request *request_new(struct pn_server *s, struct MHD_Connection *mhd, const char *url,
                                      const char *method)
{
    struct pn_arena *arena = s->http->spare;
    s->http->spare = NULL;
    if (!arena && pn_arena_new(REQUEST_ARENA_MAX, &arena) < 0)
        return NULL;
    struct pn_request *req = pn_arena_alloc(arena, sizeof(*req));
    char *path = pn_arena_strndup(arena, url, strlen(url));
    char *verb = pn_arena_strndup(arena, method, strlen(method));
    if (!req || !path || !verb) {
        pn_arena_free(arena);
        return NULL;
    }
    *req = (struct pn_request){ .server = s,
                                .mhd = mhd,
                                .arena = arena,
                                .path = path,
                                .method = verb,
                                .serial = ++s->last_serial,
                                .began_us = pn_now_us(),
                                .content_length = -1 };
    req->conn = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    pn_request_id(req->id);
    PN_LIST_ADD(s->requests, req);
    s->n_requests++;
    return req;
}

static void request_free(struct pn_request *req)
{
    struct pn_server *s = req->server;
    if (req->route && req->route->done)
        req->route->done(req);
    PN_LIST_REMOVE(s->requests, req);
    s->n_requests--;
    pn_reply_free(req->reply);
    struct pn_arena *arena = req->arena; /* holds req, too */
    if (s->http->spare) {
        pn_arena_free(arena);
    } else {
        pn_arena_reset(arena);
        s->http->spare = arena;
    }
}

/* ---- answers ----------------------------------------------------------------------------------------- */

/* What a browser asked to be allowed to send; echoed, as far as it is made of header names. */
static void allow_headers(struct pn_request *req, struct MHD_Response *r)
{
    struct pn_str asked = pn_request_header(req, "Access-Control-Request-Headers");
    char names[1024];
    if (pn_str_copy(names, sizeof(names), asked) < 0 || !*names)
        snprintf(names, sizeof(names), "authorization, content-type");
    if (strspn(names, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_, ") == strlen(names))
        MHD_add_response_header(r, "Access-Control-Allow-Headers", names);
}

static void log_request(const struct pn_request *req)
{
    bool quiet = req->status < 500 && strcmp(req->method, "POST") != 0;
    pn_log(quiet ? PN_DEBUG : PN_INFO, "request", F_CSTR("id", req->id), F_CSTR("method", req->method),
           F_CSTR("path", req->path), F_I64("status", req->status),
           F_F64("ms", (double)(pn_now_us() - req->began_us) / 1000.0));
}

/* Whether the connection can serve another request. We say `close` whenever the library would close, so that
 * on_completed() knows. */
static bool can_keep(struct pn_request *req)
{
    struct pn_str asked = pn_request_header(req, "Connection");
    return req->http11 && !req->server->draining && !req->conn->doomed && !pn_conn_overread(req->conn) &&
           (asked.len == 0 || pn_str_ieq(asked, PN_STR("keep-alive")));
}

static void count_and_log(struct pn_request *req)
{
    char status[16];
    snprintf(status, sizeof(status), "%d", req->status);
    pn_metric_add(req->server->m.requests, 1, req->route ? req->route->label : "other", status);
    log_request(req);
}

/* `early`: the body was not read to its end. */
static enum MHD_Result send_reply(struct pn_request *req, bool early)
{
    struct pn_reply *reply = req->reply;
    struct MHD_Response *r =
        MHD_create_response_from_buffer(reply->len, reply->body ? reply->body : "", MHD_RESPMEM_MUST_COPY);
    if (!r)
        return MHD_NO;
    if (reply->content_type)
        MHD_add_response_header(r, "Content-Type", reply->content_type);
    MHD_add_response_header(r, "x-request-id", req->id);
    MHD_add_response_header(r, "Access-Control-Allow-Origin", "*");
    if (strcmp(req->method, "OPTIONS") == 0)
        allow_headers(req, r);
    for (int i = 0; i < reply->n_headers; i++)
        MHD_add_response_header(r, reply->headers[i].name, reply->headers[i].value);
    for (const struct pn_reply_field *f = reply->fields; f && f->name; f++)
        MHD_add_response_header(r, f->name, f->value);
    req->keep = !early && can_keep(req);
    req->conn->linger_after = !req->keep;
    if (!req->keep)
        MHD_add_response_header(r, "Connection", "close");
    pn_conn_reply(req->conn);
    req->status = reply->status;
    enum MHD_Result ok = MHD_queue_response(req->mhd, (unsigned)reply->status, r);
    MHD_destroy_response(r);
    count_and_log(req);
    return ok;
}

enum MHD_Result pn_http_reply(struct pn_request *req)
{
    return send_reply(req, false);
}

/* ---- the library's callbacks ------------------------------------------------------------------------- */

static void check_length(struct pn_request *req)
{
    int64_t max = req->server->config->max_upload_mb << 20;
    if (strcmp(req->method, "POST") == 0 && req->content_length < 0 && !req->chunked)
        req->reply = pn_reply_error(411, NULL, NULL, "send Content-Length or Transfer-Encoding: chunked");
    else if (req->content_length > max + MULTIPART_OVERHEAD)
        req->reply = pn_reply_error(413, NULL, NULL,
                                    "Maximum content size limit (%lld) exceeded (%lld bytes announced)",
                                    (long long)max, (long long)req->content_length);
}

/* Whether waiting for the rest of the body would be a waste, or the client waits for us. */
static bool answer_now(struct pn_request *req)
{
    return req->reply->status == 413 || req->reply->status == 411 || req->content_length > PN_DISCARD_MAX ||
           pn_request_header(req, "Expect").len > 0;
}

static enum MHD_Result request_begin(struct pn_request *req, const char *version)
{
    struct pn_str length = pn_request_header(req, "Content-Length");
    if (length.len && pn_parse_i64(length, 0, INT64_MAX, &req->content_length) < 0)
        return MHD_NO; /* the guard let only digits pass */
    req->http11 = strcmp(version, MHD_HTTP_VERSION_1_1) == 0;
    req->chunked = pn_request_header(req, "Transfer-Encoding").len > 0;
    req->route = pn_route_find(req->conn->peer.kind, req->method, req->path, &req->reply);
    if (!req->reply)
        check_length(req);
    if (!req->reply && req->route->begin)
        req->route->begin(req);
    return req->reply && answer_now(req) ? send_reply(req, true) : MHD_YES;
}

static enum MHD_Result request_body(struct pn_request *req, const char *data, size_t n)
{
    pn_conn_body(req->conn, n);
    if (!req->reply && req->route->body) {
        req->route->body(req, data, n);
        return MHD_YES;
    }
    req->dropped += (int64_t)n;
    return req->dropped > PN_DISCARD_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result request_end(struct pn_request *req)
{
    if (req->gone)
        return MHD_NO;
    if (!req->reply && (!req->route->handle || (req->route->websocket && pn_ws_wanted(req))))
        return pn_ws_upgrade(req);
    if (!req->reply)
        req->route->handle(req);
    return req->reply ? send_reply(req, false) : MHD_YES;
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *mhd, const char *url, const char *method,
                                  const char *version, const char *data, size_t *size, void **con_cls)
{
    struct pn_http *h = cls;
    struct pn_request *req = *con_cls;
    if (!req) {
        struct pn_conn *c = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
        if (c->doomed)
            return MHD_NO;
        req = request_new(h->server, mhd, url, method);
        *con_cls = req;
        return req ? request_begin(req, version) : MHD_NO;
    }
    if (*size > 0) {
        size_t n = *size;
        *size = 0;
        return request_body(req, data, n);
    }
    return request_end(req);
}

/* The library calls this before it looks for the next request: suspended here, it does not. */
static void on_completed(void *cls, struct MHD_Connection *mhd, void **con_cls,
                         enum MHD_RequestTerminationCode how)
{
    (void)cls;
    struct pn_request *req = *con_cls;
    if (!req)
        return;
    struct pn_conn *c = req->conn;
    bool keep = req->keep && how == MHD_REQUEST_TERMINATED_COMPLETED_OK;
    *con_cls = NULL;
    request_free(req);
    if (keep) {
        MHD_suspend_connection(mhd);
        pn_conn_await(c);
    }
}

static void on_connection(void *cls, struct MHD_Connection *mhd, void **ctx,
                          enum MHD_ConnectionNotificationCode what)
{
    struct pn_http *h = cls;
    if (what == MHD_CONNECTION_NOTIFY_CLOSED) {
        pn_conn_closed(*ctx);
        return;
    }
    int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct pn_conn *c = pn_conns_find(h->server->conns, fd);
    c->mhd = mhd;
    *ctx = c;
}

static void on_library_log(void *cls, const char *fmt, va_list ap) PN_PRINTF(2, 0);
static void on_library_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    char text[256];
    vsnprintf(text, sizeof(text), fmt, ap);
    pn_log(PN_DEBUG, "http", F_STR("text", pn_str_trim(pn_str(text))));
}

/* ---- inside the loop --------------------------------------------------------------------------------- */

static void on_ready(struct pn_source *s, uint32_t events)
{
    (void)events;
    PN_CONTAINER_OF(s, struct pn_http, source)->kick = true;
}

static void on_idle(void *ctx, int *timeout_ms)
{
    struct pn_http *h = ctx;
    MHD_UNSIGNED_LONG_LONG wait;
    if (h->kick) {
        h->kick = false;
        MHD_run(h->daemon);
    }
    if (h->kick)
        *timeout_ms = 0;
    if (MHD_get_timeout(h->daemon, &wait) == MHD_YES && wait < (MHD_UNSIGNED_LONG_LONG)*timeout_ms) {
        *timeout_ms = (int)wait;
        h->kick = true;
    }
}

int pn_http_new(struct pn_server *server, struct pn_http **ret, struct pn_err *err)
{
    struct pn_http *h = calloc(1, sizeof(*h));
    if (!h)
        return pn_fail(err, PN_ENOMEM, "no memory for HTTP");
    h->server = server;
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_ALLOW_UPGRADE | MHD_USE_NO_LISTEN_SOCKET |
                     MHD_USE_ERROR_LOG;
    h->daemon = MHD_start_daemon(
        flags, 0, NULL, NULL, on_request, h, MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
        MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)server->config->max_http_connections + 128, MHD_OPTION_CONNECTION_TIMEOUT, INACTIVITY_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, h, MHD_OPTION_NOTIFY_COMPLETED, on_completed, h, MHD_OPTION_END);
    if (!h->daemon) {
        free(h);
        return pn_fail(err, PN_EIO, "libmicrohttpd did not start");
    }
    int fd = MHD_get_daemon_info(h->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    h->source = (struct pn_source){ .fd = fd, .ready = on_ready };
    int r = pn_loop_add(server->loop, &h->source, EPOLLIN, err);
    if (r < 0) {
        MHD_stop_daemon(h->daemon);
        free(h);
        return r;
    }
    pn_loop_on_idle(server->loop, on_idle, h);
    *ret = h;
    return 0;
}

struct pn_http *pn_http_free(struct pn_http *h)
{
    if (!h)
        return NULL;
    struct pn_server *s = h->server;
    for (struct pn_request *req = s->requests; req; req = req->next)
        if (req->suspended)
            on_hangup(req);
    pn_conns_end_all(s->conns);
    MHD_run(h->daemon); /* nothing may be suspended when the library stops */
    pn_loop_on_idle(s->loop, NULL, NULL);
    pn_loop_remove(s->loop, &h->source, NULL);
    MHD_stop_daemon(h->daemon);
    pn_arena_free(h->spare);
    free(h);
    return NULL;
}

void pn_http_kick(struct pn_http *h)
{
    h->kick = true;
}

void pn_http_read(struct pn_http *h, struct pn_conn *c)
{
    h->kick = true;
    if (c->mhd)
        MHD_resume_connection(c->mhd);
    else if (MHD_add_connection(h->daemon, c->fd, (struct sockaddr *)&c->peer.address, c->peer.len) !=
             MHD_YES)
        pn_conn_closed(c); /* the library has closed the socket, without any notice */
}
