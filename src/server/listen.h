/* listen.h - the listening sockets, and what is known of a peer that was accepted on one. */
#ifndef PN_SERVER_LISTEN_H
#define PN_SERVER_LISTEN_H

#include "base/error.h"

#include <sys/socket.h>

#define PN_LISTENERS_MAX 4

enum pn_listener_kind {
    PN_LISTEN_MAIN,   /* PORT: every route */
    PN_LISTEN_FUNASR, /* FUNASR_PORT: FunASR's WebSocket on every path */
};

struct pn_tally;

struct pn_listener {
    const char *host; /* an IPv4 or IPv6 address, or localhost; borrowed */
    int port;         /* 0: any free one, until pn_listen() */
    enum pn_listener_kind kind;
    int fd; /* pn_listen()'s, non-blocking; the caller closes it */
};

/* Who is at the other end. */
struct pn_peer {
    struct sockaddr_storage address;
    socklen_t len;
    enum pn_listener_kind kind; /* of the listener that was connected to */
    struct pn_tally *received;  /* what TLS put into the descriptor, a share of it; NULL: the kernel counts */
};

/* Binds and listens; fills fd, and port with the real one. -PN_EINVAL or -PN_EIO. */
PN_MUST_CHECK int pn_listen(struct pn_listener *l, struct pn_err *err);
/* Takes a connection that waits: its descriptor, non-blocking and the caller's. -PN_EAGAIN: none waits.
 * -PN_ENOMEM: the system has no descriptor or memory for it now; accepting must pause. */
PN_MUST_CHECK int pn_listen_accept(const struct pn_listener *l, struct pn_peer *ret);

#endif
