/* pages.c - see pages.h.
 *
 * A page may load what is beside it and talk to this server, nothing else: no other host, no inline script,
 * no frame around it. Browsers keep a copy but ask each time whether it still holds. */
#include "server/pages.h"

#include "server/request.h"

#include <string.h>

#define MAX_PAGE (4u << 20)

static const struct pn_reply_field PAGE_HEADERS[] = {
    { "Content-Security-Policy",
      "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
      "media-src 'self' blob:; worker-src 'self'; base-uri 'none'; form-action 'none'; "
      "frame-ancestors 'none'" },
    { "X-Content-Type-Options", "nosniff" },
    { "Referrer-Policy", "no-referrer" },
    { "Permissions-Policy", "microphone=(self), camera=(), geolocation=()" },
    { "Cache-Control", "no-cache" },
    { NULL, NULL },
};

static const struct pn_page *find(const char *path)
{
    for (size_t i = 0; i < pn_n_pages; i++) {
        if (strcmp(pn_pages[i].path, path) == 0)
            return &pn_pages[i];
    }
    return NULL;
}

/* If-None-Match is "*" or a list of tags, with W/ before them or not. A tag is long enough not to be part of
 * another one. */
static bool client_has(struct pn_request *req, const struct pn_page *page)
{
    struct pn_str tags = pn_request_header(req, "If-None-Match");
    return pn_str_is(tags, "*") || (tags.len && memmem(tags.ptr, tags.len, page->etag, strlen(page->etag)));
}

/* "/test/" to "/test": names in a page are relative to it. So is this one, for proxies that serve us under
 * another path. */
static struct pn_reply *away_from_slash(const struct pn_route *route)
{
    struct pn_buf empty;
    pn_buf_init(&empty, 1);
    struct pn_reply *r = pn_reply_new(308, NULL, &empty);
    pn_reply_header(r, "Location", "..%s", strrchr(route->path, '/'));
    return r;
}

static struct pn_reply *send_page(struct pn_request *req, const struct pn_page *page)
{
    struct pn_buf b;
    pn_buf_init(&b, MAX_PAGE);
    pn_buf_append(&b, page->bytes, page->len); /* of a 304 the library sends the length alone */
    struct pn_reply *r = pn_reply_new(client_has(req, page) ? 304 : 200, page->content_type, &b);
    pn_reply_header(r, "ETag", "%s", page->etag);
    pn_reply_fields(r, PAGE_HEADERS);
    return r;
}

void pn_handle_page(struct pn_request *req)
{
    const struct pn_page *page = find(req->path);
    if (page)
        req->reply = send_page(req, page);
    else if (find(req->route->path))
        req->reply = away_from_slash(req->route);
    else
        req->reply = pn_reply_error(404, NULL, "unknown_url", "there is nothing at %.200s", req->path);
}
