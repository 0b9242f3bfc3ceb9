/* acceptor.h - accepts plain TCP connections in the event loop. Loop thread only. */
#ifndef PN_SERVER_ACCEPTOR_H
#define PN_SERVER_ACCEPTOR_H

#include "server/listen.h"
#include "server/loop.h"

struct pn_acceptor;

/* `accepted` gets every new descriptor, and owns it. The listeners, at most PN_LISTENERS_MAX, are open and
 * stay the caller's; they must live until pn_acceptor_free(). */
PN_MUST_CHECK int pn_acceptor_new(struct pn_loop *loop, const struct pn_listener *listeners, size_t n,
                                  void (*accepted)(void *ctx, int fd, const struct pn_peer *peer), void *ctx,
                                  struct pn_acceptor **ret, struct pn_err *err);
struct pn_acceptor *pn_acceptor_free(struct pn_acceptor *a); /* accepts NULL */
/* Tries again if accepting paused because no descriptors were left. Accepts NULL. */
void pn_acceptor_tick(struct pn_acceptor *a);

#endif
