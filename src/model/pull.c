/* pull.c - see pull.h. A model appears under its name only when it is whole: a file by download.c's rename, a
 * folder by the rename of .NAME.I.partial (I tells sources apart: their files must not mix). */
#include "model/pull.h"

#include "model/caches.h"
#include "model/copy.h"
#include "model/download.h"
#include "model/hubs.h"
#include "model/lock.h"
#include "model/model_ref.h"
#include "model/part_file.h"
#include "model/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define LISTING_MAX ((size_t)4 << 20)
#define ARENA_MAX   ((size_t)4 << 20)
#define FILE_MAX    ((int64_t)16 << 30) /* where nothing is known of a file's size */
enum { SPARE_MB = 64 };

struct pull {
    const struct pn_pull_options *opt;
    struct pn_model_ref ref;      /* of the name that was asked for */
    struct pn_catalogue_entry id; /* of a repository that no catalogue has */
    const struct pn_catalogue_entry *e;
    const char *name; /* of the model in MODEL_DIR */
    struct pn_arena *arena;
    char dir[PN_MODEL_PATH_MAX];
    struct pn_pull_progress at;
    struct pn_err *err;
};

struct pn_pull_options pn_pull_options_of(const struct pn_config *c)
{
    return (struct pn_pull_options){ .model_dir = c->model_dir,
                                     .hf_endpoint = c->hf_endpoint,
                                     .modelscope_endpoint = c->modelscope_endpoint,
                                     .model_url = c->model_url,
                                     .offline = c->offline,
                                     .stall_s = (int)c->network_timeout_s };
}

const struct pn_catalogue_entry *pn_pull_find(const struct pn_pull_options *opt, const char *name)
{
    const struct pn_catalogue_entry *e = pn_mirror_find(opt->mirror, name);
    struct pn_model_ref ref;
    return e || pn_model_ref_parse(name, &ref) < 0 ? e : ref.e;
}

/* ---- what the caller sees ---- */

static int on_progress(void *ctx, int64_t done, int64_t total)
{
    struct pull *p = ctx;
    p->at.done = done;
    p->at.total = total;
    return p->opt->progress ? p->opt->progress(p->opt->ctx, &p->at) : 0;
}

static void on_note(void *ctx, const char *line)
{
    const struct pull *p = ctx;
    if (p->opt->note)
        p->opt->note(p->opt->ctx, line);
}

static struct pn_watch watch_of(struct pull *p)
{
    return (struct pn_watch){ .ctx = p, .progress = on_progress, .note = on_note };
}

/* ---- files ---- */

/* Weights of 16 bits may come as 32, and a few other files with them. */
static int64_t most_bytes(const struct pn_catalogue_entry *e)
{
    return e->size > 0 ? e->size * 2 + e->size / 8 + ((int64_t)SPARE_MB << 20) : FILE_MAX;
}

static int pass_on(const struct pull *p, const struct pn_err *err)
{
    return pn_fail(p->err, (enum pn_error)err->code, "%s", err->text);
}

static int fetch_file(struct pull *p, const struct pn_source_file *f, const char *path)
{
    struct pn_download_options opt = { .url = f->url,
                                       .path = path,
                                       .digest = f->digest,
                                       .size = f->size,
                                       .max_bytes = PN_MAX(most_bytes(p->e), f->size),
                                       .stall_s = p->opt->stall_s,
                                       .watch = watch_of(p) };
    struct pn_err err = { 0 };
    p->at.file = f->path;
    if (pn_is_model_file(path))
        return 0;
    int r = pn_download(&opt, &err);
    if (r == -PN_ENOTFOUND && f->optional)
        return 0;
    return r < 0 ? pass_on(p, &err) : 0;
}

