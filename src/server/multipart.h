/* multipart.h - multipart/form-data (RFC 7578), parsed as it arrives, in pieces of any size. Pure: no files,
 * no library.
 *
 * libmicrohttpd's own parser takes everything behind `boundary=` as the boundary, also `; charset=utf-8`,
 * which widespread Java clients send; it also cannot be driven without a connection, hence not be tested
 * alone. */
#ifndef PN_SERVER_MULTIPART_H
#define PN_SERVER_MULTIPART_H

#include "base/error.h"
#include "base/str.h"

#define PN_BOUNDARY_MAX    70 /* RFC 2046 5.1.1 */
#define PN_PART_NAME_MAX   128
#define PN_PART_LINE_MAX   4096 /* one header line of a part */
#define PN_PART_HEADERS    16
#define PN_MULTIPART_PARTS 256

/* 0 and the boundary; -PN_EUNSUPPORTED: another content type; -PN_EFORMAT: no or an impossible boundary. */
PN_MUST_CHECK int pn_multipart_boundary(struct pn_str content_type, char ret[PN_BOUNDARY_MAX + 1]);

struct pn_part {
    char name[PN_PART_NAME_MAX];         /* "" if it had none */
    char filename[PN_PART_NAME_MAX];     /* cut to fit; only ever a hint */
    char content_type[PN_PART_NAME_MAX]; /* lower case, without parameters */
    bool has_filename;
};

/* A negative return stops the parse and becomes the result of feed. Data belongs to the part announced last.
 */
struct pn_multipart_handler {
    int (*part)(void *ctx, const struct pn_part *part, struct pn_err *err);
    int (*data)(void *ctx, const char *p, size_t n, struct pn_err *err);
    void *ctx;
};

struct pn_multipart {
    struct pn_multipart_handler handler;
    enum { PN_MP_PREAMBLE, PN_MP_TAIL, PN_MP_HEADERS, PN_MP_BODY, PN_MP_DONE } state;
    char delimiter[PN_BOUNDARY_MAX + 5]; /* CR LF - - boundary */
    size_t delimiter_len;
    char hold[PN_PART_LINE_MAX]; /* bytes that make sense only together with the next ones */
    size_t held;
    struct pn_part part;
    int n_headers, n_parts;
};

void pn_multipart_init(struct pn_multipart *m, const char *boundary,
                       const struct pn_multipart_handler *handler);
/* -PN_EFORMAT, -PN_ELIMIT, or what a handler returned; do not feed again after that. */
PN_MUST_CHECK int pn_multipart_feed(struct pn_multipart *m, const char *p, size_t n, struct pn_err *err);
/* -PN_EFORMAT unless the closing boundary was seen. */
PN_MUST_CHECK int pn_multipart_end(const struct pn_multipart *m, struct pn_err *err);

#endif
