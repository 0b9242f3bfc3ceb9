/* mirror.c - see mirror.h. Everything is copied into an arena; the JSON is gone when it has been read. */
#include "model/mirror.h"

#include "base/arena.h"
#include "base/file.h"

#include <ctype.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_BYTES = 1 << 20, MAX_MODELS = 256, MAX_FILES = 64, MAX_URL = 2000, MAX_TEXT = 100 };

struct pn_mirror {
    struct pn_arena *arena;
    struct pn_catalogue_entry *models;
    size_t n;
};

/* What one model's parts are read with. */
struct reader {
    const char *path; /* of the catalogue */
    const char *name; /* of the model, "" while it is not known */
    struct pn_arena *arena;
    struct pn_err *err;
};

static int refuse(const struct reader *rd, const char *what)
{
    return pn_fail(rd->err, PN_EFORMAT, "%.80s: model '%.64s': %s", rd->path, rd->name, what);
}

static int no_memory(const struct reader *rd)
{
    return pn_fail(rd->err, PN_ENOMEM, "no memory for %.80s", rd->path);
}

static int keep(const struct reader *rd, const char *text, const char **ret)
{
    *ret = pn_arena_str(rd->arena, pn_str(text));
    return *ret ? 0 : no_memory(rd);
}

static bool is_url(const char *text)
{
    return (strncmp(text, "http://", 7) == 0 || strncmp(text, "https://", 8) == 0) &&
           strlen(text) <= MAX_URL && strpbrk(text, " \t\r\n") == NULL;
}

static int read_digest(const struct reader *rd, const json_t *file, const char **ret)
{
    const char *text = json_string_value(json_object_get(file, "sha256"));
    if (!text || strlen(text) != 64 || strspn(text, "0123456789abcdefABCDEF") != 64)
        return refuse(rd, "\"sha256\" must be 64 hexadecimal digits");
    char *digest = pn_arena_strndup(rd->arena, text, 64);
    if (!digest)
        return no_memory(rd);
    for (char *p = digest; *p; p++)
        *p = (char)tolower((unsigned char)*p);
    *ret = digest;
    return 0;
}

static int read_file(const struct reader *rd, const json_t *file, struct pn_model_file *f)
{
    const char *path = json_string_value(json_object_get(file, "path"));
    const char *url = json_string_value(json_object_get(file, "url"));
    const json_t *size = json_object_get(file, "size");
    if (!path || !pn_model_name_ok(path))
        return refuse(rd, "\"path\" must be a plain file name");
    if (!url || !is_url(url))
        return refuse(rd, "\"url\" must begin with http:// or https://");
    if (size && (!json_is_integer(size) || json_integer_value(size) < 0))
        return refuse(rd, "\"size\" must be a number of bytes");
    f->size = size ? json_integer_value(size) : -1;
    int r = keep(rd, path, &f->path);
    if (r == 0)
        r = keep(rd, url, &f->url);
    return r == 0 ? read_digest(rd, file, &f->digest) : r;
}

/* So that caches.c finds it without this catalogue. */
static bool is_named_after(const struct pn_model_file *f, const struct pn_catalogue_entry *e)
{
    char torch[PN_MODEL_NAME_MAX + 16], ggml[PN_MODEL_NAME_MAX + 16];
    snprintf(torch, sizeof(torch), "%s.pt", e->name);
    snprintf(ggml, sizeof(ggml), "ggml-%s.bin", e->name);
    return strcmp(f->path, torch) == 0 || strcmp(f->path, ggml) == 0 || strcmp(f->path, e->name) == 0;
}

static int read_files(const struct reader *rd, const json_t *model, struct pn_catalogue_entry *e)
{
    const json_t *files = json_object_get(model, "files");
    size_t n = json_array_size(files);
    if (n == 0 || n > MAX_FILES)
        return refuse(rd, "\"files\" must be a list of 1 to 64 files");
    struct pn_model_file *list = pn_arena_alloc(rd->arena, n * sizeof(*list));
    if (!list)
        return no_memory(rd);
    e->size = 0;
    for (size_t i = 0; i < n; i++) {
        int r = read_file(rd, json_array_get(files, i), &list[i]);
        if (r == 0 && list[i].size > 0 && __builtin_add_overflow(e->size, list[i].size, &e->size))
            r = refuse(rd, "the sizes are too large");
        if (r < 0)
            return r;
    }
    e->files = list;
    e->n_files = n;
    return e->is_folder || is_named_after(&list[0], e)
               ? 0
               : refuse(rd, "the first file must be NAME.pt or "
                            "ggml-NAME.bin, else say \"folder\": true");
}

