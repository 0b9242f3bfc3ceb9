/* ws.h - WebSocket sessions (RFC 6455) by wslay over the connections that libmicrohttpd upgrades. Loop
 * thread only.
 *
 * A session reads only while little waits to be written; a peer that reads nothing for the stall timeout
 * while something waits is dropped. We ping every 30 s and close with 1001 after the idle timeout without any
 * byte, but for the time in which a protocol has it paused. Over MAX_CONNECTIONS the handshake succeeds and
 * the session is closed with 1008. More in ws_frames.h. */
#ifndef PN_SERVER_WS_H
#define PN_SERVER_WS_H

#include "base/error.h"
#include "base/str.h"

#include <microhttpd.h>

struct pn_ws;
struct pn_ws_table;
struct pn_server;
struct pn_request;
struct pn_reply;

#define PN_WS_DRAIN_S  10
#define PN_WS_STOPPING "the service is stopping" /* the reason that goes with 1001 then */

struct pn_ws_protocol {
    const char *const
        *subprotocols; /* NULL-terminated; the first that the client offers is chosen; NULL: none */
    size_t max_text;   /* bytes of a text message, which is gathered; longer ones close with 1009 */
    size_t max_binary; /* of a binary message, which is not; 0: PINNA_MAX_MESSAGE_MB */
    /* The answer to a handshake that is right but not welcome; NULL: it is. May be NULL. */
    struct pn_reply *(*check)(struct pn_request *req);
    /* `req` is the handshake's: its headers and its query, until this returns. */
    void (*opened)(struct pn_ws *ws, struct pn_request *req);
    /* A whole text message, valid UTF-8. `data` is borrowed. */
    void (*text)(struct pn_ws *ws, const char *data, size_t n);
    /* A piece of a binary message as it arrives; `end`: the last one of its message, maybe empty. */
    void (*binary)(struct pn_ws *ws, const char *data, size_t n, bool end);
    void (*tick)(struct pn_ws *ws, int64_t now_us); /* every PN_LOOP_TICK_MS or so; may be NULL */
    /* The service stops: end what runs, send its result, then pn_ws_close(ws, 1001, PN_WS_STOPPING), which
     * comes by itself after PN_WS_DRAIN_S. Messages still arrive meanwhile. NULL: closed at once. */
    void (*drain)(struct pn_ws *ws);
    void (*closed)(struct pn_ws *ws); /* nothing will follow */
};

struct pn_ws_options {
    int max_sessions;
    int idle_timeout_s;
    int stall_timeout_s;
};

PN_MUST_CHECK int pn_ws_table_new(struct pn_server *server, const struct pn_ws_options *opt,
                                  struct pn_ws_table **ret, struct pn_err *err);
struct pn_ws_table *pn_ws_table_free(struct pn_ws_table *t); /* drops all sessions; accepts NULL */
int pn_ws_table_count(const struct pn_ws_table *t);          /* open sessions, without those being refused */
bool pn_ws_table_is_empty(const struct pn_ws_table *t);      /* those are gone, too */
void pn_ws_table_tick(struct pn_ws_table *t, int64_t now_us);
void pn_ws_table_drain(struct pn_ws_table *t); /* the service stops */

/* Whether the request asks for a WebSocket. */
bool pn_ws_wanted(struct pn_request *req);
/* Answers a request whose route has a protocol: 101, or 400, or 426 for another version. */
enum MHD_Result pn_ws_upgrade(struct pn_request *req);

/* 426 with the headers that belong to it. */
struct pn_reply *pn_ws_upgrade_required(const char *why);
/* Makes the session once the library has upgraded the connection, which then is of no more use to it;
 * `extra[0..n)` came behind the handshake. */
void pn_ws_begin(struct pn_request *req, const char *extra, size_t n);

/* The protocol's own; NULL at first. */
void pn_ws_set_state(struct pn_ws *ws, void *state);
void *pn_ws_state(const struct pn_ws *ws);
struct pn_server *pn_ws_server(const struct pn_ws *ws);
/* Nothing is read from the peer, and no message told, until resumed; what was read already may still come. A
 * peer that hangs up meanwhile is noticed. Calls nest. */
void pn_ws_pause(struct pn_ws *ws);
void pn_ws_resume(struct pn_ws *ws);

/* Queues a message. -PN_EFULL: the peer reads too slowly; the caller decides what to leave out. */
PN_MUST_CHECK int pn_ws_send(struct pn_ws *ws, bool text, const char *data, size_t n);
/* Starts the closing handshake; `reason` at most 123 bytes of UTF-8. */
void pn_ws_close(struct pn_ws *ws, unsigned code, const char *reason);

#endif
