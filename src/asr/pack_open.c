/* pack_open.c - pn_pack_open() of pack.h: the packed file that fits, or a new one. */
#include "asr/pack.h"

#include <limits.h>

/* Points one part into the packed file. */
static int bind_part(const struct pn_packed *packed, const struct pn_part *part, struct pn_err *err)
{
    size_t size = 0, needed = pn_part_size(part);
    const void *block = pn_packed_find(packed, part->name, &size);
    if (!block || needed == 0 || size < needed)
        return pn_fail(err, PN_EFORMAT, "the packed file lacks %s", part->name);
    if (part->values)
        *part->values = block;
    else
        *part->linear = pn_linear_view(part->precision, part->n, part->k, block);
    return 0;
}

/* Takes `packed` in any case. */
static int bind(const struct pn_pack_job *job, struct pn_packed *packed, struct pn_packed **ret,
                struct pn_err *err)
{
    int r = 0;
    for (size_t i = 0; i < job->parts->n && r == 0; i++)
        r = bind_part(packed, &job->parts->part[i], err);
    if (r == 0 && job->bind)
        r = job->bind(job->model, packed, err);
    if (r < 0)
        pn_packed_close(packed);
    else
        *ret = packed;
    return r;
}

/* Makes the packed file at `path`, or in memory for NULL, and opens it. */
static int make(const struct pn_pack_job *job, const char *path, struct pn_packed **ret, struct pn_err *err)
{
    struct pn_packed_writer *out = NULL;
    int r = pn_packed_writer_new(path, &job->key, &out, err);
    if (r == 0 && job->add)
        r = job->add(job->model, out, err);
    if (r == 0)
        r = pn_pack(job, out, err);
    if (r < 0) {
        pn_packed_writer_free(out);
        return r;
    }
    return pn_packed_commit(out, ret, err);
}

/* A file that cannot be written (full disk, lost race, no right) is not a reason to fail: memory is. */
static int pack_anew(const struct pn_pack_job *job, const char *path, struct pn_packed **ret,
                     struct pn_err *err)
{
    struct pn_packed *packed = NULL;
    struct pn_err first = { 0 };
    int r = -PN_EIO;
    if (path)
        r = make(job, path, &packed, &first);
    if (r == -PN_EIO || r == -PN_ENOMEM) {
        first = (struct pn_err){ 0 };
        r = make(job, NULL, &packed, &first);
    }
    if (r == 0)
        return bind(job, packed, ret, err);
    if (!first.code)
        return pn_fail(err, (enum pn_error) - r, "%s: %s", job->path, pn_error_name(r));
    return pn_fail(err, (enum pn_error)first.code, "%s: %s", job->path, first.text);
}

int pn_pack_open(const struct pn_pack_job *job, struct pn_packed **ret, struct pn_err *err)
{
    char path[PATH_MAX];
    struct pn_packed *packed = NULL;
    int r = pn_parts_check(job->parts);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s: %s", job->path, pn_error_name(r));
    bool file = !job->no_packed_file &&
                pn_packed_path(job->path, job->cache_dir, job->key.precision, path, sizeof(path)) == 0;
    if (file && pn_packed_open(path, &job->key, &packed, NULL) == 0 && bind(job, packed, ret, NULL) == 0)
        return 0;
    return pack_anew(job, file ? path : NULL, ret, err);
}
