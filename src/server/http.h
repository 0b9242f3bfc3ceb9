/* http.h - HTTP/1.1 by libmicrohttpd, run inside our loop. It parses heads, chunks and multipart and writes
 * answers; connections, deadlines and the guard are ours (conn.h, http_head.h). */
#ifndef PN_SERVER_HTTP_H
#define PN_SERVER_HTTP_H

#include "server/request.h"

#include <microhttpd.h>

struct pn_http;

/* A body that is refused is read and dropped up to this length, so that the client gets its answer and keeps
 * its connection; a longer one is answered at once and the connection closed. */
#define PN_DISCARD_MAX (1 << 20)

PN_MUST_CHECK int pn_http_new(struct pn_server *server, struct pn_http **ret, struct pn_err *err);
struct pn_http *pn_http_free(struct pn_http *h); /* ends all connections; accepts NULL */
/* The head of a request is complete: the library may read from the connection. */
void pn_http_read(struct pn_http *h, struct pn_conn *c);
/* The library has something to do that no descriptor tells it, a session to close for example. */
void pn_http_kick(struct pn_http *h);
/* Sends req->reply (ws.c, when a handshake is refused). */
enum MHD_Result pn_http_reply(struct pn_request *req);

#endif
