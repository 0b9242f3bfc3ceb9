/* http_head.h - the guard: what a request's head must look like before libmicrohttpd is allowed to see it.
 *
 * libmicrohttpd 0.9.75 takes two Content-Lengths, a length beside `chunked`, blanks before a colon, and loses
 * a header whose line is folded; each is a way to smuggle a request past a proxy. So the raw bytes of every
 * head are checked first (conn.c), and what is refused gets our error body. Pure. RFC 9112 sections 2.2,
 * 3, 5.1, 5.2, 6.1, 6.3. */
#ifndef PN_SERVER_HTTP_HEAD_H
#define PN_SERVER_HTTP_HEAD_H

#include "base/str.h"

#define PN_HEAD_MAX_BYTES   16384
#define PN_HEAD_MAX_HEADERS 100

struct pn_head {
    int status;      /* 0: more bytes are needed; 200: let it pass; else the HTTP status to refuse with */
    const char *why; /* static, for a refusal */
    size_t len;      /* of a head that may pass, with the empty line */
    int64_t content_length; /* -1: none */
    bool chunked;
};

/* `p[0..n)`: everything the peer has sent so far. */
struct pn_head pn_http_head_check(const char *p, size_t n);

#endif
