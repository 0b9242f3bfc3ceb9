/* model_kinds.c - see model_kinds.h. */
#include "asr/model_kinds.h"

#include "asr/paraformer/paraformer.h"
#include "asr/sphinx/sphinx.h"
#include "asr/whisper/recognizer.h"
#include "base/str.h"
#include "model/caches.h"
#include "model/funasr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_sphinx(struct pn_str name)
{
    return pn_str_is(name, "sphinx");
}

bool pn_model_is_known(const char *name)
{
    return is_sphinx(pn_str(name)) || pn_catalogue_find(name);
}

/* `folder` is named for who chose it, not for who asks over the network: NULL then. */
static int unknown_model(struct pn_str name, const char *folder, struct pn_err *err)
{
    bool named = folder && folder[0];
    char known[256];
    size_t used = 0;
    const struct pn_catalogue_entry *e;
    for (size_t i = 0; (e = pn_catalogue_at(i)) && used < sizeof(known); i++)
        if (e->kind == PN_MODEL_WHISPER)
            used += (size_t)snprintf(known + used, sizeof(known) - used, ", %s", e->name);
    return pn_fail(err, PN_ENOTFOUND, "unknown model '%.*s'%s%.80s; known: sphinx%s",
                   (int)PN_MIN(name.len, (size_t)40), name.ptr, named ? ": it is not in " : "",
                   named ? folder : "", known);
}

/* "base" of "/models/ggml-base.bin", of "base.pt", of a folder "base/". */
static void name_of_path(const char *path, char name[64])
{
    struct pn_str s = pn_str(path);
    while (s.len > 1 && s.ptr[s.len - 1] == '/')
        s.len--;
    const char *slash = memrchr(s.ptr, '/', s.len);
    if (slash && s.len > 1)
        s = (struct pn_str){ slash + 1, s.len - (size_t)(slash + 1 - s.ptr) };
    static const char *const SUFFIXES[] = { ".pt", ".bin", ".safetensors" };
    for (size_t i = 0; i < PN_ARRAY_LEN(SUFFIXES); i++) {
        size_t n = strlen(SUFFIXES[i]);
        if (s.len > n && memcmp(s.ptr + s.len - n, SUFFIXES[i], n) == 0)
            s.len -= n;
    }
    if (s.len > 5 && memcmp(s.ptr, "ggml-", 5) == 0)
        s = (struct pn_str){ s.ptr + 5, s.len - 5 };
    s.len = PN_MIN(s.len, (size_t)63);
    memcpy(name, s.ptr, s.len);
    name[s.len] = '\0';
}

static int locate(const struct pn_model_loader *l, const char *name, bool allow_path,
                  struct pn_model_source *ret, struct pn_err *err)
{
    const struct pn_catalogue_entry *known = pn_catalogue_find(name);
    struct pn_locate_options opt = { .model_dir = l->model_dir, .names_only = !allow_path };
    struct pn_err why = { 0 };
    int r = pn_model_locate(name, &opt, ret->path, sizeof(ret->path), &why);
    if (r == -PN_ENOTFOUND && !known && !(allow_path && strchr(name, '/')))
        return unknown_model(pn_str(name), allow_path ? l->model_dir : NULL, err);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", why.text);
    name_of_path(known ? known->name : strchr(name, '/') ? ret->path : name, ret->name);
    return 0;
}

int pn_model_find(const struct pn_model_loader *l, struct pn_str name, bool allow_path,
                  struct pn_model_source *ret, struct pn_err *err)
{
    struct pn_model_source found = { 0 };
    char text[sizeof(found.path)];
    if (is_sphinx(name)) {
        *ret = (struct pn_model_source){ .name = "sphinx" };
        return 0;
    }
    if (pn_str_copy(text, sizeof(text), name) < 0 || (!allow_path && !pn_model_name_ok(text)))
        return unknown_model(name, NULL, err);
    int r = locate(l, text, allow_path, &found, err);
    if (r == 0)
        *ret = found;
    return r;
}

static int load_whisper(const struct pn_model_loader *l, const struct pn_model_source *source,
                        struct pn_recognizer **ret, struct pn_err *err)
{
    const struct pn_whisper_options opt = { .path = source->path,
                                            .name = source->name,
                                            .model_dir = l->model_dir,
                                            .cache_dir = l->cache_dir,
                                            .precision = l->precision,
                                            .pool = l->packing_pool,
                                            .progress = l->progress,
                                            .ctx = l->ctx };
    struct pn_whisper *w = NULL;
    struct pn_err why = { 0 };
    int r = pn_whisper_open(&opt, &w, &why);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%.100s: %s", source->path, why.text);
    if ((r = pn_whisper_recognizer_new(w, l->pool, ret, err)) < 0)
        pn_whisper_close(w);
    return r;
}

static int load_paraformer(const struct pn_model_loader *l, const struct pn_model_source *source,
                           struct pn_recognizer **ret, struct pn_err *err)
{
    const struct pn_paraformer_options opt = { .path = source->path,
                                               .name = source->name,
                                               .cache_dir = l->cache_dir,
                                               .precision = l->precision,
                                               .pool = l->packing_pool,
                                               .progress = l->progress,
                                               .ctx = l->ctx };
    struct pn_paraformer *p = NULL;
    struct pn_err why = { 0 };
    int r = pn_paraformer_open(&opt, &p, &why);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%.100s: %s", source->path, why.text);
    if ((r = pn_paraformer_recognizer_new(p, l->pool, ret, err)) < 0)
        pn_paraformer_close(p);
    return r;
}

int pn_model_load(const struct pn_model_loader *l, const struct pn_model_source *source,
                  struct pn_recognizer **ret, struct pn_err *err)
{
    if (is_sphinx(pn_str(source->name)) && source->path[0] == '\0')
        return pn_sphinx_new(PN_SPHINX_MODEL_DIR, l->threads, ret, err);
    if (pn_funasr_is_folder(source->path))
        return load_paraformer(l, source, ret, err);
    return load_whisper(l, source, ret, err);
}
