/* zip.c - see zip.h. Layout of the records: PKWARE's APPNOTE 4.3 and 4.5.3. */
#include "model/zip.h"

#include "model/reader.h"

#include <stdlib.h>

enum {
    MAX_MEMBERS = 1 << 20,
    END_SIZE = 22,     /* end of central directory, without its comment */
    LOCATOR_SIZE = 20, /* ZIP64 end locator, right before it */
    MAX_COMMENT = 65535,
};

static const uint32_t SIG_LOCAL = 0x04034b50, SIG_CENTRAL = 0x02014b50, SIG_END = 0x06054b50,
                      SIG_END64 = 0x06064b50, SIG_LOCATOR = 0x07064b50;

struct member {
    struct pn_str name;
    uint64_t local, size, packed_size;
    uint16_t flags, method;
};

struct pn_zip {
    struct pn_str archive;
    struct member *members; /* sorted by name */
    size_t n;
};

struct directory {
    uint64_t n, size, offset;
};

static struct pn_reader reader_at(struct pn_str archive, size_t pos)
{
    return (struct pn_reader){ (const uint8_t *)archive.ptr, pos, archive.len };
}

static bool signature_at(struct pn_str archive, size_t pos, uint32_t want)
{
    struct pn_reader r = reader_at(archive, pos);
    uint32_t sig;
    return pn_read_u32(&r, &sig) && sig == want;
}

/* The last record whose comment reaches exactly the end of the file. */
static bool find_end(struct pn_str archive, size_t *ret)
{
    if (archive.len < END_SIZE)
        return false;
    size_t last = archive.len - END_SIZE, least = last > MAX_COMMENT ? last - MAX_COMMENT : 0;
    for (size_t pos = last;; pos--) {
        struct pn_reader r = reader_at(archive, pos + 20);
        uint16_t comment;
        if (signature_at(archive, pos, SIG_END) && pn_read_u16(&r, &comment) &&
            pos + END_SIZE + comment == archive.len) {
            *ret = pos;
            return true;
        }
        if (pos == least)
            return false;
    }
}

/* Replaces what the 32-bit record could not hold. */
static int read_end64(struct pn_str archive, size_t end, struct directory *d, struct pn_err *err)
{
    if (end < LOCATOR_SIZE || !signature_at(archive, end - LOCATOR_SIZE, SIG_LOCATOR))
        return 0;
    struct pn_reader r = reader_at(archive, end - LOCATOR_SIZE + 8);
    uint64_t at;
    if (!pn_read_u64(&r, &at) || at >= archive.len || !signature_at(archive, (size_t)at, SIG_END64))
        return pn_fail(err, PN_EFORMAT, "the zip64 locator at byte %zu points nowhere", end - LOCATOR_SIZE);
    r = reader_at(archive, (size_t)at);
    struct pn_str skipped;
    if (!pn_read_bytes(&r, 32, &skipped) || !pn_read_u64(&r, &d->n) || !pn_read_u64(&r, &d->size) ||
        !pn_read_u64(&r, &d->offset))
        return pn_fail(err, PN_EFORMAT, "the zip64 directory record at byte %zu is cut off", (size_t)at);
    return 0;
}

static int read_end(struct pn_str archive, struct directory *ret, struct pn_err *err)
{
    size_t end;
    if (!find_end(archive, &end))
        return pn_fail(err, PN_EFORMAT, "the archive has no directory at its end: it is cut off");
    struct pn_reader r = reader_at(archive, end + 10);
    uint16_t n;
    uint32_t size, offset;
    if (!pn_read_u16(&r, &n) || !pn_read_u32(&r, &size) || !pn_read_u32(&r, &offset))
        return pn_fail(err, PN_EFORMAT, "the archive's directory record at byte %zu is cut off", end);
    struct directory d = { n, size, offset };
    int rc = read_end64(archive, end, &d, err);
    if (rc < 0)
        return rc;
    if (d.n > MAX_MEMBERS)
        return pn_fail(err, PN_ELIMIT, "the archive has more than %d members", MAX_MEMBERS);
    uint64_t stop;
    if (__builtin_add_overflow(d.offset, d.size, &stop) || stop > end)
        return pn_fail(err, PN_EFORMAT, "the archive's directory is outside the file (record at byte %zu)",
                       end);
    *ret = d;
    return 0;
}

/* Extra field 0x0001 holds, in this order, those of size, packed size and offset that read all ones. */
static bool read_zip64(struct pn_str extra, struct member *m)
{
    struct pn_reader r = reader_at(extra, 0);
    uint16_t id, len;
    while (pn_read_u16(&r, &id) && pn_read_u16(&r, &len)) {
        struct pn_str body;
        if (!pn_read_bytes(&r, len, &body))
            return false;
        if (id != 1)
            continue;
        struct pn_reader wide = reader_at(body, 0);
        uint64_t *const fields[] = { &m->size, &m->packed_size, &m->local };
        for (size_t i = 0; i < PN_ARRAY_LEN(fields); i++)
            if (*fields[i] == UINT32_MAX && !pn_read_u64(&wide, fields[i]))
                return false;
        return true;
    }
    return true;
}

