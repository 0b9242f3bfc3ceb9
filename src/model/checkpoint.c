/* checkpoint.c - see checkpoint.h: which format a file has, and what all of them share. */
#include "model/checkpoint_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A vocabulary of 2^20 tokens and the names of a folder's tensors fit many times. */
static const size_t MAX_STRINGS = (size_t)256 << 20;

int pn_checkpoint_map(struct pn_checkpoint *c, const char *path, struct pn_str *ret, struct pn_err *err)
{
    if (c->n_maps == PN_CHECKPOINT_MAX_MAPS)
        return pn_fail(err, PN_ELIMIT, "a checkpoint of more than %d files", PN_CHECKPOINT_MAX_MAPS);
    struct pn_mapping *m = &c->maps[c->n_maps];
    int r = pn_mapping_open(path, m, err);
    if (r < 0)
        return r;
    c->n_maps++;
    *ret = (struct pn_str){ (const char *)m->ptr, m->size };
    return 0;
}

static bool good_name(struct pn_str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < ' ' || name.ptr[i] == 127)
            return false;
    return name.len > 0 && name.len <= PN_CHECKPOINT_MAX_NAME;
}

static int more_tensors(struct pn_checkpoint *c, struct pn_err *err)
{
    if (c->n_tensors < c->cap_tensors)
        return 0;
    if (c->n_tensors == PN_CHECKPOINT_MAX_TENSORS)
        return pn_fail(err, PN_ELIMIT, "the checkpoint holds more than %d tensors",
                       PN_CHECKPOINT_MAX_TENSORS);
    size_t cap = c->cap_tensors ? c->cap_tensors * 2 : 256;
    struct pn_tensor *larger = reallocarray(c->tensors, cap, sizeof(*larger));
    if (!larger)
        return pn_fail(err, PN_ENOMEM, "no memory for the list of tensors");
    c->tensors = larger;
    c->cap_tensors = cap;
    return 0;
}

int pn_checkpoint_add(struct pn_checkpoint *c, struct pn_tensor t, size_t at, struct pn_tensor **ret,
                      struct pn_err *err)
{
    if (!good_name(t.name))
        return pn_fail(err, PN_EFORMAT, "the tensor described at byte %zu has no usable name", at);
    int r = pn_tensor_measure(&t);
    if (r < 0)
        return pn_fail(err, PN_EFORMAT, "tensor '%.*s' at byte %zu has impossible sizes",
                       (int)PN_MIN(t.name.len, 80u), t.name.ptr, at);
    r = more_tensors(c, err);
    if (r < 0)
        return r;
    c->tensors[c->n_tensors] = t;
    *ret = &c->tensors[c->n_tensors++];
    return 0;
}

int pn_checkpoint_add_int(struct pn_checkpoint *c, struct pn_str name, int64_t value, struct pn_err *err)
{
    if (c->n_ints == PN_CHECKPOINT_MAX_INTS)
        return pn_fail(err, PN_ELIMIT, "the checkpoint states more than %d numbers", PN_CHECKPOINT_MAX_INTS);
    c->ints[c->n_ints++] = (struct pn_checkpoint_number){ name, value };
    return 0;
}

int pn_checkpoint_make_tokens(struct pn_checkpoint *c, size_t n, struct pn_err *err)
{
    if (n > PN_CHECKPOINT_MAX_TOKENS)
        return pn_fail(err, PN_ELIMIT, "a vocabulary of more than %d tokens", PN_CHECKPOINT_MAX_TOKENS);
    c->tokens = calloc(n ? n : 1, sizeof(*c->tokens));
    if (!c->tokens)
        return pn_fail(err, PN_ENOMEM, "no memory for the vocabulary");
    c->n_tokens = n;
    return 0;
}

