/* route.c - see route.h. */
#include "server/route.h"

#include "server/pages.h"
#include "server/ws.h"

#include <stdio.h>
#include <string.h>

static const struct pn_route ROUTES[] = {
    { .method = "GET", .path = "/", .label = "/", .handle = pn_handle_root, .websocket = &pn_ws_funasr },
    { .method = "GET", .path = "/health", .label = "/health", .handle = pn_handle_health },
    { .method = "GET", .path = "/ready", .label = "/ready", .handle = pn_handle_ready },
    { .method = "GET", .path = "/stats", .label = "/stats", .handle = pn_handle_stats },
    { .method = "GET", .path = "/metrics", .label = "/metrics", .handle = pn_handle_metrics },
    { .method = "POST",
      .path = "/transcribe",
      .label = "/transcribe",
      .begin = pn_transcribe_begin,
      .body = pn_transcribe_body,
      .handle = pn_transcribe_handle,
      .done = pn_transcribe_done },
    { .method = "GET", .path = "/test", .label = "/test", .handle = pn_handle_page },
    { .method = "GET", .path = "/web/", .label = "/web/", .handle = pn_handle_page },
    { .method = "GET", .path = "/ws/asr", .label = "/ws/asr", .websocket = &pn_ws_ptt },
    { .method = "GET", .path = "/v1/realtime", .label = "/v1/realtime", .websocket = &pn_realtime },
    { .method = "GET", .path = "/v1/models", .label = "/v1/models", .handle = pn_handle_models },
    { .method = "GET", .path = "/v1/models/", .label = "/v1/models/", .handle = pn_handle_models },
    { .method = "POST",
      .path = "/v1/realtime/client_secrets",
      .label = "/v1/realtime/client_secrets",
      .begin = pn_realtime_keys_begin,
      .body = pn_realtime_keys_body,
      .handle = pn_realtime_client_secrets },
    { .method = "POST",
      .path = "/v1/realtime/transcription_sessions",
      .label = "/v1/realtime/transcription_sessions",
      .begin = pn_realtime_keys_begin,
      .body = pn_realtime_keys_body,
      .handle = pn_realtime_transcription_sessions },
#if PN_TEST_ROUTES
    { .method = "GET", .path = "/test/echo", .label = "/test/echo", .websocket = &pn_ws_echo },
#endif
};

static void handle_funasr_port(struct pn_request *req)
{
    req->reply = pn_ws_upgrade_required("this port speaks FunASR's WebSocket protocol and nothing else");
}

static const struct pn_route FUNASR_PORT = { .label = "funasr",
                                             .handle = handle_funasr_port,
                                             .websocket = &pn_ws_funasr };

/* "/transcribe/" is "/transcribe", "/web/" and "/v1/models/" all below them; "/" stays. */
static bool same_path(const char *route, const char *path)
{
    size_t n = strlen(route);
    if (strncmp(route, path, n) != 0)
        return false;
    return path[n] == 0 || (n > 1 && (route[n - 1] == '/' || (path[n] == '/' && path[n + 1] == 0)));
}

static bool same_method(const char *route, const char *method)
{
    return strcmp(route, method) == 0 || (strcmp(route, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

static struct pn_reply *method_refusal(const char *method, const char *allow)
{
    if (strcmp(method, "OPTIONS") != 0) {
        struct pn_reply *r =
            pn_reply_error(405, NULL, NULL, "method %.32s is not allowed here; use %s", method, allow);
        pn_reply_header(r, "Allow", "%s, OPTIONS", allow);
        return r;
    }
    struct pn_buf empty;
    pn_buf_init(&empty, 1);
    struct pn_reply *r = pn_reply_new(204, NULL, &empty);
    pn_reply_header(r, "Allow", "%s, OPTIONS", allow);
    pn_reply_header(r, "Access-Control-Allow-Methods", "%s, OPTIONS", allow);
    pn_reply_header(r, "Access-Control-Max-Age", "600");
    return r;
}

const struct pn_route *pn_route_find(enum pn_listener_kind kind, const char *method, const char *path,
                                     struct pn_reply **ret_refusal)
{
    if (kind == PN_LISTEN_FUNASR)
        return &FUNASR_PORT;
    const char *allow = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(ROUTES); i++) {
        if (!same_path(ROUTES[i].path, path))
            continue;
        if (same_method(ROUTES[i].method, method))
            return &ROUTES[i];
        allow = strcmp(ROUTES[i].method, "GET") == 0 ? "GET, HEAD" : ROUTES[i].method;
    }
    *ret_refusal = allow ? method_refusal(method, allow)
                         : pn_reply_error(404, NULL, "unknown_url", "there is nothing at %.200s", path);
    return NULL;
}
