/* torch_writer.c - members are stored as they are; each one's local header is written again when its CRC is
 * known. */
#include "torch_writer.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum {
    LOCAL = 0x04034b50,
    CENTRAL = 0x02014b50,
    END = 0x06054b50,
    HEADER = 30,     /* bytes of a local header before the name */
    ALIGNMENT = 64,  /* of a member's bytes, as torch has it */
    FILLER = 0x4246, /* the extra field that aligns */
    DATE = 0x21,     /* 1 January 1980 */
    MAX_META = 16 << 20
};

struct member {
    char name[32];
    uint32_t offset, size, crc;
    uint16_t extra;
};

struct pn_torch_writer {
    FILE *f;
    char path[512];
    uint64_t at;           /* bytes written */
    struct pn_buf pickle;  /* all up to the tensors that have begun */
    struct pn_buf central; /* the directory so far */
    struct member member;  /* open one; its name is "" when there is none */
    unsigned tensors, members;
    bool failed;
};

static void put_bytes(struct pn_torch_writer *w, const void *bytes, size_t n)
{
    if (fwrite(bytes, 1, n, w->f) != n)
        w->failed = true;
    w->at += n;
}

static void add16(struct pn_buf *b, unsigned v)
{
    pn_buf_putc(b, (char)v);
    pn_buf_putc(b, (char)(v >> 8));
}

static void add32(struct pn_buf *b, uint32_t v)
{
    add16(b, v & 0xffff);
    add16(b, v >> 16);
}

/* What local and central header share, from the version that is needed to the length of the extra field. */
static void add_header(struct pn_buf *b, const struct member *m)
{
    add16(b, 20);
    add32(b, 0); /* flags; stored */
    add16(b, 0);
    add16(b, DATE);
    add32(b, m->crc);
    add32(b, m->size);
    add32(b, m->size);
    add16(b, (unsigned)strlen(m->name));
    add16(b, m->extra);
}

static void add_filler(struct pn_buf *b, unsigned extra)
{
    add16(b, FILLER);
    add16(b, extra - 4);
    for (unsigned i = 4; i < extra; i++)
        pn_buf_putc(b, 'Z');
}

static void put_local_header(struct pn_torch_writer *w)
{
    struct pn_buf b;
    pn_buf_init(&b, 1024);
    add32(&b, LOCAL);
    add_header(&b, &w->member);
    pn_buf_puts(&b, w->member.name);
    add_filler(&b, w->member.extra);
    w->failed |= b.failed != 0;
    put_bytes(w, b.ptr, b.len);
    pn_buf_done(&b);
}

static void begin_member(struct pn_torch_writer *w, const char *name)
{
    struct member *m = &w->member;
    *m = (struct member){ .offset = (uint32_t)w->at, .crc = (uint32_t)crc32(0, NULL, 0) };
    w->failed |= pn_str_copy(m->name, sizeof(m->name), pn_str(name)) < 0;
    size_t before = w->at + HEADER + strlen(m->name) + 4;
    m->extra = (uint16_t)(4 + pn_round_up(before, ALIGNMENT) - before);
    put_local_header(w);
}

static void put_member(struct pn_torch_writer *w, const void *bytes, size_t n)
{
    w->member.crc = (uint32_t)crc32_z(w->member.crc, bytes, n);
    w->member.size += (uint32_t)n;
    put_bytes(w, bytes, n);
}

static void end_member(struct pn_torch_writer *w)
{
    const struct member *m = &w->member;
    if (m->name[0] == '\0')
        return;
    add32(&w->central, CENTRAL);
    add16(&w->central, 20);
    add_header(&w->central, m);
    add16(&w->central, 0); /* comment */
    add16(&w->central, 0); /* disk */
    add16(&w->central, 0);
    add32(&w->central, 0); /* attributes */
    add32(&w->central, m->offset);
    pn_buf_puts(&w->central, m->name);
    add_filler(&w->central, m->extra);
    uint64_t end = w->at;
    w->failed |= fseeko(w->f, m->offset, SEEK_SET) != 0;
    put_local_header(w);
    w->failed |= fseeko(w->f, (off_t)end, SEEK_SET) != 0;
    w->at = end;
    w->members++;
    w->member.name[0] = '\0';
}

