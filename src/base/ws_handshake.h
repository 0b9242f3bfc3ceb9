/* ws_handshake.h - the client's half of a WebSocket handshake (RFC 6455 4.1) as text: the URL, the request,
 * what the server may answer. Pure. */
#ifndef PN_BASE_WS_HANDSHAKE_H
#define PN_BASE_WS_HANDSHAKE_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

enum { PN_WS_URL_MAX = 2048, PN_WS_HEAD_MAX = 16384, PN_WS_KEY_LEN = 24, PN_WS_ACCEPT_LEN = 28 };

/* Slices of the URL that was parsed. */
struct pn_ws_url {
    bool tls;           /* wss */
    struct pn_str host; /* as written; an IPv6 address in its brackets */
    int port;           /* 80 or 443 if none is written */
    struct pn_str path; /* with the query; may be empty: then "/" is asked for */
};

/* "ws://HOST[:PORT][/PATH][?QUERY]", or wss://; at most PN_WS_URL_MAX printable ASCII bytes, no user, no
 * fragment. -PN_EINVAL. */
PN_MUST_CHECK int pn_ws_url_parse(struct pn_str url, struct pn_ws_url *ret, struct pn_err *err);

/* Sec-WebSocket-Accept for a Sec-WebSocket-Key of PN_WS_KEY_LEN characters. False: no memory. */
PN_MUST_CHECK bool pn_ws_accept_of(struct pn_str key, char accept[PN_WS_ACCEPT_LEN + 1]);

/* Appends the request. `protocol` "": none is offered. */
void pn_ws_request_write(const struct pn_ws_url *url, const char *key, const char *protocol,
                         struct pn_buf *out);

/* Looks at what has come of the answer. Returns the length of its head with the empty line, or 0: there must
 * be more. -PN_EFORMAT: this is no answer of a WebSocket server that was asked so (`accept`, `protocol`);
 * -PN_EUNSUPPORTED: it is HTTP, but another status than 101, which *ret_status tells; -PN_ELIMIT: longer than
 * PN_WS_HEAD_MAX. The text says what is wrong. */
PN_MUST_CHECK int pn_ws_answer_check(struct pn_str bytes, const char *accept, const char *protocol,
                                     int *ret_status, struct pn_err *err);

#endif
