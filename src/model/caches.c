/* caches.c - see caches.h. */
#include "model/caches.h"

#include "base/str.h"
#include "model/hubs.h"
#include "model/model_ref.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SERVICE_DIR "/var/lib/pinna"

static const char *const FORMS[] = { "pt", "folder", "ggml" };
static const char *const PLACES[] = { "models", "whisper", "huggingface", "modelscope" };

const char *pn_model_form_name(enum pn_model_form form)
{
    return FORMS[form];
}

const char *pn_model_place_name(enum pn_model_place place)
{
    return PLACES[place];
}

/* ---- MODEL_DIR ---- */

static bool choose_dir(const struct pn_locate_options *opt, char path[PN_MODEL_PATH_MAX])
{
    const char *state = getenv("STATE_DIRECTORY"), *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    struct stat st;
    if (opt && opt->model_dir && opt->model_dir[0])
        return pn_path_printf(path, "%s", opt->model_dir);
    if (state && *state)
        return pn_path_printf(path, "%.*s/models", (int)strcspn(state, ":"), state);
    if (geteuid() == 0 && stat(SERVICE_DIR, &st) == 0 && S_ISDIR(st.st_mode))
        return pn_path_printf(path, "%s/models", SERVICE_DIR);
    if (data && *data)
        return pn_path_printf(path, "%s/pinna/models", data);
    return home && *home && pn_path_printf(path, "%s/.local/share/pinna/models", home);
}

static int copy_path(const char *from, char *path, size_t cap, struct pn_err *err)
{
    if (pn_str_copy(path, cap, pn_str(from)) < 0)
        return pn_fail(err, PN_ELIMIT, "the path %.100s... is too long", from);
    return 0;
}

int pn_model_dir(const struct pn_locate_options *opt, char *path, size_t cap, struct pn_err *err)
{
    char dir[PN_MODEL_PATH_MAX];
    if (!choose_dir(opt, dir))
        return pn_fail(err, PN_ENOTFOUND, "there is no folder for models: set MODEL_DIR");
    return copy_path(dir, path, cap, err);
}

/* ---- one model ---- */

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), k = strlen(end);
    return n > k && strcmp(text + n - k, end) == 0;
}

static bool names_checkpoint(const char *name)
{
    return ends_with(name, ".pt") || ends_with(name, ".bin") || ends_with(name, ".safetensors");
}

/* A path as given; model.safetensors stands for its folder. */
static bool given_path(const char *name, char path[PN_MODEL_PATH_MAX])
{
    struct stat st;
    if ((!strchr(name, '/') && !(names_checkpoint(name) && pn_is_model_file(name))) || stat(name, &st) < 0)
        return false;
    if (!ends_with(name, ".safetensors"))
        return pn_path_printf(path, "%s", name);
    const char *slash = strrchr(name, '/');
    return pn_path_printf(path, "%.*s", slash ? (int)(slash - name + 1) : 1, slash ? name : ".");
}

static bool in_model_dir(const char *name, const char *dir, char path[PN_MODEL_PATH_MAX])
{
    if (!pn_model_name_ok(name))
        return false;
    return (pn_path_printf(path, "%s/%s.pt", dir, name) && pn_is_model_file(path)) ||
           (pn_path_printf(path, "%s/%s", dir, name) &&
            (pn_is_model_folder(path) || pn_is_model_file(path))) ||
           (pn_path_printf(path, "%s/ggml-%s.bin", dir, name) && pn_is_model_file(path));
}

static bool in_caches(const struct pn_catalogue_entry *e, const char *revision, char path[PN_MODEL_PATH_MAX])
{
    return (e->sha256 && !revision[0] && pn_whisper_cache_find(e->name, path)) ||
           (e->modelscope && pn_modelscope_find(e->modelscope, revision, path)) ||
           (e->hugging_face && pn_hugging_face_find(e->hugging_face, revision, path));
}

static bool find(const char *name, const char *dir, bool names_only, char path[PN_MODEL_PATH_MAX])
{
    struct pn_model_ref ref;
    if ((!names_only && given_path(name, path)) || in_model_dir(name, dir, path))
        return true;
    if (pn_model_ref_parse(name, &ref) < 0)
        return false;
    if (in_model_dir(ref.name, dir, path) || (ref.e && in_caches(ref.e, ref.revision, path)))
        return true;
    return !ref.e && ref.repository[0] &&
           (pn_hugging_face_find(ref.repository, ref.revision, path) ||
            pn_modelscope_find(ref.repository, ref.revision, path));
}

static int not_here(const char *name, const char *dir, struct pn_err *err)
{
    struct pn_model_ref ref;
    bool plain = pn_model_ref_parse(name, &ref) == 0, repository = plain && ref.repository[0];
    if (pn_catalogue_hint(name))
        return pn_fail(err, PN_ENOTFOUND, "%s", pn_catalogue_hint(name));
    if (plain && ref.e)
        return pn_fail(err, PN_ENOTFOUND, "model '%.90s' is not here; this gets it: pinna pull %.90s", name,
                       name);
    if (repository)
        return pn_fail(err, PN_ENOTFOUND,
                       "there is no model at %.80s; if it is a repository, this gets it: pinna pull %.80s",
                       name, name);
    if (strchr(name, '/'))
        return pn_fail(err, PN_ENOTFOUND, "there is no model at %.150s", name);
    return pn_fail(err, PN_ENOTFOUND,
                   "there is no model '%.64s' in %.80s or the catalogue; pinna models lists what there is",
                   name, dir[0] ? dir : "MODEL_DIR");
}

