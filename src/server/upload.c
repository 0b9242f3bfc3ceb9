/* upload.c - see upload.h. */
#include "server/upload.h"

#include "base/file.h"
#include "server/multipart.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_FIELDS      32
#define MAX_FIELD_BYTES 8192

struct field {
    char name[PN_PART_NAME_MAX];
    char *value; /* owned */
    size_t len;
};

struct pn_upload {
    struct pn_multipart form;
    struct pn_upload_options opt;
    enum { IN_NOTHING, IN_FILE, IN_FIELD } inside;
    struct field fields[MAX_FIELDS];
    int n_fields;
    int fd; /* -1 when taken */
    int64_t size;
    bool has_file, is_pcm;
    char filename[PN_PART_NAME_MAX];
    EVP_MD_CTX *hash;
    char sha256[65];
};

static int start_file(struct pn_upload *u, const struct pn_part *part, struct pn_err *err)
{
    if (u->has_file)
        return pn_fail(err, PN_EFORMAT, "the form has more than one 'file'");
    u->fd = pn_file_spool(u->opt.spool_dir, err);
    if (u->fd < 0)
        return -PN_EIO;
    u->has_file = true;
    u->inside = IN_FILE;
    u->is_pcm = strcmp(part->content_type, "audio/pcm") == 0 || strcmp(part->content_type, "audio/raw") == 0;
    memcpy(u->filename, part->filename, sizeof(u->filename));
    return 0;
}

static int start_part(void *ctx, const struct pn_part *part, struct pn_err *err)
{
    struct pn_upload *u = ctx;
    u->inside = IN_NOTHING;
    if (strcmp(part->name, "file") == 0)
        return start_file(u, part, err);
    if (part->has_filename || !*part->name)
        return 0; /* another file: not asked for, dropped */
    if (u->n_fields == MAX_FIELDS)
        return pn_fail(err, PN_ELIMIT, "more than %d fields in the form", MAX_FIELDS);
    struct field *f = &u->fields[u->n_fields++];
    memcpy(f->name, part->name, sizeof(f->name));
    u->inside = IN_FIELD;
    return 0;
}

static int file_data(struct pn_upload *u, const char *p, size_t n, struct pn_err *err)
{
    u->size += (int64_t)n;
    if (u->size > u->opt.max_bytes)
        return pn_fail(err, PN_ELIMIT, "Maximum content size limit (%lld) exceeded",
                       (long long)u->opt.max_bytes);
    EVP_DigestUpdate(u->hash, p, n);
    if (pn_write_all(u->fd, (struct pn_str){ p, n }) < 0)
        return pn_fail_errno(err, "cannot keep the upload");
    return 0;
}

static int field_data(struct pn_upload *u, const char *p, size_t n, struct pn_err *err)
{
    struct field *f = &u->fields[u->n_fields - 1];
    if (f->len + n > MAX_FIELD_BYTES)
        return pn_fail(err, PN_ELIMIT, "form field '%.32s' is longer than %d bytes", f->name,
                       MAX_FIELD_BYTES);
    char *grown = realloc(f->value, f->len + n);
    if (!grown)
        return pn_fail(err, PN_ENOMEM, "no memory for a form field");
    memcpy(grown + f->len, p, n);
    f->value = grown;
    f->len += n;
    return 0;
}

static int part_data(void *ctx, const char *p, size_t n, struct pn_err *err)
{
    struct pn_upload *u = ctx;
    switch (u->inside) {
    case IN_FILE:
        return file_data(u, p, n, err);
    case IN_FIELD:
        return field_data(u, p, n, err);
    case IN_NOTHING:
        return 0;
    }
    PN_UNREACHABLE();
}

int pn_upload_new(struct pn_str content_type, const struct pn_upload_options *opt, struct pn_upload **ret,
                  struct pn_err *err)
{
    char boundary[PN_BOUNDARY_MAX + 1];
    int r = pn_multipart_boundary(content_type, boundary);
    if (r == -PN_EUNSUPPORTED)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "send the audio as multipart/form-data with a part named 'file'");
    if (r < 0)
        return pn_fail(err, PN_EFORMAT, "Content-Type has no usable multipart boundary");
    struct pn_upload *u = calloc(1, sizeof(*u));
    if (!u)
        return pn_fail(err, PN_ENOMEM, "no memory for an upload");
    u->fd = -1;
    u->opt = *opt;
    u->hash = EVP_MD_CTX_new();
    if (!u->hash || EVP_DigestInit_ex(u->hash, EVP_sha256(), NULL) != 1) {
        pn_upload_free(u);
        return pn_fail(err, PN_ENOMEM, "no memory for an upload");
    }
    pn_multipart_init(&u->form, boundary, &(struct pn_multipart_handler){ start_part, part_data, u });
    *ret = u;
    return 0;
}

struct pn_upload *pn_upload_free(struct pn_upload *u)
{
    if (!u)
        return NULL;
    for (int i = 0; i < u->n_fields; i++)
        free(u->fields[i].value);
    EVP_MD_CTX_free(u->hash);
    if (u->fd >= 0)
        close(u->fd);
    free(u);
    return NULL;
}

int pn_upload_feed(struct pn_upload *u, const char *data, size_t n, struct pn_err *err)
{
    return pn_multipart_feed(&u->form, data, n, err);
}

int pn_upload_end(struct pn_upload *u, struct pn_err *err)
{
    unsigned char md[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    int r = pn_multipart_end(&u->form, err);
    if (r < 0)
        return r;
    EVP_DigestFinal_ex(u->hash, md, &len);
    for (unsigned i = 0; i < len && i < 32; i++)
        snprintf(u->sha256 + 2 * i, 3, "%02x", md[i]);
    return 0;
}

struct pn_str pn_upload_field(const struct pn_upload *u, const char *name)
{
    for (int i = 0; i < u->n_fields; i++)
        if (strcmp(u->fields[i].name, name) == 0)
            return pn_str_trim((struct pn_str){ u->fields[i].value, u->fields[i].len });
    return (struct pn_str){ NULL, 0 };
}

bool pn_upload_has_file(const struct pn_upload *u)
{
    return u->has_file;
}

int64_t pn_upload_size(const struct pn_upload *u)
{
    return u->size;
}

const char *pn_upload_filename(const struct pn_upload *u)
{
    return u->filename;
}

bool pn_upload_is_pcm(const struct pn_upload *u)
{
    return u->is_pcm;
}

const char *pn_upload_sha256(const struct pn_upload *u)
{
    return u->sha256;
}

int pn_upload_take_fd(struct pn_upload *u)
{
    int fd = u->fd;
    u->fd = -1;
    return fd;
}
