/* request.h - one HTTP request, from its head to the end of its answer. Loop thread only.
 *
 * Made when the head is complete, freed when libmicrohttpd has finished with it. A job that works for it
 * knows its `serial`, not its address: the client may be gone by the time the job comes back. */
#ifndef PN_SERVER_REQUEST_H
#define PN_SERVER_REQUEST_H

#include "base/arena.h"
#include "server/conn.h"
#include "server/reply.h"

struct MHD_Connection;
struct pn_server;
struct pn_request;

struct pn_route {
    const char *method; /* "GET" answers HEAD, too */
    const char *path;   /* "/x/" stands for all that is below it, "/x" also for "/x/" */
    const char *label;  /* in metrics */
    /* The head is known, nothing of the body was read. May set req->reply to refuse. NULL: nothing to check.
     */
    void (*begin)(struct pn_request *req);
    /* A piece of the body; may set req->reply, then the rest is dropped. NULL: a body is dropped. */
    void (*body)(struct pn_request *req, const char *data, size_t n);
    /* The request is complete: sets req->reply, or starts work and calls pn_request_suspend(). NULL: there is
     * only the WebSocket. */
    void (*handle)(struct pn_request *req);
    /* The request ends: cancels work that still runs for it. */
    void (*done)(struct pn_request *req);
    /* A request with `Upgrade: websocket` goes to this protocol, not to handle. NULL: none. */
    const struct pn_ws_protocol *websocket;
};

struct pn_request {
    struct pn_server *server;
    struct pn_conn *conn;
    struct MHD_Connection *mhd;
    const struct pn_route *route; /* NULL: none fits */
    const char *method, *path;    /* the arena's */
    struct pn_arena *arena;
    char id[PN_REQUEST_ID_SIZE]; /* x-request-id */
    uint64_t serial;             /* never reused */
    int64_t began_us;
    int64_t content_length; /* -1: none was sent */
    bool chunked, http11;
    int64_t dropped;        /* body bytes thrown away after a refusal */
    bool suspended, gone;   /* waiting for a job; the client hung up */
    bool keep;              /* the connection serves another request after the answer */
    int status;             /* of the answer; 0 until it is sent */
    struct pn_reply *reply; /* the answer, as soon as it is known */
    void *state;            /* the route's */
    struct pn_request *prev, *next;
};

/* The named query or header value; empty if absent. Borrowed from the library until the request ends. */
struct pn_str pn_request_query(struct pn_request *req, const char *name);
struct pn_str pn_request_header(struct pn_request *req, const char *name);
/* Stops reading from the connection until pn_request_resume(). Hang-ups are watched meanwhile. */
void pn_request_suspend(struct pn_request *req);
/* With req->reply set: the answer goes out. */
void pn_request_resume(struct pn_request *req);
/* NULL when it has ended. */
struct pn_request *pn_request_find(struct pn_server *s, uint64_t serial);

#endif
