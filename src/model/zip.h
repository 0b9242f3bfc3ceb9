/* zip.h - the directory of a ZIP archive in memory, for members that lie in it uncompressed.
 *
 * Sizes and offsets come from the central directory (with its ZIP64 records): local headers of streamed
 * archives carry none. Nothing is unpacked; a compressed or encrypted member is refused when it is asked for.
 */
#ifndef PN_MODEL_ZIP_H
#define PN_MODEL_ZIP_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct pn_zip;

/* Where a member's bytes lie in the archive. */
struct pn_zip_span {
    size_t offset, size;
};

/* Borrows `archive`, which must outlive it. -PN_EFORMAT, -PN_ELIMIT (too many members), -PN_ENOMEM. */
PN_MUST_CHECK int pn_zip_open(struct pn_str archive, struct pn_zip **ret, struct pn_err *err);
struct pn_zip *pn_zip_close(struct pn_zip *z); /* accepts NULL, returns NULL */
size_t pn_zip_count(const struct pn_zip *z);
struct pn_str pn_zip_name(const struct pn_zip *z, size_t i); /* in the order of the names */
/* -PN_ENOTFOUND (err is not filled) or -PN_EFORMAT, -PN_EUNSUPPORTED. */
PN_MUST_CHECK int pn_zip_find(const struct pn_zip *z, struct pn_str name, struct pn_zip_span *ret,
                              struct pn_err *err);

#endif