int pn_model_locate(const char *name, const struct pn_locate_options *opt, char *path, size_t cap,
                    struct pn_err *err)
{
    char dir[PN_MODEL_PATH_MAX] = "", found[PN_MODEL_PATH_MAX];
    if (!choose_dir(opt, dir))
        dir[0] = '\0'; /* the caches may still have it */
    if (find(name, dir, opt && opt->names_only, found))
        return copy_path(found, path, cap, err);
    return not_here(name, dir, err);
}

int pn_rank_file_locate(const char *ranks, const char *checkpoint, const struct pn_locate_options *opt,
                        char *path, size_t cap, struct pn_err *err)
{
    char dir[PN_MODEL_PATH_MAX] = "", found[PN_MODEL_PATH_MAX];
    const char *slash = checkpoint ? strrchr(checkpoint, '/') : NULL;
    int len = slash ? (int)(slash - checkpoint) : 1;
    if (checkpoint && pn_path_printf(found, "%.*s/%s", len, slash ? checkpoint : ".", ranks) &&
        pn_is_model_file(found))
        return copy_path(found, path, cap, err);
    if (choose_dir(opt, dir) && pn_path_printf(found, "%s/%s", dir, ranks) && pn_is_model_file(found))
        return copy_path(found, path, cap, err);
    return pn_fail(err, PN_ENOTFOUND,
                   "the vocabulary %.40s is neither beside the model nor in %.80s; this gets it: "
                   "pinna pull %.40s",
                   ranks, dir[0] ? dir : "MODEL_DIR", ranks);
}

/* ---- all of them ---- */

struct listing {
    int (*fn)(void *ctx, const struct pn_model_found *found);
    void *ctx;
    struct pn_model_found found; /* filled anew for each */
};

static int64_t file_size(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? (int64_t)st.st_size : 0;
}

static int64_t folder_size(const char *folder)
{
    char path[PN_MODEL_PATH_MAX];
    int64_t size = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));)
        if (pn_path_printf(path, "%s/%s", folder, e->d_name))
            size += file_size(path);
    if (d)
        closedir(d);
    return size;
}

/* What `path` is, by its look; false when it is no model. `name` gets its stem. */
static bool recognise(struct pn_model_found *f, const char *base)
{
    size_t n = strlen(base), skip = 0, cut = 0;
    if (pn_is_model_folder(f->path)) {
        f->form = PN_FORM_FOLDER;
    } else if (ends_with(base, ".pt") && pn_is_model_file(f->path)) {
        f->form = PN_FORM_TORCH;
        cut = 3;
    } else if (strncmp(base, "ggml-", 5) == 0 && ends_with(base + 5, ".bin") && pn_is_model_file(f->path)) {
        f->form = PN_FORM_GGML;
        skip = 5;
        cut = 4;
    } else {
        return false;
    }
    f->size = f->form == PN_FORM_FOLDER ? folder_size(f->path) : file_size(f->path);
    return pn_str_copy(f->name, sizeof(f->name), (struct pn_str){ base + skip, n - skip - cut }) == 0 &&
           pn_model_name_ok(f->name);
}

static int list_dir(struct listing *l, const char *dir, struct pn_err *err)
{
    struct dirent **entries = NULL;
    int n = scandir(dir, &entries, NULL, alphasort), r = 0;
    if (n < 0 && errno == ENOMEM)
        return pn_fail(err, PN_ENOMEM, "no memory to list %.100s", dir);
    l->found.place = PN_PLACE_MODEL_DIR;
    for (int i = 0; i < n; i++) {
        const char *base = entries[i]->d_name;
        if (r == 0 && base[0] != '.' && pn_path_printf(l->found.path, "%s/%s", dir, base) &&
            recognise(&l->found, base))
            r = l->fn(l->ctx, &l->found);
        free(entries[i]);
    }
    free(entries);
    return r;
}

static int list_cached(struct listing *l, const char *name, enum pn_model_place place)
{
    struct pn_model_found *f = &l->found;
    f->place = place;
    f->form = place == PN_PLACE_WHISPER ? PN_FORM_TORCH : PN_FORM_FOLDER;
    f->size = f->form == PN_FORM_FOLDER ? folder_size(f->path) : file_size(f->path);
    int r = pn_str_copy(f->name, sizeof(f->name), pn_str(name));
    return r == 0 ? l->fn(l->ctx, f) : 0;
}

static int list_caches(struct listing *l, const struct pn_catalogue_entry *e)
{
    char *path = l->found.path;
    int r = 0;
    if (e->sha256 && pn_whisper_cache_find(e->name, path))
        r = list_cached(l, e->name, PN_PLACE_WHISPER);
    if (r == 0 && e->hugging_face && pn_hugging_face_find(e->hugging_face, "", path))
        r = list_cached(l, e->name, PN_PLACE_HUGGING_FACE);
    if (r == 0 && e->modelscope && pn_modelscope_find(e->modelscope, "", path))
        r = list_cached(l, e->name, PN_PLACE_MODELSCOPE);
    return r;
}

int pn_models_each(const struct pn_locate_options *opt,
                   int (*fn)(void *ctx, const struct pn_model_found *found), void *ctx, struct pn_err *err)
{
    char dir[PN_MODEL_PATH_MAX];
    struct listing *l = calloc(1, sizeof(*l));
    if (!l)
        return pn_fail(err, PN_ENOMEM, "no memory to list the models");
    l->fn = fn;
    l->ctx = ctx;
    int r = choose_dir(opt, dir) ? list_dir(l, dir, err) : 0;
    const struct pn_catalogue_entry *e;
    for (size_t i = 0; r == 0 && (e = pn_catalogue_at(i)); i++)
        r = list_caches(l, e);
    free(l);
    return r;
}
