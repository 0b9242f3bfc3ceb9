/* copy.h - files copied whole: into a temporary file, synced, renamed. Part of import.c. */
#ifndef PN_MODEL_COPY_H
#define PN_MODEL_COPY_H

#include "base/error.h"

/* The copy shares the source's disk blocks where the file system can. Links are followed. `go_on` (may be
 * NULL) is asked now and then; not 0: -PN_ECANCELLED. */
PN_MUST_CHECK int pn_copy_file(const char *from, const char *to, int (*go_on)(void *ctx), void *ctx,
                               struct pn_err *err);
/* Makes `path` and the folders above it. */
PN_MUST_CHECK int pn_make_dirs(const char *path, struct pn_err *err);
/* Removes a folder of plain files; whatever else is in it stays. */
void pn_remove_folder(const char *folder);

#endif
