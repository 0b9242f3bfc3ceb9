/* import.c - see import.h. */
#include "model/import.h"

#include "base/str.h"
#include "model/caches.h"
#include "model/checkpoint.h"
#include "model/copy.h"
#include "model/funasr.h"
#include "model/hubs.h"
#include "model/lock.h"
#include "model/part_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_FILES = 512, MULTILINGUAL_VOCABULARY = 51865 };

struct import {
    const char *source;
    const struct pn_pull_options *opt;
    char name[PN_MODEL_NAME_MAX + 1];
    char dir[PN_MODEL_PATH_MAX]; /* MODEL_DIR */
    char to[PN_MODEL_PATH_MAX];  /* the file or folder that is made */
    enum pn_model_form form;
    const char *ranks; /* the rank file it needs, or NULL */
    struct pn_err *err;
};

static int too_long(const struct import *im)
{
    return pn_fail(im->err, PN_ELIMIT, "the path %.100s... is too long", im->dir);
}

static int go_on(void *ctx)
{
    const struct import *im = ctx;
    const struct pn_pull_progress p = { .file = im->name, .i = 1, .n = 1, .total = -1 };
    return im->opt->progress ? im->opt->progress(im->opt->ctx, &p) : 0;
}

/* ---- what it is ---- */

/* A FunASR folder: all of its files are read. */
static int examine_funasr(struct import *im)
{
    struct pn_funasr *m = NULL;
    enum pn_model_kind kind;
    int r = pn_funasr_open(im->source, &m, im->err);
    if (r == 0 && pn_model_kind_of_class(pn_funasr_class(m), &kind) < 0)
        r = pn_fail(im->err, PN_EUNSUPPORTED, "%.120s is a model of class %.64s, which Pinna does not know",
                    im->source, pn_funasr_class(m));
    pn_funasr_close(m);
    im->form = PN_FORM_FOLDER;
    return r;
}

static int examine_checkpoint(struct import *im)
{
    struct pn_checkpoint *c = NULL;
    struct stat st;
    int64_t n_vocab = 0;
    int r = pn_checkpoint_open(im->source, &c, im->err);
    if (r < 0)
        return r;
    if (stat(im->source, &st) == 0 && S_ISDIR(st.st_mode))
        im->form = PN_FORM_FOLDER;
    else
        im->form = pn_checkpoint_kind(c) == PN_CHECKPOINT_GGML ? PN_FORM_GGML : PN_FORM_TORCH;
    if (pn_checkpoint_count(c) == 0)
        r = pn_fail(im->err, PN_EFORMAT, "%.150s has no weights", im->source);
    else if (im->form == PN_FORM_TORCH && pn_checkpoint_int(c, "n_vocab", &n_vocab) == 0)
        im->ranks = n_vocab >= MULTILINGUAL_VOCABULARY ? "multilingual.tiktoken" : "gpt2.tiktoken";
    pn_checkpoint_close(c);
    if (r == 0 && im->form == PN_FORM_FOLDER && !pn_is_model_folder(im->source))
        r = pn_fail(im->err, PN_EFORMAT, "%.150s lacks its config.json", im->source);
    return r;
}

/* ---- its name ---- */

static struct pn_str stem_of(const char *source)
{
    size_t n = strlen(source);
    while (n > 1 && source[n - 1] == '/')
        n--;
    const char *slash = memrchr(source, '/', n);
    struct pn_str s = { slash && n > 1 ? slash + 1 : source, 0 };
    s.len = n - (size_t)(s.ptr - source);
    if (s.len > 9 && strncmp(s.ptr, "ggml-", 5) == 0 && strncmp(s.ptr + s.len - 4, ".bin", 4) == 0)
        return (struct pn_str){ s.ptr + 5, s.len - 9 };
    if (s.len > 3 && strncmp(s.ptr + s.len - 3, ".pt", 3) == 0)
        s.len -= 3;
    else if (s.len > 4 && strncmp(s.ptr + s.len - 4, ".bin", 4) == 0)
        s.len -= 4;
    return s;
}

static int choose_name(struct import *im, const char *name)
{
    struct pn_str s = name ? pn_str(name) : stem_of(im->source);
    if (pn_str_copy(im->name, sizeof(im->name), s) < 0 || !pn_model_name_ok(im->name))
        return pn_fail(im->err, PN_EINVAL,
                       "'%.*s' cannot be the name of a model (letters, digits, '.', '_', '-'); give one with "
                       "--name",
                       (int)PN_MIN(s.len, (size_t)64), s.ptr);
    return 0;
}

static int choose_target(struct import *im)
{
    static const char *const FORMATS[][2] = {
        [PN_FORM_TORCH] = { "", ".pt" }, [PN_FORM_FOLDER] = { "", "" }, [PN_FORM_GGML] = { "ggml-", ".bin" }
    };
    const struct pn_locate_options where = { .model_dir = im->opt->model_dir };
    char there[PN_MODEL_PATH_MAX];
    struct stat st;
    int r = pn_model_dir(&where, im->dir, sizeof(im->dir), im->err);
    if (r < 0)
        return r;
    if (!pn_path_printf(im->to, "%s/%s%s%s", im->dir, FORMATS[im->form][0], im->name, FORMATS[im->form][1]))
        return too_long(im);
    if (lstat(im->to, &st) == 0 || (pn_model_locate(im->name, &where, there, sizeof(there), NULL) == 0 &&
                                    strncmp(there, im->dir, strlen(im->dir)) == 0))
        return pn_fail(im->err, PN_EINVAL, "there is a model '%s' in %.100s; choose another with --name",
                       im->name, im->dir);
    return 0;
}

