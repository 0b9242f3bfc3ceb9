/* server.h - the service: an event loop, its routes, and the engine behind them. */
#ifndef PN_SERVER_SERVER_H
#define PN_SERVER_SERVER_H

#include "base/config.h"
#include "base/error.h"
#include "server/listen.h"

struct pn_server;

/* What the configuration alone cannot tell: whether certificate and key can be used. */
PN_MUST_CHECK int pn_server_check(const struct pn_config *config, struct pn_err *err);
/* Loads the models, starts the decode child and the threads, listens. `config` is borrowed until
 * pn_server_free(). Blocks SIGTERM, SIGINT and SIGHUP in the calling thread and all it starts; they are read
 * by the loop. */
PN_MUST_CHECK int pn_server_new(const struct pn_config *config, struct pn_server **ret, struct pn_err *err);
struct pn_server *pn_server_free(struct pn_server *s);                     /* accepts NULL */
int pn_server_port(const struct pn_server *s, enum pn_listener_kind kind); /* 0: it does not listen there */
/* Serves until SIGTERM or SIGINT: `/ready` turns 503, no new work is taken, running work finishes (0). A
 * second signal ends it at once (1). */
int pn_server_run(struct pn_server *s);

#endif