int pn_torch_writer_open(const char *path, struct pn_torch_writer **ret, struct pn_err *err)
{
    struct pn_torch_writer *w = calloc(1, sizeof(*w));
    if (!w)
        return pn_fail(err, PN_ENOMEM, "no memory for a checkpoint");
    int r = pn_str_copy(w->path, sizeof(w->path), pn_str(path));
    if (r == 0)
        w->f = fopen(path, "wb");
    if (!w->f) {
        free(w);
        return r < 0 ? pn_fail(err, PN_ELIMIT, "%s: too long a path", path) : pn_fail_errno(err, "%s", path);
    }
    pn_buf_init(&w->pickle, MAX_META);
    pn_buf_init(&w->central, MAX_META);
    pn_buf_append(&w->pickle,
                  "\x80\x02"
                  "ccollections\nOrderedDict\n)R(",
                  30);
    *ret = w;
    return 0;
}

static void pickle_text(struct pn_buf *b, const char *text)
{
    pn_buf_putc(b, 'X');
    add32(b, (uint32_t)strlen(text));
    pn_buf_puts(b, text);
}

static void pickle_int(struct pn_buf *b, int v)
{
    pn_buf_putc(b, 'J');
    add32(b, (uint32_t)v);
}

/* Name and _rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict()). */
static void pickle_tensor(struct pn_buf *b, const char *name, const char *key, int n, int n_dims,
                          const int *dim)
{
    pickle_text(b, name);
    pn_buf_puts(b, "ctorch._utils\n_rebuild_tensor_v2\n((");
    pickle_text(b, "storage");
    pn_buf_puts(b, "ctorch\nFloatStorage\n");
    pickle_text(b, key);
    pickle_text(b, "cpu");
    pickle_int(b, n);
    pn_buf_puts(b, "tQ");
    pickle_int(b, 0);
    pn_buf_putc(b, '(');
    for (int i = 0; i < n_dims; i++)
        pickle_int(b, dim[i]);
    pn_buf_puts(b, "t(");
    for (int i = 0, stride = n; i < n_dims; i++)
        pickle_int(b, stride /= dim[i]);
    pn_buf_puts(b, "t\x89"
                   "ccollections\nOrderedDict\n)RtR");
}

void pn_torch_writer_begin(struct pn_torch_writer *w, const char *name, int n_dims, const int *dim)
{
    char key[16], member[32];
    int n = 1;
    for (int i = 0; i < n_dims; i++)
        n *= dim[i];
    end_member(w);
    (void)snprintf(key, sizeof(key), "%u", w->tensors++);
    (void)snprintf(member, sizeof(member), "model/data/%s", key);
    pickle_tensor(&w->pickle, name, key, n, n_dims, dim);
    begin_member(w, member);
}

void pn_torch_writer_put(struct pn_torch_writer *w, const float *values, size_t n)
{
    put_member(w, values, n * sizeof(*values));
}

static void put_directory(struct pn_torch_writer *w)
{
    uint64_t from = w->at;
    size_t size = w->central.len;
    add32(&w->central, END);
    add32(&w->central, 0);
    add16(&w->central, w->members);
    add16(&w->central, w->members);
    add32(&w->central, (uint32_t)size);
    add32(&w->central, (uint32_t)from);
    add16(&w->central, 0);
    put_bytes(w, w->central.ptr, w->central.len);
}

int pn_torch_writer_close(struct pn_torch_writer *w, struct pn_err *err)
{
    end_member(w);
    pn_buf_puts(&w->pickle, "u.");
    begin_member(w, "model/data.pkl");
    put_member(w, w->pickle.ptr, w->pickle.len);
    end_member(w);
    begin_member(w, "model/version");
    put_member(w, "3\n", 2);
    end_member(w);
    put_directory(w);
    int r = 0;
    if (w->at > UINT32_MAX)
        r = pn_fail(err, PN_ELIMIT, "%s: larger than 4 GB", w->path);
    if (w->pickle.failed || w->central.failed)
        r = pn_fail(err, PN_ENOMEM, "%s: no memory", w->path);
    if ((fclose(w->f) != 0) | w->failed)
        r = pn_fail_errno(err, "writing %s", w->path);
    pn_buf_done(&w->pickle);
    pn_buf_done(&w->central);
    free(w);
    return r;
}
