/* packed_path.c - see pn_packed_path() in packed.h. */
#include "model/packed.h"

#include "model/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool can_write(const char *folder)
{
    return faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS) == 0;
}

/* Makes `folder` and what is missing above it. */
static void make_folder(const char *folder)
{
    char path[PATH_MAX];
    if (pn_str_copy(path, sizeof(path), pn_str(folder)) < 0)
        return;
    for (char *p = path + 1; *p; p++)
        if (*p == '/') {
            *p = 0;
            (void)mkdir(path, 0777);
            *p = '/';
        }
    (void)mkdir(path, 0777);
}

static int print(char *path, size_t cap, const char *folder, const char *name, const char *tail,
                 const char *precision)
{
    char text[PATH_MAX];
    int n = snprintf(text, sizeof(text), "%s/%s%s.%s.pnk", folder, name, tail, precision);
    if (n < 0 || (size_t)n >= sizeof(text) || (size_t)n >= cap)
        return -PN_ELIMIT;
    memcpy(path, text, (size_t)n + 1);
    return 0;
}

/* Models of one name from several folders share the cache; the path tells them apart. */
static int in_cache(const char *real, const char *cache_dir, const char *precision, char *path, size_t cap)
{
    make_folder(cache_dir);
    if (!can_write(cache_dir))
        return -PN_ENOTFOUND;
    struct pn_digest d;
    uint8_t hash[16];
    char tail[18];
    pn_digest_init(&d);
    pn_digest_add(&d, pn_str(real));
    pn_digest_done(&d, hash);
    tail[0] = '-';
    for (int i = 0; i < 8; i++)
        snprintf(tail + 1 + 2 * i, 3, "%02x", hash[i]);
    return print(path, cap, cache_dir, strrchr(real, '/') + 1, tail, precision);
}

/* The folder and the last part of `source` as it was given: a link's own, not its target's. */
static int split(const char *source, const char *real, char *folder, char *name)
{
    char text[PATH_MAX];
    if (pn_str_copy(text, sizeof(text), pn_str(source)) < 0)
        return -PN_ELIMIT;
    size_t n = strlen(text);
    while (n > 1 && text[n - 1] == '/')
        text[--n] = 0;
    const char *slash = strrchr(text, '/'), *last = slash ? slash + 1 : text;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0) {
        snprintf(text, sizeof(text), "%s", real);
        slash = strrchr(text, '/');
        last = slash + 1;
    }
    snprintf(name, PATH_MAX, "%s", last);
    if (slash)
        snprintf(folder, PATH_MAX, "%.*s", (int)(slash - text), text);
    else
        snprintf(folder, PATH_MAX, ".");
    return 0;
}

int pn_packed_path(const char *source, const char *cache_dir, const char *precision, char *path, size_t cap)
{
    char real[PATH_MAX], folder[PATH_MAX], name[PATH_MAX];
    if (!realpath(source, real) || !real[1])
        return -PN_ENOTFOUND;
    int r = split(source, real, folder, name);
    if (r < 0)
        return r;
    if (can_write(*folder ? folder : "/"))
        return print(path, cap, folder, name, "", precision);
    return *cache_dir ? in_cache(real, cache_dir, precision, path, cap) : -PN_ENOTFOUND;
}
