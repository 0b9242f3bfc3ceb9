/* conn.h - the connections: the head of every request is checked here, their deadlines are kept here.
 *
 * libmicrohttpd has no absolute deadlines, does not watch a connection while its request is being worked on,
 * and lets malformed heads pass or answers them in its own words. So the library never waits for a request:
 * while a head is arriving, its connection is not known to the library yet, or suspended in it, and we look
 * at the bytes without taking them. When the head is complete and passes the guard (http_head.h), the library
 * reads it, and the body, and writes the answer; then it is suspended again. A client that sends more than
 * its request (pipelining) gets one answer and `Connection: close`, because the library may have taken bytes
 * of the next head unseen. Loop thread only. */
#ifndef PN_SERVER_CONN_H
#define PN_SERVER_CONN_H

#include "server/listen.h"
#include "server/loop.h"

#define PN_CONNS_SPARE 64 /* connections over the maximum, which are told that they are */

enum pn_conn_state {
    PN_CONN_HEAD,   /* a head is awaited or arriving; the library does not look */
    PN_CONN_BODY,   /* the library reads: the head, then the body */
    PN_CONN_WORK,   /* suspended while its request is worked on; hang-up is watched */
    PN_CONN_REPLY,  /* the answer is on its way out */
    PN_CONN_SOCKET, /* upgraded to a WebSocket (ws.h keeps its own deadlines) */
    PN_CONN_LINGER, /* over: what still arrives is dropped, so that the answer is not lost to a reset */
};

struct MHD_Connection;
struct pn_conns;

struct pn_conn {
    struct pn_source source; /* edge-triggered, for the whole life; LINGER: level-triggered */
    struct pn_conns *owner;
    struct pn_conn *prev, *next;
    enum pn_conn_state state;
    int fd;
    struct MHD_Connection *mhd;      /* NULL until the library knows it */
    int64_t deadline_us;             /* absolute, for the state; INT64_MAX: none */
    bool heard;                      /* HEAD: some of it is there */
    bool hung_up;                    /* the peer has sent its last byte */
    bool doomed;                     /* refused or cut: the library must not act on what it still reads */
    bool linger_after;               /* dropping is wanted when the library closes the socket */
    bool upgraded;                   /* SOCKET, or it was one */
    bool dropped;                    /* over, but the library does not know yet */
    bool chunked;                    /* BODY: its length on the wire is not known */
    int64_t expected;                /* bytes up to the end of the running request, since accept */
    int64_t window_us, window_bytes; /* BODY: the running window of the rate check and what arrived in it */
    int64_t seen_bytes;              /* BODY: window_bytes at the last tick */
    int64_t lingered;                /* LINGER: bytes dropped so far */
    void (*hangup)(void *ctx);       /* WORK: the client has gone; NULL: not watched */
    void *hangup_ctx;
    struct pn_peer peer;
};

struct pn_conns_options {
    int max_connections;
    int header_timeout_ms, keepalive_ms, body_timeout_ms;
    int64_t body_min_rate; /* bytes/s over each 30 s */
    /* The library shall read now: add the socket to it if c->mhd is NULL, else resume it. */
    void (*readable)(void *ctx, struct pn_conn *c);
    /* A connection was refused or cut: "connections", "timeout", "head"; for metrics. */
    void (*refused)(void *ctx, const char *why);
    void *ctx;
};

PN_MUST_CHECK int pn_conns_new(struct pn_loop *loop, const struct pn_conns_options *opt,
                               struct pn_conns **ret, struct pn_err *err);
/* Takes a connection that was accepted, and owns its descriptor and peer->received; one too many is told so,
 * or just closed. */
void pn_conns_adopt(struct pn_conns *cs, int fd, const struct pn_peer *peer);
struct pn_conns *pn_conns_free(struct pn_conns *cs); /* closes what the library does not own; accepts NULL */
void pn_conns_end_all(
    struct pn_conns *cs); /* the library will find the end of input on all of its own; accepts NULL */
int pn_conns_count(const struct pn_conns *cs);
void pn_conns_tick(struct pn_conns *cs, int64_t now_us); /* enforces the deadlines */

/* From now on nobody gets more than 10 s to send a request or to read an answer: the service is stopping. */
void pn_conns_hurry(struct pn_conns *cs);

/* The entry that `readable` handed to the library under this descriptor. */
struct pn_conn *pn_conns_find(struct pn_conns *cs, int fd);
/* The library has suspended the connection after an answer: the next head is awaited. May call `readable` at
 * once. */
void pn_conn_await(struct pn_conn *c);
void pn_conn_body(struct pn_conn *c, size_t bytes);                         /* body bytes arrived */
void pn_conn_work(struct pn_conn *c, void (*hangup)(void *ctx), void *ctx); /* may call hangup at once */
void pn_conn_reply(struct pn_conn *c);
/* The library has upgraded the connection: from now on the entry has a descriptor of its own, and the library
 * may close its one, which frees some 40 KB. Returns that descriptor; its events are the caller's until
 * pn_conn_give_back(). -PN_EIO: none is left, and nothing has changed. */
PN_MUST_CHECK int pn_conn_take(struct pn_conn *c);
void pn_conn_give_back(struct pn_conn *c); /* what still arrives is dropped for a while, then it is closed */
/* Whether the library may have read past the end of the request. */
bool pn_conn_overread(const struct pn_conn *c);
void pn_conn_closed(struct pn_conn *c); /* the library is about to close the socket */

#endif