/* Another model may want the same file at the same time. */
static int fetch_plain_file(struct pull *p, const struct pn_source_file *f)
{
    char path[PN_MODEL_PATH_MAX];
    struct pn_lock lock;
    struct pn_watch watch = watch_of(p);
    if (!pn_path_printf(path, "%s/%s", p->dir, f->path))
        return pn_fail(p->err, PN_ELIMIT, "the path %.100s... is too long", p->dir);
    int r = pn_lock_take(&lock, path, &watch, p->err);
    if (r == 0)
        r = fetch_file(p, f, path);
    pn_lock_drop(&lock);
    return r;
}

/* ---- folders ---- */

static bool partial_path(const struct pull *p, int source, char path[PN_MODEL_PATH_MAX])
{
    return pn_path_printf(path, "%s/.%s.%d.partial", p->dir, p->name, source);
}

/* What was begun and is not needed any more. */
static void remove_partial(const struct pull *p, int source)
{
    char folder[PN_MODEL_PATH_MAX];
    if (partial_path(p, source, folder))
        pn_remove_folder(folder);
}

static int publish_folder(struct pull *p, const char *partial)
{
    char path[PN_MODEL_PATH_MAX];
    if (!pn_is_model_folder(partial))
        return pn_fail(p->err, PN_EFORMAT, "what came makes no model: its weights or settings are missing");
    if (!pn_path_printf(path, "%s/%s", p->dir, p->name))
        return pn_fail(p->err, PN_ELIMIT, "the path %.100s... is too long", p->dir);
    if (rename(partial, path) < 0)
        return pn_fail_errno(p->err, "cannot rename the download to %.100s", path);
    return pn_sync_folder_of(path, p->err);
}

static int fetch_folder(struct pull *p, const struct pn_source *s, int source)
{
    char partial[PN_MODEL_PATH_MAX], path[PN_MODEL_PATH_MAX];
    if (!partial_path(p, source, partial))
        return pn_fail(p->err, PN_ELIMIT, "the path %.100s... is too long", p->dir);
    if (mkdir(partial, 0755) < 0 && errno != EEXIST)
        return pn_fail_errno(p->err, "cannot create %.150s", partial);
    for (size_t i = 0; i < s->n; i++) {
        p->at.i = i + 1;
        p->at.n = s->n;
        int r = pn_path_printf(path, "%s/%s", partial, s->files[i].path)
                    ? fetch_file(p, &s->files[i], path)
                    : pn_fail(p->err, PN_ELIMIT, "the path %.100s... is too long", partial);
        if (r < 0) {
            rmdir(partial); /* nothing of it came */
            return r;
        }
    }
    return publish_folder(p, partial);
}

/* ---- sources ---- */

static int read_listing(struct pull *p, struct pn_source *s)
{
    struct pn_watch watch = watch_of(p);
    struct pn_buf text;
    pn_buf_init(&text, LISTING_MAX);
    p->at.file = "the list of files";
    int r = pn_download_text(s->list_url, p->opt->stall_s, &watch, &text, p->err);
    if (r == 0)
        r = pn_source_read_listing(s, (struct pn_str){ text.ptr, text.len }, p->arena, p->err);
    pn_buf_done(&text);
    return r;
}

/* The model's own file comes last: when it is there, all is. */
static int fetch_source(struct pull *p, struct pn_source *s, int source)
{
    int r = s->list_url ? read_listing(p, s) : 0;
    if (r < 0 || s->is_folder)
        return r < 0 ? r : fetch_folder(p, s, source);
    for (size_t i = s->n; r == 0 && i-- > 0;) {
        p->at.i = s->n - i;
        p->at.n = s->n;
        r = fetch_plain_file(p, &s->files[i]);
    }
    return r;
}

/* Another source would not help. */
static bool is_final(int r)
{
    return r >= 0 || r == -PN_EIO || r == -PN_ENOMEM || r == -PN_ECANCELLED;
}

static int fetch_ranks(struct pull *p)
{
    char path[PN_MODEL_PATH_MAX];
    const struct pn_locate_options where = { .model_dir = p->opt->model_dir };
    if (pn_rank_file_locate(p->e->ranks, NULL, &where, path, sizeof(path), NULL) == 0)
        return 0;
    return pn_pull(p->e->ranks, p->opt, path, sizeof(path), p->err);
}

