/* file.h - a whole small file in memory. */
#ifndef PN_BASE_FILE_H
#define PN_BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the file's bytes to `out`, whose `max` is the limit. -PN_ENOTFOUND when there is no such file,
 * -PN_ELIMIT when it is larger. */
PN_MUST_CHECK int pn_file_read(const char *path, struct pn_buf *out, struct pn_err *err);

#endif
