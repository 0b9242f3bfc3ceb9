/* part_file.h - PATH.part: the bytes of a download so far, their running digest, and the entity tag that says
 * of which version they are. Part of download.c. */
#ifndef PN_MODEL_PART_FILE_H
#define PN_MODEL_PART_FILE_H

#include "model/caches.h"
#include "model/download.h"

#include <openssl/evp.h>

enum { PN_ETAG_MAX = 160 };

struct pn_part {
    const char *path; /* of the finished file; borrowed */
    char part[PN_MODEL_PATH_MAX], tag[PN_MODEL_PATH_MAX];
    int fd;
    int64_t have; /* bytes written and hashed */
    EVP_MD_CTX *hash;
    const EVP_MD *kind;     /* SHA-256 or SHA-1 */
    char etag[PN_ETAG_MAX]; /* of the bytes; "" when none is known */
    bool old;               /* some bytes are of an earlier call */
};

/* Opens or creates; bytes of an earlier call are hashed and kept when `digest` will tell whether they are
 * right, or when the tag says that they are of `url`. On failure nothing is left open. */
PN_MUST_CHECK int pn_part_open(struct pn_part *p, const struct pn_download_options *opt, struct pn_err *err);
void pn_part_close(struct pn_part *p); /* keeps the files */
PN_MUST_CHECK int pn_part_append(struct pn_part *p, const void *bytes, size_t n, struct pn_err *err);
PN_MUST_CHECK int pn_part_restart(struct pn_part *p, struct pn_err *err); /* empties it */
/* Notes that what is written from now on is of this version of `url`; `etag` may be "". */
void pn_part_set_tag(struct pn_part *p, const char *url, const char *etag);
/* 0, or -PN_EFORMAT with what was expected and got. Call it once, when all bytes are there. */
PN_MUST_CHECK int pn_part_check(struct pn_part *p, const char *digest, struct pn_err *err);
/* Syncs and renames; pn_part_close() is still to be called. */
PN_MUST_CHECK int pn_part_commit(struct pn_part *p, struct pn_err *err);
void pn_part_discard(struct pn_part *p); /* deletes the files; pn_part_close() is still to be called */
/* Makes a rename or a new file in the folder of `path` last. */
PN_MUST_CHECK int pn_sync_folder_of(const char *path, struct pn_err *err);

#endif
