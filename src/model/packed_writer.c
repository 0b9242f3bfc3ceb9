/* packed_writer.c - see packed.h: writing.
 *
 * Sections are carved from regions of 16 MB and more: parts of the file, mapped shared, or anonymous memory
 * in huge pages. Space in the file is reserved before it is mapped, since a full disk would otherwise show as
 * SIGBUS in whoever fills a section in. The file has another name until it is whole and on disk; the lock
 * that its writer holds on it tells a left-over of a dead one. */
#include "model/packed_impl.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { REGION = 16 << 20, HUGE_PAGE = 2 << 20, LEFT_OVER_AGE_S = 24 * 60 * 60 };

struct pn_packed_writer {
    struct pn_packed image; /* what is there so far; the regions are the writer's own */
    size_t cap_sections, cap_regions;
    struct pn_packed_key key;
    char kind[32], precision[16];
    char path[PATH_MAX], temporary[PATH_MAX];
    int fd;        /* -1: in memory */
    uint64_t end;  /* of the file so far */
    uint8_t *next; /* free room in the newest region */
    size_t room;
};

/* `path` as folder and name; the folder is "." for a bare name. */
static const char *split_path(const char *path, char *folder, size_t cap)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(folder, cap, ".");
    else
        snprintf(folder, cap, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    return slash ? slash + 1 : path;
}

static bool is_temporary_of(const char *name, const char *base)
{
    size_t n = strlen(base), len = strlen(name);
    return name[0] == '.' && len == n + 22 && memcmp(name + 1, base, n) == 0 && name[n + 1] == '.' &&
           strcmp(name + len - 4, ".tmp") == 0;
}

/* Nobody writes it: its writer's lock has gone with it. Where files cannot be locked, age has to tell. */
static bool is_left_over(int fd, const struct stat *st)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    return errno != EWOULDBLOCK && time(NULL) - st->st_mtim.tv_sec > LEFT_OVER_AGE_S;
}

static void remove_left_over(int folder, const char *name)
{
    struct stat st;
    int fd = openat(folder, name, /* checksrc: a left-over */ O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && is_left_over(fd, &st))
        unlinkat(folder, name, 0);
    close(fd);
}

static void remove_left_overs(const char *path)
{
    char folder[PATH_MAX];
    const char *base = split_path(path, folder, sizeof(folder));
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (is_temporary_of(e->d_name, base))
            remove_left_over(dirfd(d), e->d_name);
    closedir(d);
}

/* Locks a new file. False: another process took it for a left-over in the moment before that. */
static bool is_ours(int fd)
{
    struct stat st;
    (void)flock(fd, LOCK_EX);
    return fstat(fd, &st) == 0 && st.st_nlink > 0;
}

static int open_temporary(struct pn_packed_writer *w, struct pn_err *err)
{
    char folder[PATH_MAX];
    const char *base = split_path(w->path, folder, sizeof(folder));
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW;
    for (int tries = 0; tries < 8; tries++) {
        uint64_t random;
        if (getrandom(&random, sizeof(random), 0) != sizeof(random))
            return pn_fail_errno(err, "no random name for a packed file");
        int n = snprintf(w->temporary, sizeof(w->temporary), "%s/.%s.%016llx.tmp", folder, base,
                         (unsigned long long)random);
        if (n < 0 || (size_t)n >= sizeof(w->temporary))
            return pn_fail(err, PN_ELIMIT, "the path of the packed file is too long");
        w->fd = open(w->temporary, flags, 0666); /* checksrc: the new file */
        if (w->fd >= 0 && is_ours(w->fd))
            return 0;
        if (w->fd >= 0) {
            close(w->fd);
            w->fd = -1;
        } else if (errno != EEXIST) {
            break;
        }
    }
    w->temporary[0] = 0;
    return pn_fail_errno(err, "cannot write beside %.150s", w->path);
}

int pn_packed_writer_new(const char *path, const struct pn_packed_key *key, struct pn_packed_writer **ret,
                         struct pn_err *err)
{
    struct pn_packed_head checked;
    int r = pn_packed_head_of(key, &checked, err);
    if (r < 0)
        return r;
    struct pn_packed_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    w->fd = -1;
    w->key = *key;
    memcpy(w->kind, checked.kind, sizeof(w->kind));
    memcpy(w->precision, checked.precision, sizeof(w->precision));
    w->key.kind = w->kind;
    w->key.precision = w->precision;
    w->end = sizeof(checked);
    if (path && pn_str_copy(w->path, sizeof(w->path), pn_str(path)) < 0)
        r = pn_fail(err, PN_ELIMIT, "the path of the packed file is too long");
    if (r == 0 && path) {
        remove_left_overs(path);
        r = open_temporary(w, err);
    }
    if (r < 0)
        pn_packed_writer_free(w);
    else
        *ret = w;
    return r;
}

