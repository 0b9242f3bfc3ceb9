/* source.c - see source.h. The address schemes of OpenAI, the Hugging Face hub and ModelScope. */
#include "model/source.h"

#include <jansson.h>
#include <string.h>

#define OPENAI_URL       "https://openaipublic.azureedge.net/main/whisper/models"
#define HUGGING_FACE_URL "https://huggingface.co/"
#define GGML_REPOSITORY  "ggerganov/whisper.cpp"

struct builder {
    const struct pn_pull_options *opt;
    const char *revision; /* "": the newest */
    struct pn_arena *arena;
    struct pn_source *s;
    bool failed; /* no memory */
};

/* Appends a file; a NULL is memory that could not be had. */
static void add(struct builder *b, const char *path, const char *url, const char *digest, int64_t size)
{
    if (!path || !url || b->s->n == PN_SOURCE_FILES_MAX) {
        b->failed = true;
        return;
    }
    bool optional = path[0] == '?';
    b->s->files[b->s->n++] = (struct pn_source_file){ path + optional, url, digest, size, optional };
}

static int trimmed(const char *url) /* length without slashes at the end */
{
    size_t n = strlen(url);
    while (n > 0 && url[n - 1] == '/')
        n--;
    return (int)n;
}

static const char *hf_url(struct builder *b, const char *repository, const char *file)
{
    const char *end = b->opt->hf_endpoint;
    return pn_arena_printf(b->arena, "%.*s/%s/resolve/%s/%s", trimmed(end), end, repository,
                           b->revision[0] ? b->revision : "main", file);
}

/* A constant address with the mirrors put in. */
static const char *mirrored(struct builder *b, const char *url)
{
    const char *end = b->opt->model_url, *slash = strrchr(url, '/');
    if (strncmp(url, HUGGING_FACE_URL, strlen(HUGGING_FACE_URL)) == 0)
        return pn_arena_printf(b->arena, "%.*s/%s", trimmed(b->opt->hf_endpoint), b->opt->hf_endpoint,
                               url + strlen(HUGGING_FACE_URL));
    if (end[0] && slash && strstr(url, "/openai/whisper/"))
        return pn_arena_printf(b->arena, "%.*s/%s", trimmed(end), end, slash + 1);
    return url;
}

static void add_files(struct builder *b, const struct pn_catalogue_entry *e, bool built_in)
{
    for (size_t i = 0; i < e->n_files; i++) {
        const struct pn_model_file *f = &e->files[i];
        add(b, f->path, built_in ? mirrored(b, f->url) : f->url, f->digest, f->size);
    }
}

static void add_openai(struct builder *b, const struct pn_catalogue_entry *e)
{
    const char *end = b->opt->model_url[0] ? b->opt->model_url : OPENAI_URL;
    b->s->label = "OpenAI";
    b->s->needs_ranks = e->ranks != NULL;
    add(b, pn_arena_printf(b->arena, "%s.pt", e->name),
        pn_arena_printf(b->arena, "%.*s/%s/%s.pt", trimmed(end), end, e->sha256, e->name), e->sha256, -1);
}

static void add_hugging_face(struct builder *b, const struct pn_catalogue_entry *e)
{
    b->s->label = "the Hugging Face hub";
    b->s->is_folder = true;
    for (const char *const *f = e->folder; *f; f++)
        add(b, *f, hf_url(b, e->hugging_face, *f + (**f == '?')), NULL, -1);
}

static void add_ggml(struct builder *b, const struct pn_catalogue_entry *e)
{
    const char *file = pn_arena_printf(b->arena, "ggml-%s.bin", e->name);
    b->s->label = "whisper.cpp's models on the Hugging Face hub";
    b->s->same_server = e->hugging_face != NULL;
    if (!file)
        b->failed = true;
    else
        add(b, file, hf_url(b, GGML_REPOSITORY, file), e->sha1, -1);
}