/* OpenAI's checkpoints have no vocabulary of their own. */
static int try_source(struct pull *p, struct pn_source *s, int source, struct pn_err *err)
{
    struct pn_err *outer = p->err;
    p->err = err;
    int r = s->needs_ranks ? fetch_ranks(p) : 0;
    if (r >= 0)
        r = fetch_source(p, s, source);
    p->err = outer;
    return r;
}

static void note_failure(struct pull *p, const struct pn_source *s, const struct pn_err *err)
{
    char line[480];
    snprintf(line, sizeof(line), "%.130s cannot be had from %s: %s", p->name, s->label, err->text);
    on_note(p, line);
}

static int fetch_model(struct pull *p, struct pn_source sources[PN_SOURCES_MAX])
{
    struct pn_err first = { 0 };
    int n = pn_sources(p->e, p->ref.revision, p->opt, p->arena, sources), r = -PN_ENOTFOUND, tried = 0;
    if (n < 0)
        return pn_fail(p->err, PN_ENOMEM, "no memory to get a model");
    for (int i = 0; i < n && (i == 0 || !is_final(r)); i++) {
        struct pn_err err = { 0 };
        if (r == -PN_ETIMEOUT && sources[i].same_server)
            continue;
        r = try_source(p, &sources[i], i, &err);
        if (!is_final(r) && n > 1)
            note_failure(p, &sources[i], &err);
        if (tried++ == 0 || is_final(r))
            first = err;
    }
    if (r < 0 && tried > 1 && !is_final(r))
        return pn_fail(p->err, (enum pn_error)first.code, "%.215s; %d other source%s failed, too", first.text,
                       tried - 1, tried > 2 ? "s" : "");
    if (r < 0)
        return pass_on(p, &first);
    for (int i = 0; i < n; i++)
        remove_partial(p, i);
    return 0;
}

/* ---- the folder of models ---- */

