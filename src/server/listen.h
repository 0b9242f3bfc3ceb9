/* listen.h - the listening socket. */
#ifndef PN_SERVER_LISTEN_H
#define PN_SERVER_LISTEN_H

#include "base/error.h"

/* Binds `host` (an IPv4 or IPv6 address, or localhost) and `port` (0: any free one) and listens. Returns the
 * descriptor, non-blocking and the caller's, or -PN_EINVAL or -PN_EIO. */
PN_MUST_CHECK int pn_listen(const char *host, int port, struct pn_err *err);
int pn_listen_port(int fd); /* 0 if it cannot be told */

#endif