static bool read_member(struct pn_reader *r, struct member *ret)
{
    uint32_t sig, packed_size, size, local;
    uint16_t flags, method, name_len, extra_len, comment_len;
    struct pn_str skipped, extra;
    if (!pn_read_u32(r, &sig) || sig != SIG_CENTRAL || !pn_read_bytes(r, 4, &skipped) ||
        !pn_read_u16(r, &flags) || !pn_read_u16(r, &method) || !pn_read_bytes(r, 8, &skipped) ||
        !pn_read_u32(r, &packed_size) || !pn_read_u32(r, &size) || !pn_read_u16(r, &name_len) ||
        !pn_read_u16(r, &extra_len) || !pn_read_u16(r, &comment_len) || !pn_read_bytes(r, 8, &skipped) ||
        !pn_read_u32(r, &local))
        return false;
    struct member m = {
        .local = local, .size = size, .packed_size = packed_size, .flags = flags, .method = method
    };
    if (!pn_read_bytes(r, name_len, &m.name) || !pn_read_bytes(r, extra_len, &extra) ||
        !pn_read_bytes(r, comment_len, &skipped) || !read_zip64(extra, &m))
        return false;
    *ret = m;
    return true;
}

static int compare_names(struct pn_str a, struct pn_str b)
{
    size_t n = PN_MIN(a.len, b.len);
    int c = n > 0 ? memcmp(a.ptr, b.ptr, n) : 0;
    return c ? c : (a.len > b.len) - (a.len < b.len);
}

static int compare_members(const void *a, const void *b)
{
    return compare_names(((const struct member *)a)->name, ((const struct member *)b)->name);
}

static int read_members(struct pn_zip *z, const struct directory *d, struct pn_err *err)
{
    z->members = calloc(d->n ? (size_t)d->n : 1, sizeof(*z->members));
    if (!z->members)
        return pn_fail(err, PN_ENOMEM, "no memory for the archive's directory");
    struct pn_reader r = { (const uint8_t *)z->archive.ptr, (size_t)d->offset,
                           (size_t)(d->offset + d->size) };
    for (; z->n < d->n; z->n++) {
        size_t at = r.pos;
        if (!read_member(&r, &z->members[z->n]))
            return pn_fail(err, PN_EFORMAT, "the archive's directory is damaged at byte %zu", at);
    }
    qsort(z->members, z->n, sizeof(*z->members), compare_members);
    for (size_t i = 1; i < z->n; i++)
        if (pn_str_eq(z->members[i].name, z->members[i - 1].name))
            return pn_fail(err, PN_EFORMAT, "the archive holds '%.*s' twice",
                           (int)PN_MIN(z->members[i].name.len, 80u), z->members[i].name.ptr);
    return 0;
}

int pn_zip_open(struct pn_str archive, struct pn_zip **ret, struct pn_err *err)
{
    struct directory d = { 0 };
    int r = read_end(archive, &d, err);
    if (r < 0)
        return r;
    struct pn_zip *z = calloc(1, sizeof(*z));
    if (!z)
        return pn_fail(err, PN_ENOMEM, "no memory for the archive's directory");
    z->archive = archive;
    r = read_members(z, &d, err);
    if (r < 0)
        z = pn_zip_close(z);
    else
        *ret = z;
    return r;
}

struct pn_zip *pn_zip_close(struct pn_zip *z)
{
    if (z)
        free(z->members);
    free(z);
    return NULL;
}

size_t pn_zip_count(const struct pn_zip *z)
{
    return z->n;
}

struct pn_str pn_zip_name(const struct pn_zip *z, size_t i)
{
    return z->members[i].name;
}

/* Data begin behind the local header, whose extra field (padding) differs from the directory's. */
static int locate(const struct pn_zip *z, const struct member *m, struct pn_zip_span *ret, struct pn_err *err)
{
    struct pn_str skipped;
    uint16_t name_len, extra_len;
    if (m->local >= z->archive.len || !signature_at(z->archive, (size_t)m->local, SIG_LOCAL))
        return pn_fail(err, PN_EFORMAT, "'%.*s' is not at byte %llu, where the directory has it",
                       (int)PN_MIN(m->name.len, 80u), m->name.ptr, (unsigned long long)m->local);
    struct pn_reader r = reader_at(z->archive, (size_t)m->local);
    struct pn_str data;
    if (!pn_read_bytes(&r, 26, &skipped) || !pn_read_u16(&r, &name_len) || !pn_read_u16(&r, &extra_len) ||
        !pn_read_bytes(&r, name_len, &skipped) || !pn_str_eq(skipped, m->name) ||
        !pn_read_bytes(&r, extra_len, &skipped) || !pn_read_bytes(&r, m->size, &data))
        return pn_fail(err, PN_EFORMAT, "'%.*s' at byte %llu does not fit into the file",
                       (int)PN_MIN(m->name.len, 80u), m->name.ptr, (unsigned long long)m->local);
    *ret = (struct pn_zip_span){ (size_t)(data.ptr - z->archive.ptr), data.len };
    return 0;
}

int pn_zip_find(const struct pn_zip *z, struct pn_str name, struct pn_zip_span *ret, struct pn_err *err)
{
    const struct member key = { .name = name };
    const struct member *m = z->n ? bsearch(&key, z->members, z->n, sizeof(key), compare_members) : NULL;
    if (!m)
        return -PN_ENOTFOUND;
    if (m->flags & 1 || m->method != 0 || m->packed_size != m->size)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "'%.*s' (at byte %llu) is compressed or encrypted; checkpoints are stored plainly",
                       (int)PN_MIN(name.len, 80u), name.ptr, (unsigned long long)m->local);
    return locate(z, m, ret, err);
}
