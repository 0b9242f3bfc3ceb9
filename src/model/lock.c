/* lock.c - see lock.h. The file is deleted while it is held, so whoever waited checks that what it locked is
 * still the file of that name. */
#include "model/lock.h"

#include "model/hubs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { POLL_MS = 100 };

static int wait_for(int fd, const char *path, const struct pn_watch *watch, bool *said, struct pn_err *err)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            return pn_fail_errno(err, "cannot lock %.150s", path);
        if (!*said && watch->note)
            watch->note(watch->ctx, "another process is getting this model; waiting for it");
        *said = true;
        if (watch->progress && watch->progress(watch->ctx, 0, -1) != 0)
            return pn_fail(err, PN_ECANCELLED, "interrupted");
        usleep(POLL_MS * 1000);
    }
    return 0;
}

static bool is_still(int fd, const char *path)
{
    struct stat mine, now;
    return fstat(fd, &mine) == 0 && stat(path, &now) == 0 && mine.st_ino == now.st_ino &&
           mine.st_dev == now.st_dev;
}

int pn_lock_take(struct pn_lock *l, const char *path, const struct pn_watch *watch, struct pn_err *err)
{
    bool said = false;
    l->fd = -1;
    if (!pn_path_printf(l->path, "%s.lock", path))
        return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", path);
    for (;;) {
        int fd = open(l->path, /* checksrc: the lock */ O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
            return pn_fail_errno(err, "cannot create %.150s", l->path);
        int r = wait_for(fd, l->path, watch, &said, err);
        if (r == 0 && is_still(fd, l->path)) {
            l->fd = fd;
            return 0;
        }
        close(fd);
        if (r < 0)
            return r;
    }
}

void pn_lock_drop(struct pn_lock *l)
{
    if (l->fd < 0)
        return;
    unlink(l->path);
    close(l->fd);
    l->fd = -1;
}