/* Anonymous memory on a huge page's boundary, so that the kernel can use them. */
static void *map_memory(size_t size)
{
    uint8_t *p = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return p;
    size_t skip = pn_round_up((uintptr_t)p, HUGE_PAGE) - (uintptr_t)p;
    if (skip > 0)
        munmap(p, skip);
    if (skip < HUGE_PAGE)
        munmap(p + skip + size, HUGE_PAGE - skip);
    (void)madvise(p + skip, size, MADV_HUGEPAGE);
    return p + skip;
}

/* The file from the page that `from` lies in. */
static void *map_file(struct pn_packed_writer *w, uint64_t from, size_t size)
{
    int r = posix_fallocate(w->fd, (off_t)from, (off_t)size);
    if (r != 0) {
        errno = r;
        return MAP_FAILED;
    }
    return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, (off_t)from);
}

static int add_region(struct pn_packed_writer *w, size_t need, struct pn_err *err)
{
    struct pn_packed *p = &w->image;
    if (p->n_regions == w->cap_regions) {
        size_t cap = w->cap_regions ? w->cap_regions * 2 : 16;
        struct pn_packed_region *larger = reallocarray(p->regions, cap, sizeof(*larger));
        if (!larger)
            return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
        p->regions = larger;
        w->cap_regions = cap;
    }
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = w->end / page * page;
    size_t lead = w->fd < 0 ? 0 : (size_t)(w->end - from);
    size_t size = pn_round_up(PN_MAX(need + lead, (size_t)REGION), HUGE_PAGE);
    void *ptr = w->fd < 0 ? map_memory(size) : map_file(w, from, size);
    if (ptr == MAP_FAILED)
        return pn_fail_errno(err, "no room for %zu MB of packed weights", size >> 20);
    p->regions[p->n_regions++] = (struct pn_packed_region){ ptr, size };
    p->size += size;
    w->next = (uint8_t *)ptr + lead;
    w->room = size - lead;
    return 0;
}

static struct pn_packed_section *add_section(struct pn_packed_writer *w, const char *name, struct pn_err *err)
{
    struct pn_packed *p = &w->image;
    if (p->n_sections == PN_PACKED_MAX_SECTIONS) {
        (void)pn_fail(err, PN_ELIMIT, "more than %d packed sections", PN_PACKED_MAX_SECTIONS);
        return NULL;
    }
    if (p->n_sections == w->cap_sections) {
        size_t cap = w->cap_sections ? w->cap_sections * 2 : 256;
        struct pn_packed_section *larger = reallocarray(p->sections, cap, sizeof(*larger));
        if (!larger) {
            (void)pn_fail(err, PN_ENOMEM, "no memory to pack the model");
            return NULL;
        }
        p->sections = larger;
        w->cap_sections = cap;
    }
    struct pn_packed_section *s = &p->sections[p->n_sections];
    memset(s, 0, sizeof(*s));
    if (pn_str_copy(s->name, sizeof(s->name), pn_str(name)) < 0) {
        (void)pn_fail(err, PN_EINVAL, "a packed section cannot be called '%.80s'", name);
        return NULL;
    }
    return s;
}

void *pn_packed_add(struct pn_packed_writer *w, const char *name, size_t size, struct pn_err *err)
{
    if (size > (size_t)PN_TENSOR_MAX_BYTES) {
        (void)pn_fail(err, PN_ELIMIT, "packed section '%.80s' is too large", name);
        return NULL;
    }
    struct pn_packed_section *s = add_section(w, name, err);
    size_t taken = pn_round_up(size, PN_PACKED_ALIGN);
    if (!s || (w->room < PN_MAX(taken, 1u) && add_region(w, taken, err) < 0))
        return NULL;
    s->data = w->next;
    s->size = size;
    s->offset = w->end;
    w->next += taken;
    w->room -= taken;
    w->end += taken;
    w->image.n_sections++;
    return s->data;
}

