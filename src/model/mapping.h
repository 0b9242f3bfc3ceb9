/* mapping.h - a file mapped read-only.
 *
 * A file that another program cuts short while it is mapped ends this process with SIGBUS when the missing
 * part is read; only a copy could prevent that. Whatever Pinna itself puts in place (downloads, packed files)
 * is a new file renamed over the old one, so the old one stays whole for those who have mapped it. */
#ifndef PN_MODEL_MAPPING_H
#define PN_MODEL_MAPPING_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

struct pn_mapping {
    const uint8_t *ptr; /* NULL when size is 0 */
    size_t size;
    int64_t mtime_ns;
};

/* A regular file. -PN_ENOTFOUND, -PN_EIO; -PN_EINVAL for folders, devices and pipes. */
PN_MUST_CHECK int pn_mapping_open(const char *path, struct pn_mapping *ret, struct pn_err *err);
/* The file that is open as `fd`, which stays the caller's; `path` is for messages. */
PN_MUST_CHECK int pn_mapping_of(int fd, const char *path, struct pn_mapping *ret, struct pn_err *err);
void pn_mapping_close(struct pn_mapping *m); /* accepts one that is all zero */

#endif