static void add_modelscope(struct builder *b, const struct pn_catalogue_entry *e)
{
    const char *end = b->opt->modelscope_endpoint, *revision = b->revision[0] ? b->revision : "master";
    int n = trimmed(end);
    b->s->label = "ModelScope";
    b->s->is_folder = true;
    b->s->list_url = pn_arena_printf(b->arena, "%.*s/api/v1/models/%s/repo/files?Revision=%s&Recursive=True",
                                     n, end, e->modelscope, revision);
    b->failed |= !b->s->list_url;
    for (const char *const *f = e->folder; *f; f++)
        add(b, *f,
            pn_arena_printf(b->arena, "%.*s/api/v1/models/%s/repo?Revision=%s&FilePath=%s", n, end,
                            e->modelscope, revision, *f + (**f == '?')),
            NULL, -1);
}

int pn_sources(const struct pn_catalogue_entry *e, const char *revision, const struct pn_pull_options *opt,
               struct pn_arena *arena, struct pn_source sources[PN_SOURCES_MAX])
{
    struct builder b = { .opt = opt, .revision = revision, .arena = arena, .s = sources };
    memset(sources, 0, PN_SOURCES_MAX * sizeof(*sources));
    if (e->n_files > 0 && !revision[0]) {
        b.s->label = "its server";
        b.s->is_folder = e->is_folder;
        add_files(&b, e, e == pn_catalogue_find(e->name));
        b.s++;
    }
    if (e->modelscope) {
        add_modelscope(&b, e);
        b.s++;
    }
    if (e->sha256 && !revision[0]) {
        add_openai(&b, e);
        b.s++;
    }
    if (e->hugging_face) {
        add_hugging_face(&b, e);
        b.s++;
    }
    if (e->sha1 && !revision[0] && b.s < sources + PN_SOURCES_MAX) {
        add_ggml(&b, e);
        b.s++;
    }
    return b.failed ? -PN_ENOMEM : (int)(b.s - sources);
}

/* ---- ModelScope's listing ---- */

static const json_t *find_listed(const json_t *files, const char *path)
{
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file)
    {
        const char *p = json_string_value(json_object_get(file, "Path"));
        const char *type = json_string_value(json_object_get(file, "Type"));
        if (p && strcmp(p, path) == 0 && (!type || strcmp(type, "tree") != 0))
            return file;
    }
    return NULL;
}

static int take_listed(struct pn_source_file *f, const json_t *listed, struct pn_arena *arena,
                       struct pn_err *err)
{
    const char *digest = json_string_value(json_object_get(listed, "Sha256"));
    const json_t *size = json_object_get(listed, "Size");
    if (json_is_integer(size) && json_integer_value(size) > 0)
        f->size = json_integer_value(size);
    if (!digest || strlen(digest) != 64 || strspn(digest, "0123456789abcdef") != 64)
        return 0;
    f->digest = pn_arena_strndup(arena, digest, 64);
    return f->digest ? 0 : pn_fail(err, PN_ENOMEM, "no memory for the listing");
}

static int take_all_listed(struct pn_source *s, const json_t *files, struct pn_arena *arena,
                           struct pn_err *err)
{
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct pn_source_file f = s->files[i];
        const json_t *listed = find_listed(files, f.path);
        if (!listed && f.optional)
            continue;
        if (!listed && find_listed(files, "model.pb"))
            return pn_fail(
                err, PN_EUNSUPPORTED,
                "the repository has a model from before v2.0 (model.pb): ask for a later revision");
        if (!listed)
            return pn_fail(err, PN_ENOTFOUND, "the repository has no %s", f.path);
        int r = take_listed(&f, listed, arena, err);
        if (r < 0)
            return r;
        s->files[kept++] = f;
    }
    s->n = kept;
    return 0;
}

int pn_source_read_listing(struct pn_source *s, struct pn_str text, struct pn_arena *arena,
                           struct pn_err *err)
{
    json_error_t where;
    json_t *root = json_loadb(text.ptr ? text.ptr : "", text.len, 0, &where);
    if (!root)
        return pn_fail(err, PN_EFORMAT, "the listing is no JSON: line %d: %.100s", where.line, where.text);
    const json_t *files = json_object_get(json_object_get(root, "Data"), "Files");
    int r = json_is_array(files) ? take_all_listed(s, files, arena, err)
                                 : pn_fail(err, PN_EFORMAT, "the listing names no files");
    json_decref(root);
    return r;
}