static int compare_sections(const void *a, const void *b)
{
    return strcmp(((const struct pn_packed_section *)a)->name, ((const struct pn_packed_section *)b)->name);
}

static int sort_sections(struct pn_packed *p, struct pn_err *err)
{
    if (p->n_sections > 0)
        qsort(p->sections, p->n_sections, sizeof(*p->sections), compare_sections);
    for (size_t i = 1; i < p->n_sections; i++)
        if (strcmp(p->sections[i - 1].name, p->sections[i].name) == 0)
            return pn_fail(err, PN_EINVAL, "packed section '%s' was added twice", p->sections[i].name);
    return 0;
}

/* The regions are read-only from here on. */
static int commit_memory(struct pn_packed_writer *w, struct pn_packed **ret, struct pn_err *err)
{
    struct pn_packed *p = calloc(1, sizeof(*p));
    if (!p)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    *p = w->image;
    w->image = (struct pn_packed){ 0 };
    for (size_t i = 0; i < p->n_regions; i++)
        (void)mprotect(p->regions[i].ptr, p->regions[i].size, PROT_READ);
    *ret = p;
    return 0;
}

static int write_at(int fd, const void *bytes, size_t size, uint64_t at)
{
    const char *from = bytes;
    while (size > 0) {
        ssize_t n = pwrite(fd, from, size, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        from += n;
        size -= (size_t)n;
        at += (uint64_t)n;
    }
    return 0;
}

static int write_head_and_table(struct pn_packed_writer *w, struct pn_err *err)
{
    const struct pn_packed *p = &w->image;
    struct pn_packed_head h = { 0 };
    int r = pn_packed_head_of(&w->key, &h, err);
    if (r < 0)
        return r;
    struct pn_packed_entry *table = calloc(p->n_sections ? p->n_sections : 1, sizeof(*table));
    if (!table)
        return pn_fail(err, PN_ENOMEM, "no memory to pack the model");
    for (size_t i = 0; i < p->n_sections; i++) {
        memcpy(table[i].name, p->sections[i].name, sizeof(table[i].name));
        table[i].offset = p->sections[i].offset;
        table[i].size = p->sections[i].size;
    }
    h.n_sections = (uint32_t)p->n_sections;
    h.table = w->end;
    h.file_size = h.table + p->n_sections * sizeof(*table);
    pn_packed_checksum(&h, table, h.checksum);
    if (ftruncate(w->fd, (off_t)h.file_size) < 0 || write_at(w->fd, &h, sizeof(h), 0) < 0 ||
        write_at(w->fd, table, p->n_sections * sizeof(*table), h.table) < 0)
        r = pn_fail_errno(err, "cannot write the packed file %.150s", w->path);
    free(table);
    return r;
}

/* The new name is on disk when its folder is; a file system that cannot say so has done what it can. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    split_path(path, folder, sizeof(folder));
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* checksrc: the folder, to sync it */
    if (fd < 0)
        return;
    (void)fsync(fd);
    close(fd);
}

static void unmap_regions(struct pn_packed *p)
{
    for (size_t i = 0; i < p->n_regions; i++)
        munmap(p->regions[i].ptr, p->regions[i].size);
    p->n_regions = 0;
}

static int commit_file(struct pn_packed_writer *w, struct pn_packed **ret, struct pn_err *err)
{
    int r = write_head_and_table(w, err);
    unmap_regions(&w->image);
    if (r == 0 && (fsync(w->fd) < 0 || rename(w->temporary, w->path) < 0))
        r = pn_fail_errno(err, "cannot write the packed file %.150s", w->path);
    if (r < 0)
        return r;
    w->temporary[0] = 0;
    sync_folder(w->path);
    return pn_packed_map(w->fd, w->path, &w->key, ret, err);
}

int pn_packed_commit(struct pn_packed_writer *w, struct pn_packed **ret, struct pn_err *err)
{
    int r = sort_sections(&w->image, err);
    if (r == 0)
        r = w->fd < 0 ? commit_memory(w, ret, err) : commit_file(w, ret, err);
    pn_packed_writer_free(w);
    return r;
}

void pn_packed_writer_free(struct pn_packed_writer *w)
{
    if (!w)
        return;
    unmap_regions(&w->image);
    free(w->image.regions);
    free(w->image.sections);
    if (w->temporary[0])
        unlink(w->temporary);
    if (w->fd >= 0)
        close(w->fd);
    free(w);
}
