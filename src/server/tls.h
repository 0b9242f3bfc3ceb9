/* tls.h - TLS in front of the event loop: a thread of its own accepts on the listeners, does the handshakes
 * and pumps bytes (tls_pump.h) between each client and a socketpair, the other end of which the loop takes
 * for the client. libmicrohttpd's own TLS loses connections when it carries hundreds of WebSockets; and a
 * handshake costs the loop nothing here.
 *
 * A request without TLS is answered in plain text with 400. Handshakes have an absolute deadline. */
#ifndef PN_SERVER_TLS_H
#define PN_SERVER_TLS_H

#include "base/metrics.h"
#include "server/listen.h"
#include "server/loop.h"

struct pn_tls;

struct pn_tls_options {
    const struct pn_listener *listeners; /* open; the caller's, until pn_tls_free() */
    size_t n_listeners;                  /* at most PN_LISTENERS_MAX */
    const char *cert, *key;              /* as pn_tls_context_new(); borrowed */
    int max_connections;                 /* those above are closed unheard */
    int handshake_timeout_ms;
    int stall_timeout_ms; /* for a client to read what is left after the server has ended */
    struct pn_loop *loop;
    /* Loop thread; owns the descriptor. May come until the loop is freed. */
    void (*accepted)(void *ctx, int fd, const struct pn_peer *peer);
    void *ctx;
    struct pn_metric *handshakes; /* {result}: ok, resumed, failed, timeout, plain */
    struct pn_metric *refused;    /* {reason}: connections */
};

PN_MUST_CHECK int pn_tls_new(const struct pn_tls_options *opt, struct pn_tls **ret, struct pn_err *err);
/* When the loop has closed all its ends: what it wrote still goes out, for a few seconds at most. */
struct pn_tls *pn_tls_free(struct pn_tls *t); /* accepts NULL */
/* Reads certificate and key again, for new connections; after an error the old ones stay. Any thread. */
PN_MUST_CHECK int pn_tls_reload(struct pn_tls *t, struct pn_err *err);
int pn_tls_count(const struct pn_tls *t); /* open connections, those in their handshake, too; NULL: 0 */

#endif