static int read_model(struct reader *rd, const json_t *model, struct pn_catalogue_entry *e)
{
    const char *name = json_string_value(json_object_get(model, "name"));
    const char *kind = json_string_value(json_object_get(model, "kind"));
    const char *languages = json_string_value(json_object_get(model, "languages"));
    rd->name = name ? name : "";
    if (!name || !pn_model_name_ok(name))
        return refuse(rd, "\"name\" must be letters, digits, '.', '_' and '-'");
    if (!kind || pn_model_kind_parse(kind, &e->kind) < 0)
        return refuse(rd, "\"kind\" must be whisper, paraformer, vad, punctuation or vocabulary");
    if (languages && strlen(languages) > MAX_TEXT)
        return refuse(rd, "\"languages\" is too long");
    e->is_folder = json_is_true(json_object_get(model, "folder"));
    int r = keep(rd, name, &e->name);
    if (r == 0)
        r = keep(rd, languages ? languages : "?", &e->languages);
    return r == 0 ? read_files(rd, model, e) : r;
}

static int read_models(struct pn_mirror *m, const char *path, const json_t *root, struct pn_err *err)
{
    struct reader rd = { .path = path, .name = "", .arena = m->arena, .err = err };
    const json_t *models = json_object_get(root, "models");
    size_t n = json_array_size(models);
    if (!json_is_array(models) || n > MAX_MODELS)
        return refuse(&rd, "\"models\" must be a list of at most 256 models");
    m->models = pn_arena_alloc(m->arena, (n + 1) * sizeof(*m->models));
    if (!m->models)
        return no_memory(&rd);
    for (size_t i = 0; i < n; i++) {
        int r = read_model(&rd, json_array_get(models, i), &m->models[i]);
        if (r < 0)
            return r;
    }
    m->n = n;
    return 0;
}

static int parse(struct pn_mirror *m, const char *path, struct pn_str text, struct pn_err *err)
{
    json_error_t where;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &where);
    if (!root)
        return pn_fail(err, PN_EFORMAT, "%.80s:%d: %.120s", path, where.line, where.text);
    int r = read_models(m, path, root, err);
    json_decref(root);
    return r;
}

int pn_mirror_read(const char *path, struct pn_mirror **ret, struct pn_err *err)
{
    struct pn_buf text;
    if (path[0] == '\0') {
        *ret = NULL;
        return 0;
    }
    pn_buf_init(&text, MAX_BYTES);
    struct pn_mirror *m = calloc(1, sizeof(*m));
    int r = m && pn_arena_new((size_t)8 << 20, &m->arena) == 0 ? 0 : -PN_ENOMEM;
    if (r < 0)
        r = pn_fail(err, PN_ENOMEM, "no memory for %.80s", path);
    if (r == 0)
        r = pn_file_read(path, &text, err);
    if (r == 0)
        r = parse(m, path, (struct pn_str){ text.ptr, text.len }, err);
    pn_buf_done(&text);
    if (r < 0)
        pn_mirror_free(m);
    else
        *ret = m;
    return r;
}

struct pn_mirror *pn_mirror_free(struct pn_mirror *m)
{
    if (m) {
        pn_arena_free(m->arena);
        free(m);
    }
    return NULL;
}

const struct pn_catalogue_entry *pn_mirror_at(const struct pn_mirror *m, size_t i)
{
    return m && i < m->n ? &m->models[i] : NULL;
}

const struct pn_catalogue_entry *pn_mirror_find(const struct pn_mirror *m, const char *name)
{
    for (size_t i = 0; m && i < m->n; i++)
        if (strcmp(m->models[i].name, name) == 0)
            return &m->models[i];
    return NULL;
}