/* ---- the copy ---- */

/* Of a folder: what may be needed, not the same weights for other programs, or what we packed. */
static bool is_wanted(const char *name)
{
    static const char *const OTHERS[] = { "pytorch_model", "tf_model", "flax_model", "rust_model" };
    static const char *const ENDS[] = { ".pnk", ".part", ".tag", ".lock", ".onnx", ".msgpack", ".h5", ".pb" };
    for (size_t i = 0; i < PN_ARRAY_LEN(OTHERS); i++)
        if (strncmp(name, OTHERS[i], strlen(OTHERS[i])) == 0)
            return false;
    for (size_t i = 0; i < PN_ARRAY_LEN(ENDS); i++)
        if (strlen(name) > strlen(ENDS[i]) && strcmp(name + strlen(name) - strlen(ENDS[i]), ENDS[i]) == 0)
            return false;
    return name[0] != '.';
}

static int copy_into(struct import *im, const char *folder)
{
    char from[PN_MODEL_PATH_MAX], to[PN_MODEL_PATH_MAX];
    DIR *d = opendir(im->source);
    int r = d ? 0 : pn_fail_errno(im->err, "cannot list %.150s", im->source), n = 0;
    for (struct dirent *e; r == 0 && d && (e = readdir(d));) {
        if (!is_wanted(e->d_name))
            continue;
        if (!pn_path_printf(from, "%s/%s", im->source, e->d_name) ||
            !pn_path_printf(to, "%s/%s", folder, e->d_name))
            r = too_long(im);
        else if (pn_is_model_file(from)) /* links are followed: hubs' folders are full of them */
            r = n++ < MAX_FILES ? pn_copy_file(from, to, go_on, im, im->err)
                                : pn_fail(im->err, PN_ELIMIT, "%.150s has too many files", im->source);
    }
    if (d)
        closedir(d);
    return r;
}

static int copy_folder(struct import *im)
{
    char partial[PN_MODEL_PATH_MAX];
    if (!pn_path_printf(partial, "%s/.%s.import.partial", im->dir, im->name))
        return too_long(im);
    pn_remove_folder(partial);
    int r = pn_make_dirs(partial, im->err);
    if (r == 0)
        r = copy_into(im, partial);
    if (r == 0 && rename(partial, im->to) < 0)
        r = pn_fail_errno(im->err, "cannot rename to %.150s", im->to);
    if (r < 0)
        pn_remove_folder(partial);
    return r == 0 ? pn_sync_folder_of(im->to, im->err) : r;
}

/* The rank file comes along, or it is said how to get it. */
static int copy_ranks(struct import *im)
{
    const struct pn_locate_options where = { .model_dir = im->opt->model_dir };
    char from[PN_MODEL_PATH_MAX], to[PN_MODEL_PATH_MAX], line[256];
    if (!im->ranks || pn_rank_file_locate(im->ranks, NULL, &where, to, sizeof(to), NULL) == 0)
        return 0;
    if (pn_rank_file_locate(im->ranks, im->source, &where, from, sizeof(from), NULL) == 0)
        return pn_path_printf(to, "%s/%s", im->dir, im->ranks) ? pn_copy_file(from, to, go_on, im, im->err)
                                                               : too_long(im);
    snprintf(line, sizeof(line), "%s needs the vocabulary %s; this gets it: pinna pull %s", im->name,
             im->ranks, im->ranks);
    if (im->opt->note)
        im->opt->note(im->opt->ctx, line);
    return 0;
}

static int copy_locked(struct import *im)
{
    int r = choose_target(im);
    if (r == 0)
        r = copy_ranks(im);
    if (r == 0)
        r = im->form == PN_FORM_FOLDER ? copy_folder(im)
                                       : pn_copy_file(im->source, im->to, go_on, im, im->err);
    return r;
}

static int import_model(struct import *im, const char *name)
{
    struct pn_watch watch = { .ctx = im->opt->ctx, .note = im->opt->note };
    char lock_path[PN_MODEL_PATH_MAX];
    struct pn_lock lock;
    int r = choose_name(im, name);
    if (r == 0)
        r = pn_funasr_is_folder(im->source) ? examine_funasr(im) : examine_checkpoint(im);
    if (r == 0)
        r = choose_target(im); /* before anything is made */
    if (r == 0)
        r = pn_make_dirs(im->dir, im->err);
    if (r == 0 && !pn_path_printf(lock_path, "%s/.%s", im->dir, im->name))
        r = too_long(im);
    if (r == 0)
        r = pn_lock_take(&lock, lock_path, &watch, im->err);
    if (r < 0)
        return r;
    r = copy_locked(im);
    pn_lock_drop(&lock);
    return r;
}

int pn_import(const char *source, const char *name, const struct pn_pull_options *opt, char *path, size_t cap,
              struct pn_err *err)
{
    struct import *im = calloc(1, sizeof(*im));
    if (!im)
        return pn_fail(err, PN_ENOMEM, "no memory to import a model");
    *im = (struct import){ .source = source, .opt = opt, .err = err };
    int r = import_model(im, name);
    if (r == 0 && pn_str_copy(path, cap, pn_str(im->to)) < 0)
        r = too_long(im);
    free(im);
    return r;
}
