/* reply.h - answers: status, headers, body. Any thread may build one; the loop thread sends it. */
#ifndef PN_SERVER_REPLY_H
#define PN_SERVER_REPLY_H

#include "base/attr.h"
#include "base/buf.h"

#include <stdint.h>

#define PN_REPLY_HEADERS 4

struct pn_reply_field {
    const char *name, *value;
};

struct pn_reply {
    int status;
    const char *content_type; /* static */
    char *body;               /* owned, malloc'd; may be NULL when len is 0 */
    size_t len;
    struct {
        const char *name; /* static */
        char value[128];
    } headers[PN_REPLY_HEADERS];
    int n_headers;
    const struct pn_reply_field *fields; /* more headers: static, up to one without a name; may be NULL */
};

/* Never NULL: without memory it is a static 503 that pn_reply_free() leaves alone. `body` is emptied. */
struct pn_reply *pn_reply_new(int status, const char *content_type, struct pn_buf *body);
/* {"error":{"message","type","param","code"}} with the type that belongs to the status; param and code may be
 * NULL. */
struct pn_reply *pn_reply_error(int status, const char *param, const char *code, const char *fmt, ...)
    PN_PRINTF(4, 5);
void pn_reply_header(struct pn_reply *r, const char *name, const char *fmt, ...) PN_PRINTF(3, 4);
void pn_reply_fields(struct pn_reply *r, const struct pn_reply_field *fields);
struct pn_reply *pn_reply_free(struct pn_reply *r);

/* A whole HTTP/1.1 answer with an error body and `Connection: close`, for sockets the library cannot answer
 * on. Returns its length. */
size_t pn_reply_raw(int status, const char *why, char *out, size_t cap);

/* A fresh request id: "req_" and 24 hexadecimal digits. */
#define PN_REQUEST_ID_SIZE 32
void pn_request_id(char out[PN_REQUEST_ID_SIZE]);

#endif
