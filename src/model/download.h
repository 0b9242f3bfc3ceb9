/* download.h - one file from a web server: resumed, bounded, and checked before it gets its name.
 *
 * Bytes go to PATH.part, beside which PATH.part.tag keeps what identifies the server's version; both survive
 * an interruption, and the next call goes on where it ended. The file appears at PATH only when it is whole,
 * has the wanted size and digest, and is on the disk. Proxies are those of the environment (http_proxy, ...).
 * Callers see to it that no two calls work on one path at once (lock.h). Any thread. */
#ifndef PN_MODEL_DOWNLOAD_H
#define PN_MODEL_DOWNLOAD_H

#include "base/buf.h"
#include "base/error.h"

enum { PN_CONNECT_TIMEOUT_S = 5 };

/* How a caller watches. Both may be NULL. */
struct pn_watch {
    void *ctx;
    /* Now and then, also while nothing comes. `total` is -1 while it is not known. Not 0: stop. */
    int (*progress)(void *ctx, int64_t done, int64_t total);
    void (*note)(void *ctx, const char *line); /* one line for people: waiting, trying again */
};

struct pn_download_options {
    const char *url;
    const char *path;
    const char *digest; /* lower-case hex, 64 digits (SHA-256) or 40 (SHA-1). NULL: the SHA-256 that the hub
                           itself names in X-Linked-Etag, if it does */
    int64_t size;       /* exactly; -1: not known */
    int64_t max_bytes;
    int stall_s; /* a server that is silent for so long has broken off */
    struct pn_watch watch;
};

/* A server that breaks off is asked again, with growing pauses, until four attempts in a row bring nothing.
 * -PN_ENOTFOUND: the server says that there is no such file; -PN_ETIMEOUT: it cannot be reached, or it was
 * given up; -PN_EFORMAT: wrong bytes (they are deleted) or an answer that makes no sense; -PN_ELIMIT: more
 * than max_bytes; -PN_ECANCELLED; -PN_EIO: the disk. */
PN_MUST_CHECK int pn_download(const struct pn_download_options *opt, struct pn_err *err);
/* Appends a small document to `out`, whose `max` bounds it. Tried once. */
PN_MUST_CHECK int pn_download_text(const char *url, int stall_s, const struct pn_watch *watch,
                                   struct pn_buf *out, struct pn_err *err);

#endif