/* Files that people have by accident, by how they begin. */
static const struct {
    struct pn_str magic;
    size_t at;
    const char *says;
} STRANGERS[] = {
    { { "\x1f\x8b", 2 }, 0, "is compressed with gzip: unpack it with gunzip first" },
    { { "\x28\xb5\x2f\xfd", 4 }, 0, "is compressed with zstd: unpack it first" },
    { { "\xfd"
        "7zXZ",
        5 },
      0,
      "is compressed with xz: unpack it first" },
    { { "BZh", 3 }, 0, "is compressed with bzip2: unpack it first" },
    { { "version https://git-lfs", 23 },
      0,
      "is a Git LFS pointer, not the model: fetch it with 'git lfs pull'" },
    { { "<", 1 }, 0, "is a web page (HTML or XML), not a model: the download went wrong" },
    { { "GGUF", 4 }, 0, "is a GGUF file; Whisper models come as whisper.cpp's ggml .bin" },
    { { "\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14 },
      0,
      "is in torch's format from before 1.6: load and save it again with a newer torch" },
    { { "\x80", 1 }, 0, "is a bare pickle, not a checkpoint archive: save it again with torch.save" },
    { { "ustar", 5 },
      257,
      "is a tar archive (torch's oldest format is one): save it again with a newer torch" },
    { { "\x08\x07", 2 }, 0, "is not a model that Pinna knows (ONNX?)" },
};

static bool begins(struct pn_str file, size_t at, struct pn_str magic)
{
    return file.len >= at + magic.len && memcmp(file.ptr + at, magic.ptr, magic.len) == 0;
}

static int refuse(const char *path, struct pn_str file, struct pn_err *err)
{
    if (file.len == 0)
        return pn_fail(err, PN_EFORMAT, "%.150s is empty", path);
    for (size_t i = 0; i < PN_ARRAY_LEN(STRANGERS); i++)
        if (begins(file, STRANGERS[i].at, STRANGERS[i].magic))
            return pn_fail(err, PN_EUNSUPPORTED, "%.120s %s", path, STRANGERS[i].says);
    return pn_fail(err, PN_EFORMAT, "%.120s is not a model: neither a .pt, a .safetensors nor a ggml .bin",
                   path);
}

/* A safetensors file on its own: its folder's other files belong to it. */
static int read_safetensors(struct pn_checkpoint *c, const char *path, struct pn_err *err)
{
    const char *slash = strrchr(path, '/');
    char folder[4096];
    int n = slash ? snprintf(folder, sizeof(folder), "%.*s", (int)(slash - path), path)
                  : snprintf(folder, sizeof(folder), ".");
    if (n < 0 || (size_t)n >= sizeof(folder))
        return pn_fail(err, PN_ELIMIT, "the path of the model is too long");
    return pn_hf_read(c, folder, slash ? slash + 1 : path, err);
}

static int read_file(struct pn_checkpoint *c, const char *path, struct pn_err *err)
{
    struct pn_str file;
    int r = pn_checkpoint_map(c, path, &file, err);
    if (r < 0)
        return r;
    if (begins(file, 0, PN_STR("PK\x03\x04")) || begins(file, 0, PN_STR("PK\x05\x06")))
        return pn_torch_read(c, file, err);
    if (begins(file, 0, PN_STR("lmgg")))
        return pn_ggml_read(c, file, err);
    if (begins(file, 8, PN_STR("{"))) {
        pn_mapping_close(&c->maps[--c->n_maps]);
        return read_safetensors(c, path, err);
    }
    return refuse(path, file, err);
}

static int compare_tensor_names(const void *a, const void *b, void *ctx)
{
    const struct pn_checkpoint *c = ctx;
    struct pn_str x = c->tensors[*(const uint32_t *)a].name, y = c->tensors[*(const uint32_t *)b].name;
    int d = memcmp(x.ptr, y.ptr, PN_MIN(x.len, y.len));
    return d ? d : (x.len > y.len) - (x.len < y.len);
}

int pn_checkpoint_index(struct pn_checkpoint *c, struct pn_err *err)
{
    if (c->n_tensors == 0)
        return pn_fail(err, PN_EFORMAT, "the checkpoint holds no weights");
    c->by_name = calloc(c->n_tensors, sizeof(*c->by_name));
    if (!c->by_name)
        return pn_fail(err, PN_ENOMEM, "no memory for the list of tensors");
    for (size_t i = 0; i < c->n_tensors; i++)
        c->by_name[i] = (uint32_t)i;
    qsort_r(c->by_name, c->n_tensors, sizeof(*c->by_name), compare_tensor_names, c);
    for (size_t i = 1; i < c->n_tensors; i++)
        if (compare_tensor_names(&c->by_name[i - 1], &c->by_name[i], c) == 0)
            return pn_fail(err, PN_EFORMAT, "the checkpoint holds tensor '%.*s' twice",
                           (int)c->tensors[c->by_name[i]].name.len, c->tensors[c->by_name[i]].name.ptr);
    return 0;
}

static int open_path(struct pn_checkpoint *c, const char *path, struct pn_err *err)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? pn_fail(err, PN_ENOTFOUND, "there is no file %.150s", path)
                   : pn_fail_errno(err, "cannot look at %.150s", path);
    int r = S_ISDIR(st.st_mode) ? pn_hf_read(c, path, NULL, err) : read_file(c, path, err);
    return r < 0 ? r : pn_checkpoint_index(c, err);
}

