/* tls_pump.h - moves bytes between a TLS connection to a client and a socketpair whose other end the server
 * takes for the client. Nothing waits in here but what one side has no room for, at most 16 KB each way: then
 * nothing more is read for it, and the other side feels it. One thread.
 *
 * The ends of the two directions travel on: the client's close_notify or FIN as a shutdown of the socketpair,
 * the server's shutdown or close as close_notify and FIN. */
#ifndef PN_SERVER_TLS_PUMP_H
#define PN_SERVER_TLS_PUMP_H

#include "server/tally.h"

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PN_TLS_PIECE 16384 /* the largest record */

/* What a side had no room for. */
struct pn_tls_rest {
    char *bytes; /* owned; NULL: nothing waits */
    size_t at, len;
};

struct pn_tls_pump {
    SSL *ssl;               /* after its handshake; owned */
    int net_fd, app_fd;     /* non-blocking; owned */
    struct pn_tally *tally; /* of what went into app_fd; a share is owned */
    struct pn_tls_rest to_app, to_net;
    /* Set by the owner on events, cleared here: there may be something to read, or room again. */
    bool net_in, app_in;
    bool app_hup; /* set by the owner: read app_fd to its end */
    /* For the owner: tell me when there is room to write. */
    bool net_full, app_full;
    bool net_ended;    /* the client has sent its last byte */
    bool app_ended;    /* the server has */
    bool app_deaf;     /* the server does not listen any more */
    bool said_goodbye; /* close_notify and FIN have been sent */
    size_t dropped;    /* bytes of the client that nobody wanted */
    int64_t moved_us;  /* when a byte moved last */
};

enum pn_tls_next {
    PN_TLS_WAIT, /* for an event */
    PN_TLS_MORE, /* there is more to move; others first */
    PN_TLS_OVER, /* both directions have ended, or the connection broke */
};

/* `scratch` has PN_TLS_PIECE bytes and may be used for all pumps in turn. */
enum pn_tls_next pn_tls_pump_run(struct pn_tls_pump *p, char *scratch, int64_t now_us);
void pn_tls_pump_done(struct pn_tls_pump *p); /* closes and frees what it owns; descriptors of -1 are none */

#endif
