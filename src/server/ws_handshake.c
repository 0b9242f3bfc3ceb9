/* ws_handshake.c - the opening handshake of a WebSocket, RFC 6455 section 4.2. Loop thread only. */
#include "base/ws_handshake.h"
#include "server/http.h"
#include "server/request.h"
#include "server/state.h"
#include "server/ws.h"

#include <string.h>

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

/* libmicrohttpd has answered. It keeps nothing of the connection: its share would cost more memory than all
 * the rest of a session. */
static void on_upgrade(void *cls, struct MHD_Connection *mhd, void *con_cls, const char *extra,
                       size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *handle)
{
    struct pn_request *req = cls;
    (void)mhd;
    (void)con_cls;
    (void)fd;
    pn_ws_begin(req, extra, extra_len);
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
    pn_http_kick(req->server->http);
}

enum MHD_Result pn_ws_upgrade(struct pn_request *req)
{
    char accept[PN_WS_ACCEPT_LEN + 1];
    req->reply = check_handshake(req);
    if (!req->reply && !pn_ws_accept_of(pn_request_header(req, "Sec-WebSocket-Key"), accept))
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
