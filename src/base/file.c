/* file.c - see file.h. Pipes are read as well, so `--config <(...)` works. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int read_all(int fd, const char *path, struct pn_buf *out, struct pn_err *err)
{
    char piece[8192];
    for (;;) {
        ssize_t n = read(fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pn_fail_errno(err, "cannot read %s", path);
        if (n == 0)
            return 0;
        pn_buf_append(out, piece, (size_t)n);
        if (out->failed == -PN_ELIMIT)
            return pn_fail(err, PN_ELIMIT, "%s is larger than %zu KB", path, out->max >> 10);
        if (out->failed)
            return pn_fail(err, PN_ENOMEM, "no memory to read %s", path);
    }
}

int pn_file_read(const char *path, struct pn_buf *out, struct pn_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 && errno == ENOENT)
        return pn_fail(err, PN_ENOTFOUND, "there is no file %s", path);
    if (fd < 0)
        return pn_fail_errno(err, "cannot open %s", path);
    int r = read_all(fd, path, out, err);
    close(fd);
    return r;
}

int pn_file_spool(const char *dir, struct pn_err *err)
{
    const char *tmp = getenv("TMPDIR");
    if (!*dir)
        dir = tmp && *tmp ? tmp : "/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char path[4096]; /* file systems without O_TMPFILE */
    snprintf(path, sizeof(path), "%s/pinna-XXXXXX", dir);
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return pn_fail_errno(err, "cannot make a spool file in %.100s", dir);
    unlink(path);
    return fd;
}

int pn_write_all(int fd, struct pn_str bytes)
{
    while (bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes = (struct pn_str){ bytes.ptr + n, bytes.len - (size_t)n };
    }
    return 0;
}
