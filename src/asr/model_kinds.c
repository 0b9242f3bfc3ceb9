/* model_kinds.c - see model_kinds.h. */
#include "asr/model_kinds.h"

#include "asr/paraformer/paraformer.h"
#include "asr/sphinx/sphinx.h"
#include "asr/whisper/recognizer.h"
#include "base/str.h"
#include "model/caches.h"
#include "model/funasr.h"
#include "model/model_ref.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_sphinx(struct pn_str name)
{
    return pn_str_is(name, "sphinx");
}

bool pn_model_is_known(const char *name)
{
    struct pn_model_ref ref;
    return is_sphinx(pn_str(name)) || (pn_model_ref_parse(name, &ref) == 0 && ref.e);
}

/* Names of recognisers, as many as fit. Quantised variants go without saying. */
static void put_known(char *out, size_t cap)
{
    const struct pn_catalogue_entry *e;
    size_t used = (size_t)snprintf(out, cap, "sphinx");
    for (size_t i = 0; (e = pn_catalogue_at(i)); i++) {
        bool wanted = e->kind == PN_MODEL_PARAFORMER || (e->kind == PN_MODEL_WHISPER && e->sha256);
        size_t n = strlen(e->name) + 2;
        if (!wanted)
            continue;
        if (used + n + strlen(", ...") >= cap) {
            (void)snprintf(out + used, cap - used, ", ...");
            return;
        }
        used += (size_t)snprintf(out + used, cap - used, ", %s", e->name);
    }
}

/* `folder` is named for who chose it, not for who asks over the network: NULL then. */
static int unknown_model(struct pn_str name, const char *folder, struct pn_err *err)
{
    bool named = folder && folder[0];
    char known[170], text[PN_MODEL_NAME_MAX + 1];
    put_known(known, sizeof(known));
    if (pn_str_copy(text, sizeof(text), name) == 0 && pn_catalogue_hint(text))
        return pn_fail(err, PN_ENOTFOUND, "%s", pn_catalogue_hint(text));
    return pn_fail(err, PN_ENOTFOUND, "unknown model '%.*s'%s%.80s; known: %s",
                   (int)PN_MIN(name.len, (size_t)40), name.ptr, named ? ": it is not in " : "",
                   named ? folder : "", known);
}

/* "base" of "/models/ggml-base.bin", of "base.pt", of a folder "base/". */
static void name_of_path(const char *path, char name[PN_MODEL_NAME_MAX + 1])
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
    s.len = PN_MIN(s.len, (size_t)PN_MODEL_NAME_MAX);
    memcpy(name, s.ptr, s.len);
    name[s.len] = '\0';
}

static int locate(const struct pn_model_loader *l, const char *name, bool allow_path,
                  struct pn_model_source *ret, struct pn_err *err)
{
    struct pn_model_ref ref;
    bool named = pn_model_ref_parse(name, &ref) == 0;
    struct pn_locate_options opt = { .model_dir = l->model_dir, .names_only = !allow_path };
    struct pn_err why = { 0 };
    int r = pn_model_locate(name, &opt, ret->path, sizeof(ret->path), &why);
    if (r == -PN_ENOTFOUND && !(named && ref.e) && !(allow_path && strchr(name, '/')))
        return unknown_model(pn_str(name), allow_path ? l->model_dir : NULL, err);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", why.text);
    bool is_path = !named || (ref.repository[0] && !ref.e && access(name, F_OK) == 0);
    if (is_path)
        name_of_path(ret->path, ret->name);
    else if (ref.e || ref.repository[0])
        memcpy(ret->name, ref.name, sizeof(ret->name));
    else
        name_of_path(name, ret->name);
    return 0;
}

int pn_model_find(const struct pn_model_loader *l, struct pn_str name, bool allow_path,
                  struct pn_model_source *ret, struct pn_err *err)
{
    struct pn_model_source found = { 0 };
    char text[sizeof(found.path)];
    struct pn_model_ref ref;
    if (is_sphinx(name)) {
        *ret = (struct pn_model_source){ .name = "sphinx" };
        return 0;
    }
    if (pn_str_copy(text, sizeof(text), name) < 0 ||
        (!allow_path && !pn_model_name_ok(text) && !(pn_model_ref_parse(text, &ref) == 0 && ref.e)))
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

static int no_recogniser(const struct pn_model_source *source, enum pn_model_kind kind, struct pn_err *err)
{
    return pn_fail(err, PN_EUNSUPPORTED, "model '%.80s' is for %s and recognises no speech", source->name,
                   pn_model_kind_name(kind));
}

/* The class in its folder decides, whatever the model is called. */
static int load_funasr(const struct pn_model_loader *l, const struct pn_model_source *source,
                       struct pn_recognizer **ret, struct pn_err *err)
{
    char class[PN_FUNASR_CLASS_MAX];
    enum pn_model_kind kind;
    int r = pn_funasr_class_of(source->path, class, err);
    if (r < 0)
        return r;
    if (pn_model_kind_of_class(class, &kind) < 0)
        return pn_fail(err, PN_EUNSUPPORTED, "model '%.80s': Pinna does not know the class %.64s",
                       source->name, class);
    if (kind != PN_MODEL_PARAFORMER)
        return no_recogniser(source, kind, err);
    return load_paraformer(l, source, ret, err);
}

int pn_model_load(const struct pn_model_loader *l, const struct pn_model_source *source,
                  struct pn_recognizer **ret, struct pn_err *err)
{
    if (is_sphinx(pn_str(source->name)) && source->path[0] == '\0')
        return pn_sphinx_new(PN_SPHINX_MODEL_DIR, l->threads, ret, err);
    if (pn_funasr_is_folder(source->path))
        return load_funasr(l, source, ret, err);
    const struct pn_catalogue_entry *known = pn_catalogue_find(source->name);
    if (known && known->kind != PN_MODEL_WHISPER && known->kind != PN_MODEL_PARAFORMER)
        return no_recogniser(source, known->kind, err);
    return load_whisper(l, source, ret, err);
}
