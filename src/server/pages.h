/* pages.h - the files of web/, compiled into the program (scripts/embed_web.py). Loop thread only. */
#ifndef PN_SERVER_PAGES_H
#define PN_SERVER_PAGES_H

#include <stddef.h>

struct pn_request;

struct pn_page {
    const char *path; /* "/test", "/web/test.css" */
    const char *content_type;
    const char *etag; /* with its quotes; another content has another one */
    const unsigned char *bytes;
    size_t len;
};

extern const struct pn_page pn_pages[];
extern const size_t pn_n_pages;

/* Answers with the page at req->path: 200, 304 if the client has it, 308 to the page without a slash behind
 * it, or 404. */
void pn_handle_page(struct pn_request *req);

#endif
