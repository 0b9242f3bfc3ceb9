/* packed.h - the packed file: what a model looks like once it has been loaded, mapped read-only at every
 * later start and shared by all processes of the host.
 *
 * Named sections of bytes, each 64-byte aligned, after a header with magic, format version, the kernels'
 * layout version, precision, the source's id and a table of sections, everything bounds-checked at open and
 * the header covered by a checksum. The name beside the source is `<source>.<precision>.pnk`. What the
 * sections hold is their writer's business. Written to a temporary file, synced and renamed, so that a reader
 * sees a whole file or none; two processes may write at once. */
#ifndef PN_MODEL_PACKED_H
#define PN_MODEL_PACKED_H

#include "model/checkpoint.h"

enum { PN_PACKED_VERSION = 1, PN_PACKED_NAME_MAX = 63 };

struct pn_packed;        /* open for reading */
struct pn_packed_writer; /* being written, to a file or to memory */

struct pn_packed_key {
    const char *kind;      /* "whisper" */
    const char *precision; /* "int8" */
    uint32_t layout;       /* version of what the sections hold; raise it when packing changes */
    struct pn_source_id source;
};

/* Maps `path` if it is a packed file made for `key`. -PN_ENOTFOUND: none, or for another key (stale);
 * -PN_EFORMAT: damaged. Asks for huge pages and read-ahead. */
PN_MUST_CHECK int pn_packed_open(const char *path, const struct pn_packed_key *key, struct pn_packed **ret,
                                 struct pn_err *err);
struct pn_packed *pn_packed_close(struct pn_packed *p); /* accepts NULL, returns NULL */
/* A section, 64-byte aligned; *ret_size gets its size. NULL: no such section. */
const void *pn_packed_find(const struct pn_packed *p, const char *name, size_t *ret_size);
size_t pn_packed_size(const struct pn_packed *p); /* bytes mapped */

/* `path` NULL: in (anonymous) memory. The file appears at `path` at commit only. */
PN_MUST_CHECK int pn_packed_writer_new(const char *path, const struct pn_packed_key *key,
                                       struct pn_packed_writer **ret, struct pn_err *err);
/* A zeroed section to fill in, valid until commit; NULL and *err when space or memory is out. */
void *pn_packed_add(struct pn_packed_writer *w, const char *name, size_t size, struct pn_err *err);
/* Finishes the file (or the memory image) and opens it for reading; the writer is gone in any case. */
PN_MUST_CHECK int pn_packed_commit(struct pn_packed_writer *w, struct pn_packed **ret, struct pn_err *err);
void pn_packed_writer_free(struct pn_packed_writer *w); /* gives up; accepts NULL */

/* Where the packed file of `source` belongs: beside it if that folder can be written, else under `cache_dir`
 * ("" = none; the name then carries a hash of the source's path), else -PN_ENOTFOUND: keep it in memory. */
PN_MUST_CHECK int pn_packed_path(const char *source, const char *cache_dir, const char *precision, char *path,
                                 size_t cap);

#endif
