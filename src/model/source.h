/* source.h - the places that one model can be had from, as lists of files with addresses. Part of pull.c. */
#ifndef PN_MODEL_SOURCE_H
#define PN_MODEL_SOURCE_H

#include "base/arena.h"
#include "model/pull.h"

enum { PN_SOURCES_MAX = 3, PN_SOURCE_FILES_MAX = 64 };

struct pn_source_file {
    const char *path; /* below the source's folder */
    const char *url;
    const char *digest; /* NULL: none is known */
    int64_t size;       /* -1: not known */
    bool optional;      /* a server that has none is fine */
};

struct pn_source {
    const char *label;    /* "OpenAI" */
    bool needs_ranks;     /* the entry's rank file, too */
    bool same_server;     /* as the source before */
    bool is_folder;       /* the files make up MODEL_DIR/NAME; else the last one is MODEL_DIR/FILE */
    const char *list_url; /* ModelScope's listing, which tells sizes and digests; or NULL */
    struct pn_source_file files[PN_SOURCE_FILES_MAX];
    size_t n;
};

/* The sources of `e` in the order of preference; all memory is the arena's. With a `revision` ("": the
 * newest) only those that have revisions. Returns how many, or -PN_ENOMEM. */
PN_MUST_CHECK int pn_sources(const struct pn_catalogue_entry *e, const char *revision,
                             const struct pn_pull_options *opt, struct pn_arena *arena,
                             struct pn_source sources[PN_SOURCES_MAX]);
/* Takes sizes and digests of the files from ModelScope's listing; files that are optional and not in it are
 * dropped. -PN_EFORMAT, -PN_ENOTFOUND (a needed file is missing), -PN_EUNSUPPORTED (a FunASR model from
 * before v2.0), -PN_ENOMEM. */
PN_MUST_CHECK int pn_source_read_listing(struct pn_source *s, struct pn_str json, struct pn_arena *arena,
                                         struct pn_err *err);

#endif
