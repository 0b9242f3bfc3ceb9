/* ws_client.h - a WebSocket client (RFC 6455, wslay's frames) over a connection that libcurl makes: TLS,
 * proxies and IPv6 are its business.
 *
 * Opening waits; everything afterwards does not: the caller polls pn_ws_client_fd() and runs the client. One
 * thread. SIGPIPE is to be ignored. What waits to be written is bounded by the caller, who looks at
 * pn_ws_client_waiting() before it sends more; what the client itself adds (pongs) by PN_WS_CLIENT_QUEUE. */
#ifndef PN_BASE_WS_CLIENT_H
#define PN_BASE_WS_CLIENT_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

#include <stdint.h>

struct pn_ws_client;

#define PN_WS_CLIENT_QUEUE   ((size_t)1 << 20) /* bytes; above it nothing is read */
#define PN_WS_CLIENT_PING_S  30                /* of silence, after which we ask */
#define PN_WS_CLIENT_ALIVE_S 75                /* of silence, after which the connection is given up */

struct pn_ws_client_options {
    const char *url;      /* ws_handshake.h */
    const char *protocol; /* Sec-WebSocket-Protocol; NULL or "": none */
    const char *ca_file;  /* PEM, of wss; NULL or "": the system's */
    bool insecure;        /* take any certificate */
    int timeout_ms;       /* for connection and handshake together */
    int stop_fd;          /* opening is given up when it becomes readable; -1: none */
    size_t max_message;   /* bytes of one that is received */
    /* A whole message; `data` is borrowed. It may send, but not close the client. */
    void (*message)(void *ctx, bool text, struct pn_str data);
    void *ctx;
};

/* Connects and shakes hands. -PN_EINVAL (URL), -PN_EIO (no connection), -PN_EFORMAT (no WebSocket server, or
 * a certificate that cannot be trusted), -PN_EUNSUPPORTED (another status than 101), -PN_ETIMEOUT,
 * -PN_ECANCELLED (stop_fd), -PN_ENOMEM. */
PN_MUST_CHECK int pn_ws_client_open(const struct pn_ws_client_options *opt, struct pn_ws_client **ret,
                                    struct pn_err *err);
struct pn_ws_client *pn_ws_client_free(struct pn_ws_client *c); /* cuts the connection; accepts NULL */
int pn_ws_client_fd(const struct pn_ws_client *c);
short pn_ws_client_events(const struct pn_ws_client *c); /* POLLIN, POLLOUT: what to wait for */
/* Reads what is there, tells messages, writes what can be written; to be called after opening and sending,
 * when the descriptor is ready, and once a second. 0: going on; 1: the closing handshake is over; -PN_EIO:
 * the connection was lost; -PN_EFORMAT: the server broke the protocol; -PN_ETIMEOUT: it is silent;
 * -PN_ENOMEM. */
PN_MUST_CHECK int pn_ws_client_run(struct pn_ws_client *c, struct pn_err *err);
/* Queues a message, which is copied. -PN_ENOMEM, -PN_ECANCELLED (closing). */
PN_MUST_CHECK int pn_ws_client_send(struct pn_ws_client *c, bool text, struct pn_str data);
size_t pn_ws_client_waiting(const struct pn_ws_client *c);      /* bytes not yet written */
void pn_ws_client_close(struct pn_ws_client *c, unsigned code); /* starts the closing handshake */
/* Of the server's close frame: 0 and "" while there is none. */
unsigned pn_ws_client_close_code(const struct pn_ws_client *c);
const char *pn_ws_client_close_reason(const struct pn_ws_client *c);

#endif
