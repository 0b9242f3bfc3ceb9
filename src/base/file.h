/* file.h - small files read whole, unlinked spool files, whole writes. */
#ifndef PN_BASE_FILE_H
#define PN_BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"

/* Appends the file's bytes to `out`, whose `max` is the limit. -PN_ENOTFOUND when there is no such file,
 * -PN_ELIMIT when it is larger. */
PN_MUST_CHECK int pn_file_read(const char *path, struct pn_buf *out, struct pn_err *err);

/* An empty file without a name, for reading and writing: it is gone when it is closed. `dir` "": TMPDIR, else
 * /tmp. Returns the descriptor, which is the caller's, or -PN_EIO. */
PN_MUST_CHECK int pn_file_spool(const char *dir, struct pn_err *err);
/* All of it, through interruptions and short writes; -1 with errno. For blocking descriptors. */
int pn_write_all(int fd, struct pn_str bytes);

#endif
