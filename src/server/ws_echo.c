/* ws_echo.c - /test/echo: sends every message back. Only in builds with -Dtest_routes=true, where the frame
 * tests talk to it. */
#include "base/buf.h"
#include "server/route.h"
#include "server/ws.h"

#include <stdlib.h>

#define MAX_MESSAGE (1 << 20)

static void opened(struct pn_ws *ws, struct pn_request *req)
{
    struct pn_buf *binary = calloc(1, sizeof(*binary));
    (void)req;
    if (binary)
        pn_buf_init(binary, MAX_MESSAGE);
    pn_ws_set_state(ws, binary);
}

static void closed(struct pn_ws *ws)
{
    struct pn_buf *binary = pn_ws_state(ws);
    if (binary)
        pn_buf_done(binary);
    free(binary);
}

static void say(struct pn_ws *ws, bool text, const char *data, size_t n)
{
    if (pn_ws_send(ws, text, data, n) < 0)
        pn_ws_close(ws, 1013, "read faster");
}

static void echo_text(struct pn_ws *ws, const char *data, size_t n)
{
    say(ws, true, data, n);
}

static void echo_binary(struct pn_ws *ws, const char *data, size_t n, bool end)
{
    struct pn_buf *binary = pn_ws_state(ws);
    if (binary)
        pn_buf_append(binary, data, n);
    if (!end)
        return;
    say(ws, false, binary && binary->len ? binary->ptr : "", binary ? binary->len : 0);
    if (binary)
        pn_buf_clear(binary);
}

static const char *const SUBPROTOCOLS[] = { "echo", "binary", NULL };

const struct pn_ws_protocol pn_ws_echo = { .subprotocols = SUBPROTOCOLS,
                                           .max_text = MAX_MESSAGE,
                                           .max_binary = MAX_MESSAGE,
                                           .opened = opened,
                                           .text = echo_text,
                                           .binary = echo_binary,
                                           .closed = closed };