int pn_checkpoint_new(struct pn_checkpoint **ret, struct pn_err *err)
{
    struct pn_checkpoint *c = calloc(1, sizeof(*c));
    if (!c || !(c->maps = calloc(PN_CHECKPOINT_MAX_MAPS, sizeof(*c->maps))) ||
        !(c->ints = calloc(PN_CHECKPOINT_MAX_INTS, sizeof(*c->ints))) ||
        pn_arena_new(MAX_STRINGS, &c->strings) < 0) {
        pn_checkpoint_close(c);
        return pn_fail(err, PN_ENOMEM, "no memory for the checkpoint");
    }
    pn_digest_init(&c->digest);
    *ret = c;
    return 0;
}

int pn_checkpoint_open(const char *path, struct pn_checkpoint **ret, struct pn_err *err)
{
    struct pn_checkpoint *c = NULL;
    int r = pn_checkpoint_new(&c, err);
    if (r == 0)
        r = open_path(c, path, err);
    if (r < 0)
        c = pn_checkpoint_close(c);
    else
        *ret = c;
    return r;
}

struct pn_checkpoint *pn_checkpoint_close(struct pn_checkpoint *c)
{
    if (!c)
        return NULL;
    for (size_t i = 0; i < c->n_maps; i++)
        pn_mapping_close(&c->maps[i]);
    free(c->maps);
    free(c->tensors);
    free(c->by_name);
    free(c->ints);
    free(c->tokens);
    pn_arena_free(c->strings);
    free(c);
    return NULL;
}

enum pn_checkpoint_kind pn_checkpoint_kind(const struct pn_checkpoint *c)
{
    return c->kind;
}

size_t pn_checkpoint_count(const struct pn_checkpoint *c)
{
    return c->n_tensors;
}

const struct pn_tensor *pn_checkpoint_at(const struct pn_checkpoint *c, size_t i)
{
    return &c->tensors[i];
}

static int compare_name(struct pn_str a, struct pn_str b)
{
    int d = a.len && b.len ? memcmp(a.ptr, b.ptr, PN_MIN(a.len, b.len)) : 0;
    return d ? d : (a.len > b.len) - (a.len < b.len);
}

const struct pn_tensor *pn_checkpoint_find(const struct pn_checkpoint *c, const char *name)
{
    size_t from = 0, to = c->n_tensors;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        const struct pn_tensor *t = &c->tensors[c->by_name[mid]];
        int d = compare_name(pn_str(name), t->name);
        if (d == 0)
            return t;
        if (d < 0)
            to = mid;
        else
            from = mid + 1;
    }
    return NULL;
}

int pn_checkpoint_int(const struct pn_checkpoint *c, const char *name, int64_t *ret)
{
    for (size_t i = 0; i < c->n_ints; i++)
        if (pn_str_is(c->ints[i].name, name)) {
            *ret = c->ints[i].value;
            return 0;
        }
    return -PN_ENOTFOUND;
}

size_t pn_checkpoint_n_tokens(const struct pn_checkpoint *c)
{
    return c->n_tokens;
}

struct pn_str pn_checkpoint_token(const struct pn_checkpoint *c, size_t id)
{
    return id < c->n_tokens ? c->tokens[id] : (struct pn_str){ 0 };
}

struct pn_str pn_checkpoint_file(const struct pn_checkpoint *c, const char *name)
{
    for (size_t i = 0; i < c->n_files; i++)
        if (strcmp(c->files[i].name, name) == 0)
            return c->files[i].bytes;
    return (struct pn_str){ 0 };
}

struct pn_source_id pn_checkpoint_id(const struct pn_checkpoint *c)
{
    struct pn_source_id id = { 0 };
    for (size_t i = 0; i < c->n_maps; i++) {
        id.size += c->maps[i].size;
        id.mtime_ns = PN_MAX(id.mtime_ns, c->maps[i].mtime_ns);
    }
    pn_digest_done(&c->digest, id.hash);
    return id;
}
