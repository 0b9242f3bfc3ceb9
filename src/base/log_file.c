/* log_file.c - see log_file.h. Run by the log's writer thread.
 *
 * Invariant: a line never stands in two files. A rotation that fails costs nothing but size: writing goes on
 * in the file that is open. */
#include "base/log_file.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every folder of `path`, the file itself excepted. Errors show when the file is opened. */
static void make_folders(const char *path)
{
    char part[PATH_MAX];
    for (const char *p = strchr(path + 1, '/'); p; p = strchr(p + 1, '/'))
        if (pn_str_copy(part, sizeof(part), (struct pn_str){ path, (size_t)(p - path) }) == 0)
            (void)mkdir(part, 0755);
}

static int open_append(const struct pn_log_file *f, size_t *ret_size, struct pn_err *err)
{
    make_folders(f->path);
    int fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (fd < 0)
        return pn_fail_errno(err, "cannot open the log file %s", f->path);
    struct stat st;
    *ret_size = fstat(fd, &st) == 0 ? (size_t)st.st_size : 0;
    return fd;
}

int pn_log_file_open(struct pn_log_file *f, struct pn_err *err)
{
    int fd = open_append(f, &f->size, err);
    if (fd >= 0)
        f->fd = fd;
    return PN_MIN(fd, 0);
}

void pn_log_file_close(struct pn_log_file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    f->fd = -1;
}

int pn_log_file_reopen(struct pn_log_file *f, struct pn_err *err)
{
    size_t size;
    int fd = open_append(f, &size, err);
    if (fd < 0)
        return fd;
    pn_log_file_close(f);
    f->fd = fd;
    f->size = size;
    return 0;
}

/* Another process, or logrotate, may have moved the file away already. */
static bool still_ours(const struct pn_log_file *f)
{
    struct stat mine, there;
    return fstat(f->fd, &mine) == 0 && stat(f->path, &there) == 0 && mine.st_dev == there.st_dev &&
           mine.st_ino == there.st_ino;
}

static void numbered(char out[PATH_MAX], const char *path, int n)
{
    if (n == 0)
        snprintf(out, PATH_MAX, "%s", path);
    else
        snprintf(out, PATH_MAX, "%s.%d", path, n);
}

/* file.4 -> file.5 (which is lost), ..., file -> file.1. */
static void shift_files(const struct pn_log_file *f)
{
    char from[PATH_MAX], to[PATH_MAX];
    for (int n = f->rotate_keep; n > 0; n--) {
        numbered(from, f->path, n - 1);
        numbered(to, f->path, n);
        (void)rename(from, to); /* a gap in the row is no error */
    }
}

static int rotate(struct pn_log_file *f, struct pn_err *err)
{
    if (still_ours(f))
        shift_files(f);
    int r = pn_log_file_reopen(f, err);
    f->size = 0; /* even if nothing could be moved: the next try comes after another rotate_bytes */
    return r;
}

/* The leading whole lines that fit in `room`; one line at least. */
static size_t lines_that_fit(struct pn_str lines, size_t room)
{
    if (lines.len <= room)
        return lines.len;
    const char *end = room > 0 ? memrchr(lines.ptr, '\n', room) : NULL;
    if (!end)
        end = memchr(lines.ptr, '\n', lines.len);
    return end ? (size_t)(end - lines.ptr) + 1 : lines.len;
}

int pn_log_file_write(struct pn_log_file *f, struct pn_str lines, struct pn_err *err)
{
    int rotated = 0;
    while (lines.len > 0) {
        size_t room = f->rotate_bytes - PN_MIN(f->size, f->rotate_bytes);
        size_t n = lines_that_fit(lines, room);
        if (n > room && f->size > 0) {
            int r = rotate(f, err);
            rotated = r < 0 ? r : rotated;
            continue;
        }
        if (pn_write_all(f->fd, (struct pn_str){ lines.ptr, n }) < 0)
            return pn_fail_errno(err, "cannot write to the log file %s", f->path);
        f->size += n;
        lines = (struct pn_str){ lines.ptr + n, lines.len - n };
    }
    return rotated;
}
