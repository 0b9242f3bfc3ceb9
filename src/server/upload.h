/* upload.h - a form with a file, taken as it arrives: the file goes to an unlinked spool file and is hashed
 * on the way, small fields are kept. Never more than a piece of it is in memory. Loop thread only. */
#ifndef PN_SERVER_UPLOAD_H
#define PN_SERVER_UPLOAD_H

#include "base/error.h"
#include "base/str.h"

struct pn_upload;

struct pn_upload_options {
    const char *spool_dir; /* "": TMPDIR, else /tmp */
    int64_t max_bytes;     /* of the file */
};

/* -PN_EUNSUPPORTED: not multipart/form-data; -PN_EFORMAT: no boundary; -PN_EIO: no spool file. */
PN_MUST_CHECK int pn_upload_new(struct pn_str content_type, const struct pn_upload_options *opt,
                                struct pn_upload **ret, struct pn_err *err);
struct pn_upload *pn_upload_free(struct pn_upload *u); /* accepts NULL */
/* -PN_EFORMAT (malformed, a second file), -PN_ELIMIT (file, field), -PN_EIO (the disk is full). Do not feed
 * again after that. */
PN_MUST_CHECK int pn_upload_feed(struct pn_upload *u, const char *data, size_t n, struct pn_err *err);
/* The body is complete. -PN_EFORMAT: it was cut off. */
PN_MUST_CHECK int pn_upload_end(struct pn_upload *u, struct pn_err *err);

/* After the end. The value of a text field, trimmed; empty if absent. Borrowed. */
struct pn_str pn_upload_field(const struct pn_upload *u, const char *name);
bool pn_upload_has_file(const struct pn_upload *u);
int64_t pn_upload_size(const struct pn_upload *u);
const char *pn_upload_filename(const struct pn_upload *u); /* a hint, for the log */
bool pn_upload_is_pcm(const struct pn_upload *u);          /* the part said audio/pcm or audio/raw */
const char *pn_upload_sha256(const struct pn_upload *u);   /* 64 hexadecimal digits of the file's bytes */
int pn_upload_take_fd(struct pn_upload *u); /* the spool file becomes the caller's; -1 when there is none */

#endif
