/* packed.c - see packed.h: reading. The layout is in packed_impl.h. */
#include "model/packed_impl.h"

#include "model/digest.h"
#include "model/mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const char MAGIC[8] = "PINNAPK";

int pn_packed_head_of(const struct pn_packed_key *key, struct pn_packed_head *ret, struct pn_err *err)
{
    struct pn_packed_head h = { .version = PN_PACKED_VERSION,
                                .layout = key->layout,
                                .source_size = key->source.size,
                                .source_mtime_ns = key->source.mtime_ns };
    memcpy(h.magic, MAGIC, sizeof(h.magic));
    memcpy(h.source_hash, key->source.hash, sizeof(h.source_hash));
    if (pn_str_copy(h.kind, sizeof(h.kind), pn_str(key->kind)) < 0 ||
        pn_str_copy(h.precision, sizeof(h.precision), pn_str(key->precision)) < 0)
        return pn_fail(err, PN_EINVAL, "a packed file cannot be called '%.40s' '%.40s'", key->kind,
                       key->precision);
    *ret = h;
    return 0;
}

void pn_packed_checksum(const struct pn_packed_head *h, const struct pn_packed_entry *table, uint8_t ret[16])
{
    struct pn_packed_head plain = *h;
    memset(plain.checksum, 0, sizeof(plain.checksum));
    struct pn_digest d;
    pn_digest_init(&d);
    pn_digest_add(&d, (struct pn_str){ (const char *)&plain, sizeof(plain) });
    pn_digest_add(&d, (struct pn_str){ (const char *)table, h->n_sections * sizeof(*table) });
    pn_digest_done(&d, ret);
}

static int damaged(const char *path, size_t at, struct pn_err *err)
{
    return pn_fail(err, PN_EFORMAT, "the packed file %.150s is damaged at byte %zu", path, at);
}

static int check_head(const struct pn_mapping *m, const char *path, const struct pn_packed_head *want,
                      struct pn_packed_head *ret, struct pn_err *err)
{
    struct pn_packed_head h = { 0 };
    if (m->size < sizeof(h) || memcmp(m->ptr, MAGIC, sizeof(MAGIC)) != 0)
        return damaged(path, 0, err);
    memcpy(&h, m->ptr, sizeof(h));
    if (h.version != want->version)
        return pn_fail(err, PN_ENOTFOUND, "the packed file %.150s has another version", path);
    if (h.file_size != m->size || h.n_sections > PN_PACKED_MAX_SECTIONS || h.table % PN_PACKED_ALIGN ||
        h.table < sizeof(h) || h.table > m->size ||
        m->size - h.table != h.n_sections * sizeof(struct pn_packed_entry))
        return damaged(path, offsetof(struct pn_packed_head, file_size), err);
    uint8_t checksum[16];
    pn_packed_checksum(&h, (const struct pn_packed_entry *)(const void *)(m->ptr + h.table), checksum);
    if (memcmp(checksum, h.checksum, sizeof(checksum)) != 0)
        return damaged(path, offsetof(struct pn_packed_head, checksum), err);
    if (memcmp(&h, want, offsetof(struct pn_packed_head, file_size)) != 0)
        return pn_fail(err, PN_ENOTFOUND,
                       "the packed file %.150s was made from another model or for other kernels", path);
    *ret = h;
    return 0;
}

/* Names ascend, so that none occurs twice and they can be searched. */
static int read_table(struct pn_packed *p, const struct pn_mapping *m, const struct pn_packed_head *h,
                      const char *path, struct pn_err *err)
{
    for (size_t i = 0; i < h->n_sections; i++) {
        size_t at = h->table + i * sizeof(struct pn_packed_entry);
        struct pn_packed_entry e;
        memcpy(&e, m->ptr + at, sizeof(e));
        uint64_t end;
        if (!memchr(e.name, 0, sizeof(e.name)) || e.offset % PN_PACKED_ALIGN || e.offset < sizeof(*h) ||
            __builtin_add_overflow(e.offset, e.size, &end) || end > h->table ||
            (i > 0 && strcmp(p->sections[i - 1].name, e.name) >= 0))
            return damaged(path, at, err);
        struct pn_packed_section *s = &p->sections[p->n_sections++];
        memcpy(s->name, e.name, sizeof(s->name));
        s->data = (void *)(uintptr_t)(m->ptr + e.offset);
        s->size = (size_t)e.size;
    }
    return 0;
}

static int view(struct pn_mapping *m, const char *path, const struct pn_packed_head *want,
                struct pn_packed **ret, struct pn_err *err)
{
    struct pn_packed_head h = { 0 };
    int r = check_head(m, path, want, &h, err);
    if (r < 0)
        return r;
    struct pn_packed *p = calloc(1, sizeof(*p));
    if (!p || !(p->sections = calloc(h.n_sections ? h.n_sections : 1, sizeof(*p->sections))) ||
        !(p->regions = calloc(1, sizeof(*p->regions)))) {
        pn_packed_close(p);
        return pn_fail(err, PN_ENOMEM, "no memory to open %.150s", path);
    }
    r = read_table(p, m, &h, path, err);
    if (r < 0) {
        pn_packed_close(p);
        return r;
    }
    p->regions[p->n_regions++] = (struct pn_packed_region){ (void *)(uintptr_t)m->ptr, m->size };
    p->size = m->size;
    *ret = p;
    return 0;
}

int pn_packed_map(int fd, const char *path, const struct pn_packed_key *key, struct pn_packed **ret,
                  struct pn_err *err)
{
    struct pn_packed_head want;
    struct pn_mapping m;
    int r = pn_packed_head_of(key, &want, err);
    if (r < 0 || (r = pn_mapping_of(fd, path, &m, err)) < 0)
        return r;
    r = view(&m, path, &want, ret, err);
    if (r < 0) {
        pn_mapping_close(&m);
        return r;
    }
    /* Both are wishes; file systems without huge pages refuse the first. */
    (void)madvise((void *)(uintptr_t)m.ptr, m.size, MADV_HUGEPAGE);
    (void)madvise((void *)(uintptr_t)m.ptr, m.size, MADV_WILLNEED);
    return 0;
}

int pn_packed_open(const char *path, const struct pn_packed_key *key, struct pn_packed **ret,
                   struct pn_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK); /* checksrc: the packed file */
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return pn_fail(err, PN_ENOTFOUND, "there is no packed file %.150s", path);
    if (fd < 0)
        return pn_fail_errno(err, "cannot open %.150s", path);
    int r = pn_packed_map(fd, path, key, ret, err);
    close(fd);
    return r;
}

struct pn_packed *pn_packed_close(struct pn_packed *p)
{
    if (!p)
        return NULL;
    for (size_t i = 0; i < p->n_regions; i++)
        munmap(p->regions[i].ptr, p->regions[i].size);
    free(p->regions);
    free(p->sections);
    free(p);
    return NULL;
}

static int compare_section(const void *key, const void *section)
{
    return strcmp(key, ((const struct pn_packed_section *)section)->name);
}

const void *pn_packed_find(const struct pn_packed *p, const char *name, size_t *ret_size)
{
    const struct pn_packed_section *s =
        p->n_sections ? bsearch(name, p->sections, p->n_sections, sizeof(*s), compare_section) : NULL;
    if (!s)
        return NULL;
    *ret_size = s->size;
    return s->data;
}

size_t pn_packed_size(const struct pn_packed *p)
{
    return p->size;
}
