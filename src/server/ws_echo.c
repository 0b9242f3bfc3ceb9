/* ws_echo.c - /test/echo: sends every message back. Only in builds with -Dtest_routes=true, where the frame
 * tests talk to it. */
#include "server/route.h"
#include "server/ws.h"

static void echo(struct pn_ws *ws, bool text, const char *data, size_t n)
{
    if (pn_ws_send(ws, text, data, n) < 0)
        pn_ws_close(ws, 1013, "read faster");
}

static const char *const SUBPROTOCOLS[] = { "echo", "binary", NULL };

const struct pn_ws_protocol pn_ws_echo = { .subprotocols = SUBPROTOCOLS,
                                           .max_message = 1 << 20,
                                           .message = echo };