static int check_room(struct pull *p)
{
    char part[PN_MODEL_PATH_MAX];
    struct statvfs fs;
    struct stat st;
    if (statvfs(p->dir, &fs) < 0)
        return 0;
    int64_t room = (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
    if (pn_path_printf(part, "%s/%s.pt.part", p->dir, p->e->name) && stat(part, &st) == 0)
        room += st.st_size;
    if (room >= p->e->size)
        return 0;
    return pn_fail(p->err, PN_EIO, "no room in %.100s: %.90s needs %lld MB, %lld MB are free", p->dir,
                   p->name, (long long)(p->e->size / 1000000), (long long)(room / 1000000));
}

/* ---- the whole ---- */

static int locate(const struct pull *p, const char *name, char *path, size_t cap)
{
    const struct pn_locate_options where = { .model_dir = p->opt->model_dir };
    return pn_model_locate(name, &where, path, cap, NULL);
}

/* A checkpoint without vocabulary that lies in some cache still needs the rank file. */
static int complete(struct pull *p, const char *path)
{
    char ranks[PN_MODEL_PATH_MAX];
    const struct pn_locate_options where = { .model_dir = p->opt->model_dir };
    size_t n = strlen(path);
    if (!p->e || !p->e->ranks || n < 3 || strcmp(path + n - 3, ".pt") != 0 ||
        pn_rank_file_locate(p->e->ranks, path, &where, ranks, sizeof(ranks), NULL) == 0)
        return PN_PULLED_BEFORE;
    int r = pn_pull(p->e->ranks, p->opt, ranks, sizeof(ranks), p->err);
    return r < 0 ? r : PN_PULLED_BEFORE;
}

static int get_locked(struct pull *p, const char *name, char *path, size_t cap)
{
    if (locate(p, name, path, cap) == 0) /* while we waited */
        return PN_PULLED_BEFORE;
    struct pn_source *sources = pn_arena_alloc(p->arena, PN_SOURCES_MAX * sizeof(*sources));
    if (!sources)
        return pn_fail(p->err, PN_ENOMEM, "no memory to get a model");
    int r = check_room(p);
    if (r == 0)
        r = fetch_model(p, sources);
    if (r == 0 && locate(p, name, path, cap) < 0)
        r = pn_fail(p->err, PN_EFORMAT, "%.64s came, but is no model that can be used", name);
    return r < 0 ? r : PN_PULLED_NOW;
}

static int get(struct pull *p, const char *name, char *path, size_t cap)
{
    char lock_path[PN_MODEL_PATH_MAX];
    struct pn_lock lock;
    struct pn_watch watch = watch_of(p);
    const struct pn_locate_options where = { .model_dir = p->opt->model_dir };
    if (p->opt->offline)
        return pn_fail(p->err, PN_EUNSUPPORTED, "%.64s is not here, and PINNA_OFFLINE forbids to download it",
                       name);
    int r = pn_model_dir(&where, p->dir, sizeof(p->dir), p->err);
    if (r == 0)
        r = pn_make_dirs(p->dir, p->err);
    if (r == 0 && !pn_path_printf(lock_path, "%s/.%s", p->dir, p->name))
        r = pn_fail(p->err, PN_ELIMIT, "the path %.100s... is too long", p->dir);
    if (r == 0)
        r = pn_lock_take(&lock, lock_path, &watch, p->err);
    if (r < 0)
        return r;
    r = get_locked(p, name, path, cap);
    pn_lock_drop(&lock);
    return r;
}

/* ModelScope's owners are on ModelScope; the others may be on either hub. */
static void describe_repository(struct pull *p)
{
    const char *id = p->ref.repository;
    bool modelscope = strncmp(id, "iic/", 4) == 0 || strncmp(id, "damo/", 5) == 0;
    p->id = (struct pn_catalogue_entry){ .name = p->ref.name,
                                         .kind = PN_MODEL_PARAFORMER,
                                         .languages = "?",
                                         .modelscope = id,
                                         .hugging_face = modelscope ? NULL : id,
                                         .folder = pn_funasr_folder };
    p->e = &p->id;
}

/* What is to be had under this name: the mirror's, the catalogue's, or a repository. p->e NULL: nothing. */
static void choose_entry(struct pull *p, const char *name)
{
    p->e = pn_mirror_find(p->opt->mirror, name);
    if (!p->e && pn_model_ref_parse(name, &p->ref) == 0) {
        p->e = p->ref.e;
        if (!p->e && p->ref.repository[0])
            describe_repository(p);
    }
    p->name = p->ref.name[0] ? p->ref.name : p->e ? p->e->name : name;
}

static int check_name(const struct pull *p, const char *name)
{
    if (pn_catalogue_hint(name))
        return pn_fail(p->err, PN_ENOTFOUND, "%s", pn_catalogue_hint(name));
    if (!p->e)
        return pn_fail(p->err, PN_ENOTFOUND,
                       "there is no model '%.64s'; pinna pull --list tells what there is", name);
    if (p->ref.revision[0] && !p->e->modelscope)
        return pn_fail(p->err, PN_ENOTFOUND, "model '%.64s' has no revisions: ask for it without '@%.64s'",
                       p->e->name, p->ref.revision);
    return 0;
}

int pn_pull(const char *name, const struct pn_pull_options *opt, char *path, size_t cap, struct pn_err *err)
{
    struct pull *p = calloc(1, sizeof(*p));
    if (!p || pn_arena_new(ARENA_MAX, &p->arena) < 0) {
        free(p);
        return pn_fail(err, PN_ENOMEM, "no memory to get a model");
    }
    p->opt = opt;
    p->err = err;
    p->at = (struct pn_pull_progress){ .file = name, .i = 1, .n = 1, .total = -1 };
    choose_entry(p, name);
    int r = locate(p, name, path, cap);
    if (r == 0)
        r = complete(p, path);
    else if ((r = check_name(p, name)) == 0)
        r = get(p, name, path, cap);
    pn_arena_free(p->arena);
    free(p);
    return r;
}
