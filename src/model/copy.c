/* copy.c - see copy.h. */
#include "model/copy.h"

#include "base/file.h"
#include "model/hubs.h"
#include "model/part_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 20 };

int pn_make_dirs(const char *path, struct pn_err *err)
{
    char part[PN_MODEL_PATH_MAX];
    for (const char *p = path; *p; p++) {
        bool end = p[1] == '\0' || (p[1] == '/' && *p != '/');
        if (!end)
            continue;
        if (!pn_path_printf(part, "%.*s", (int)(p + 1 - path), path))
            return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", path);
        if (mkdir(part, 0755) < 0 && errno != EEXIST && errno != EISDIR)
            return pn_fail_errno(err, "cannot create %.150s", part);
    }
    return 0;
}

void pn_remove_folder(const char *folder)
{
    char path[PN_MODEL_PATH_MAX];
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            pn_path_printf(path, "%s/%s", folder, e->d_name))
            unlink(path);
    if (d)
        closedir(d);
    rmdir(folder);
}

static int copy_bytes(int in, int out, const char *to, int (*go_on)(void *ctx), void *ctx, struct pn_err *err)
{
    char *piece = malloc(PIECE);
    ssize_t n = 0;
    int r = piece ? 0 : pn_fail(err, PN_ENOMEM, "no memory to copy a model");
    while (r == 0 && (n = read(in, piece, PIECE)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 || pn_write_all(out, (struct pn_str){ piece, (size_t)n }) < 0)
            r = pn_fail_errno(err, "cannot copy to %.150s", to);
        else if (go_on && go_on(ctx) != 0)
            r = pn_fail(err, PN_ECANCELLED, "interrupted");
    }
    free(piece);
    return r;
}

static int fill(int in, int out, const char *to, int (*go_on)(void *ctx), void *ctx, struct pn_err *err)
{
    int r = ioctl(out, FICLONE, in) == 0 ? 0 : copy_bytes(in, out, to, go_on, ctx, err);
    if (r == 0 && fsync(out) < 0)
        r = pn_fail_errno(err, "cannot sync %.150s", to);
    return r;
}

int pn_copy_file(const char *from, const char *to, int (*go_on)(void *ctx), void *ctx, struct pn_err *err)
{
    char temp[PN_MODEL_PATH_MAX];
    if (!pn_path_printf(temp, "%s.%ld.part", to, (long)getpid()))
        return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", to);
    int in = open(from, O_RDONLY | O_CLOEXEC); /* checksrc: a checkpoint to import */
    if (in < 0)
        return pn_fail_errno(err, "cannot open %.150s", from);
    int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW;
    int out = open(temp, flags, 0644); /* checksrc: its copy */
    int r = out < 0 ? pn_fail_errno(err, "cannot create %.150s", temp) : fill(in, out, to, go_on, ctx, err);
    if (r == 0 && rename(temp, to) < 0)
        r = pn_fail_errno(err, "cannot rename to %.150s", to);
    if (r < 0 && out >= 0)
        unlink(temp);
    if (out >= 0)
        close(out);
    close(in);
    return r == 0 ? pn_sync_folder_of(to, err) : r;
}
