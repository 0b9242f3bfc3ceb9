/* lock.h - one process at a time works on a file: NAME.lock beside it, held with flock(). */
#ifndef PN_MODEL_LOCK_H
#define PN_MODEL_LOCK_H

#include "model/caches.h"
#include "model/download.h"

struct pn_lock {
    int fd; /* -1: not held */
    char path[PN_MODEL_PATH_MAX];
};

/* Waits for whoever holds it (and says so once), until watch->progress says stop: -PN_ECANCELLED. -PN_EIO. A
 * holder that dies gives it back. */
PN_MUST_CHECK int pn_lock_take(struct pn_lock *l, const char *path, const struct pn_watch *watch,
                               struct pn_err *err);
void pn_lock_drop(struct pn_lock *l); /* deletes the lock file; fine when it is not held */

#endif
