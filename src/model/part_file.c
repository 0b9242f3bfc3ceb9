/* part_file.c - see part_file.h. */
#include "model/part_file.h"

#include "base/file.h"
#include "model/hubs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 1 << 16 };

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int disk_failure(const struct pn_part *p, const char *what, struct pn_err *err)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return pn_fail(err, PN_EIO, "the disk is full: no room for more of %.120s (%lld MB are there)",
                       p->part, (long long)(p->have / 1000000));
    return pn_fail_errno(err, "cannot %s %.120s", what, p->part);
}

/* ---- the tag: "ETAG\nURL\n" ---- */

/* Reads the tag into p->etag when it is of `url`; else false. */
static bool read_tag(struct pn_part *p, const char *url)
{
    struct pn_buf text;
    pn_buf_init(&text, 4096);
    bool ok = pn_file_read(p->tag, &text, NULL) == 0 && text.len > 0;
    const char *end = ok ? memchr(text.ptr, '\n', text.len) : NULL;
    if (end) {
        struct pn_str etag = { text.ptr, (size_t)(end - text.ptr) };
        struct pn_str rest = pn_str_trim((struct pn_str){ end + 1, text.len - etag.len - 1 });
        ok = pn_str_is(rest, url) && pn_str_copy(p->etag, sizeof(p->etag), etag) == 0;
    }
    pn_buf_done(&text);
    return ok && end;
}

/* A download that cannot be resumed is still a download, so failures do not matter here. */
void pn_part_set_tag(struct pn_part *p, const char *url, const char *etag)
{
    bool strong = etag[0] == '"';
    snprintf(p->etag, sizeof(p->etag), "%s", strong ? etag : "");
    FILE *f = strong ? fopen(p->tag, "we") : NULL; /* checksrc: a few bytes beside the download */
    if (!f) {
        unlink(p->tag);
        return;
    }
    fprintf(f, "%s\n%s\n", etag, url);
    fclose(f);
}

/* ---- bytes ---- */

static int hash_start(struct pn_part *p, struct pn_err *err)
{
    if (EVP_DigestInit_ex(p->hash, p->kind, NULL) != 1)
        return pn_fail(err, PN_ENOMEM, "no memory to check a download");
    return 0;
}

int pn_part_restart(struct pn_part *p, struct pn_err *err)
{
    p->have = 0;
    p->old = false;
    p->etag[0] = '\0';
    if (ftruncate(p->fd, 0) < 0 || lseek(p->fd, 0, SEEK_SET) < 0)
        return disk_failure(p, "empty", err);
    return hash_start(p, err);
}

int pn_part_append(struct pn_part *p, const void *bytes, size_t n, struct pn_err *err)
{
    if (pn_write_all(p->fd, (struct pn_str){ bytes, n }) < 0)
        return disk_failure(p, "write", err);
    EVP_DigestUpdate(p->hash, bytes, n);
    p->have += (int64_t)n;
    return 0;
}

/* Hashes what an earlier call left; the file position is then its end. */
static int hash_old(struct pn_part *p, const struct pn_watch *watch, struct pn_err *err)
{
    char piece[PIECE];
    ssize_t n;
    while ((n = read(p->fd, piece, sizeof(piece))) > 0 || (n < 0 && errno == EINTR)) {
        if (n < 0)
            continue;
        EVP_DigestUpdate(p->hash, piece, (size_t)n);
        p->have += n;
        if (watch->progress && watch->progress(watch->ctx, p->have, -1) != 0)
            return pn_fail(err, PN_ECANCELLED, "interrupted");
    }
    return n < 0 ? disk_failure(p, "read", err) : 0;
}

static int resume(struct pn_part *p, const struct pn_download_options *opt, struct pn_err *err)
{
    struct stat st;
    if (fstat(p->fd, &st) < 0)
        return disk_failure(p, "read", err);
    bool tagged = read_tag(p, opt->url);
    if (!tagged)
        p->etag[0] = '\0';
    if (!S_ISREG(st.st_mode))
        return pn_fail(err, PN_EIO, "%.150s is not a plain file", p->part);
    int64_t most = opt->size >= 0 ? opt->size : opt->max_bytes;
    if (st.st_size == 0 || st.st_size > most || (!opt->digest && !tagged))
        return pn_part_restart(p, err);
    p->old = true;
    return hash_old(p, &opt->watch, err);
}

int pn_part_open(struct pn_part *p, const struct pn_download_options *opt, struct pn_err *err)
{
    *p = (struct pn_part){ .path = opt->path, .fd = -1 };
    p->kind = opt->digest && strlen(opt->digest) == 40 ? EVP_sha1() : EVP_sha256();
    if (!pn_path_printf(p->part, "%s.part", opt->path) || !pn_path_printf(p->tag, "%s.part.tag", opt->path))
        return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", opt->path);
    p->hash = EVP_MD_CTX_new();
    int r = p->hash ? hash_start(p, err) : pn_fail(err, PN_ENOMEM, "no memory to check a download");
    if (r == 0) {
        p->fd = open(p->part, /* checksrc: the file that is being downloaded */
                     O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644);
        r = p->fd < 0 ? disk_failure(p, "create", err) : resume(p, opt, err);
    }
    if (r < 0)
        pn_part_close(p);
    return r;
}

void pn_part_close(struct pn_part *p)
{
    EVP_MD_CTX_free(p->hash);
    if (p->fd >= 0)
        close(p->fd);
    p->hash = NULL;
    p->fd = -1;
}

void pn_part_discard(struct pn_part *p)
{
    unlink(p->part);
    unlink(p->tag);
}

int pn_part_check(struct pn_part *p, const char *digest, struct pn_err *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    char got[2 * EVP_MAX_MD_SIZE + 1] = "";
    if (EVP_DigestFinal_ex(p->hash, sum, &n) != 1)
        return pn_fail(err, PN_ENOMEM, "no memory to check a download");
    for (unsigned i = 0; i < n; i++)
        snprintf(got + 2 * (size_t)i, 3, "%02x", sum[i]);
    if (!digest || strcmp(got, digest) == 0)
        return 0;
    return pn_fail(err, PN_EFORMAT, "wrong bytes for %.40s: %s expected %.64s, got %.64s", file_name(p->path),
                   n == 20 ? "SHA-1" : "SHA-256", digest, got);
}

int pn_sync_folder_of(const char *path, struct pn_err *err)
{
    char folder[PN_MODEL_PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!pn_path_printf(folder, "%.*s", slash ? (int)PN_MAX(slash - path, 1) : 1, slash ? path : "."))
        return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", path);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* checksrc: the folder, to sync it */
    int r = fd < 0 ? -1 : fsync(fd);
    if (r < 0 && errno != EINVAL) /* some file systems cannot sync folders */
        r = pn_fail_errno(err, "cannot sync %.150s", folder);
    else
        r = 0;
    if (fd >= 0)
        close(fd);
    return r;
}

int pn_part_commit(struct pn_part *p, struct pn_err *err)
{
    if (fsync(p->fd) < 0)
        return disk_failure(p, "sync", err);
    if (rename(p->part, p->path) < 0)
        return disk_failure(p, "rename", err);
    unlink(p->tag);
    return pn_sync_folder_of(p->path, err);
}
