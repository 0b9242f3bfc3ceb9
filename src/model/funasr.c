/* funasr.c - see funasr.h: opens the files of the folder and answers from what their readers found. */
#include "model/funasr.h"

#include "model/cmvn.h"
#include "model/config_tree.h"
#include "model/digest.h"
#include "model/funasr_files.h"
#include "model/mapping.h"
#include "model/seg_dict.h"
#include "model/tokens.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { FOLDER_PATH_MAX = 4096 };

struct pn_funasr {
    struct pn_config_tree *config;
    struct pn_checkpoint *weights;
    struct pn_tokens tokens;
    struct pn_cmvn cmvn;
    struct pn_seg_dict seg_dict;
    struct pn_mapping seg_dict_file; /* what seg_dict borrows from */
    struct pn_source_id id;
};

/* A folder being opened. */
struct opening {
    struct pn_funasr *m;
    struct pn_funasr_files files;
    struct pn_digest digest; /* of the small files */
    struct pn_err *err;
};

static bool is_old(const char *folder)
{
    return pn_funasr_has(folder, "model.pb");
}

static int refuse_old(const char *folder, struct pn_err *err)
{
    return pn_fail(err, PN_EUNSUPPORTED,
                   "%.150s is a model from before v2.0 (model.pb): pull it again, revision v2.0.4 or later",
                   folder);
}

/* ---- config.yaml ---- */

static int parse_config(const char *folder, const char *name, struct pn_str text, struct pn_config_tree **ret,
                        struct pn_err *err)
{
    struct pn_config_tree *t = NULL;
    int r = pn_config_tree_parse(text, name, &t, err);
    if (r < 0)
        return r;
    const char *class = pn_config_tree_str(t, "model", "");
    if (!class[0])
        r = is_old(folder) ? refuse_old(folder, err)
                           : pn_fail(err, PN_EFORMAT, "%.100s/%.60s names no model: class", folder, name);
    else if (strlen(class) >= PN_FUNASR_CLASS_MAX)
        r = pn_fail(err, PN_EFORMAT, "%.100s/%.60s: the name of the class is too long", folder, name);
    if (r < 0)
        pn_config_tree_free(t);
    else
        *ret = t;
    return r;
}

static int read_config(const struct pn_funasr_files *files, struct pn_config_tree **ret, struct pn_err *err)
{
    char path[FOLDER_PATH_MAX];
    struct pn_mapping file;
    int r = pn_funasr_path(files->folder, files->config, path, sizeof(path), err);
    if (r < 0 || (r = pn_mapping_open(path, &file, err)) < 0)
        return r;
    r = parse_config(files->folder, files->config, (struct pn_str){ (const char *)file.ptr, file.size }, ret,
                     err);
    pn_mapping_close(&file);
    return r;
}

int pn_funasr_class_of(const char *folder, char ret[PN_FUNASR_CLASS_MAX], struct pn_err *err)
{
    struct pn_funasr_files files;
    struct pn_config_tree *t = NULL;
    int r = pn_funasr_files_find(folder, &files, err);
    if (r < 0 || (r = read_config(&files, &t, err)) < 0)
        return r;
    (void)snprintf(ret, PN_FUNASR_CLASS_MAX, "%s", pn_config_tree_str(t, "model", ""));
    pn_config_tree_free(t);
    return 0;
}

bool pn_funasr_is_folder(const char *folder)
{
    char class[PN_FUNASR_CLASS_MAX];
    bool weights = pn_funasr_has(folder, "model.pt");
    if (pn_funasr_has(folder, "config.json") && !weights)
        return false;
    return pn_funasr_class_of(folder, class, NULL) == 0 ||
           (pn_funasr_has(folder, "config.yaml") && (weights || is_old(folder)));
}

/* ---- the other files ---- */

typedef int (*parse_fn)(struct opening *o, struct pn_str text, const char *name);

static int take_config(struct opening *o, struct pn_str text, const char *name)
{
    return parse_config(o->files.folder, name, text, &o->m->config, o->err);
}

static int take_tokens(struct opening *o, struct pn_str text, const char *name)
{
    size_t n = strlen(name);
    bool json = n > 5 && strcmp(name + n - 5, ".json") == 0;
    return json ? pn_tokens_from_json(text, name, &o->m->tokens, o->err)
                : pn_tokens_from_lines(text, name, &o->m->tokens, o->err);
}

static int take_cmvn(struct opening *o, struct pn_str text, const char *name)
{
    return pn_cmvn_parse(text, name, &o->m->cmvn, o->err);
}

static int take_seg_dict(struct opening *o, struct pn_str text, const char *name)
{
    return pn_seg_dict_parse(text, name, &o->m->seg_dict, o->err);
}

/* Counts the file in the id and hands its text to `parse`; `keep` gets the mapping, NULL: nothing needs it.
 */
static int read_file(struct opening *o, const char *name, parse_fn parse, struct pn_mapping *keep)
{
    char path[FOLDER_PATH_MAX];
    struct pn_mapping file;
    if (!name[0])
        return 0;
    int r = pn_funasr_path(o->files.folder, name, path, sizeof(path), o->err);
    if (r < 0 || (r = pn_mapping_open(path, &file, o->err)) < 0)
        return r;
    const struct pn_str text = { (const char *)file.ptr, file.size };
    o->m->id.size += file.size;
    o->m->id.mtime_ns = PN_MAX(o->m->id.mtime_ns, file.mtime_ns);
    pn_digest_add(&o->digest, text);
    r = parse(o, text, name);
    if (keep)
        *keep = file;
    else
        pn_mapping_close(&file);
    return r;
}

static int open_weights(struct opening *o)
{
    char path[FOLDER_PATH_MAX];
    const char *folder = o->files.folder;
    if (!pn_funasr_has(folder, o->files.weights))
        return is_old(folder)
                   ? refuse_old(folder, o->err)
                   : pn_fail(o->err, PN_ENOTFOUND, "there is no %.80s in %.120s", o->files.weights, folder);
    int r = pn_funasr_path(folder, o->files.weights, path, sizeof(path), o->err);
    if (r < 0 || (r = pn_checkpoint_open(path, &o->m->weights, o->err)) < 0)
        return r;
    struct pn_source_id id = pn_checkpoint_id(o->m->weights);
    o->m->id.size += id.size;
    o->m->id.mtime_ns = PN_MAX(o->m->id.mtime_ns, id.mtime_ns);
    pn_digest_add(&o->digest, (struct pn_str){ (const char *)id.hash, sizeof(id.hash) });
    return 0;
}

static int open_files(struct opening *o)
{
    struct pn_funasr *m = o->m;
    int r = read_file(o, o->files.config, take_config, NULL);
    if (r < 0 || (r = open_weights(o)) < 0 || (r = read_file(o, o->files.tokens, take_tokens, NULL)) < 0 ||
        (r = read_file(o, o->files.cmvn, take_cmvn, NULL)) < 0)
        return r;
    r = read_file(o, o->files.seg_dict, take_seg_dict, &m->seg_dict_file);
    pn_digest_done(&o->digest, m->id.hash);
    return r;
}

static int check_folder(const char *folder, struct pn_err *err)
{
    struct stat st;
    if (stat(folder, &st) < 0)
        return errno == ENOENT || errno == ENOTDIR
                   ? pn_fail(err, PN_ENOTFOUND, "there is no folder %.150s", folder)
                   : pn_fail_errno(err, "cannot look at %.150s", folder);
    return S_ISDIR(st.st_mode) ? 0 : pn_fail(err, PN_ENOTFOUND, "%.150s is not a folder", folder);
}

int pn_funasr_open(const char *folder, struct pn_funasr **ret, struct pn_err *err)
{
    struct opening o = { .err = err };
    int r = check_folder(folder, err);
    if (r < 0 || (r = pn_funasr_files_find(folder, &o.files, err)) < 0)
        return r;
    o.m = calloc(1, sizeof(*o.m));
    if (!o.m)
        return pn_fail(err, PN_ENOMEM, "no memory for the model");
    pn_digest_init(&o.digest);
    r = open_files(&o);
    if (r < 0)
        pn_funasr_close(o.m);
    else
        *ret = o.m;
    return r;
}

struct pn_funasr *pn_funasr_close(struct pn_funasr *m)
{
    if (!m)
        return NULL;
    pn_config_tree_free(m->config);
    pn_checkpoint_close(m->weights);
    pn_tokens_done(&m->tokens);
    pn_cmvn_done(&m->cmvn);
    pn_seg_dict_done(&m->seg_dict);
    pn_mapping_close(&m->seg_dict_file);
    free(m);
    return NULL;
}

/* ---- answers ---- */

const char *pn_funasr_class(const struct pn_funasr *m)
{
    return pn_config_tree_str(m->config, "model", "");
}

int pn_funasr_int(const struct pn_funasr *m, const char *key, int64_t min, int64_t max, int64_t fallback,
                  int64_t *ret, struct pn_err *err)
{
    return pn_config_tree_int(m->config, key, min, max, fallback, ret, err);
}

int pn_funasr_real(const struct pn_funasr *m, const char *key, double min, double max, double fallback,
                   double *ret, struct pn_err *err)
{
    return pn_config_tree_real(m->config, key, min, max, fallback, ret, err);
}

int pn_funasr_bool(const struct pn_funasr *m, const char *key, bool fallback, bool *ret, struct pn_err *err)
{
    return pn_config_tree_bool(m->config, key, fallback, ret, err);
}

const char *pn_funasr_str(const struct pn_funasr *m, const char *key, const char *fallback)
{
    return pn_config_tree_str(m->config, key, fallback);
}

size_t pn_funasr_list(const struct pn_funasr *m, const char *key)
{
    return pn_config_tree_list(m->config, key);
}

const char *pn_funasr_item(const struct pn_funasr *m, const char *key, size_t i)
{
    return pn_config_tree_item(m->config, key, i);
}

const struct pn_tensor *pn_funasr_tensor(const struct pn_funasr *m, const char *name)
{
    return m->weights ? pn_checkpoint_find(m->weights, name) : NULL;
}

void pn_funasr_close_weights(struct pn_funasr *m)
{
    m->weights = pn_checkpoint_close(m->weights);
}

int pn_funasr_tensor_of(const struct pn_funasr *m, const char *name, int n_dims, const int64_t *dim,
                        const struct pn_tensor **ret, struct pn_err *err)
{
    const struct pn_tensor *t = pn_funasr_tensor(m, name);
    if (!t)
        return pn_fail(err, PN_EFORMAT, "the checkpoint has no tensor %.150s", name);
    if (t->n_dims != n_dims || (n_dims > 0 && memcmp(t->dim, dim, (size_t)n_dims * sizeof(*dim)) != 0)) {
        char has[PN_SHAPE_TEXT], wanted[PN_SHAPE_TEXT];
        pn_shape_text(t->n_dims, t->dim, has);
        pn_shape_text(n_dims, dim, wanted);
        return pn_fail(err, PN_EFORMAT, "tensor %.100s has the shape %s instead of %s", name, has, wanted);
    }
    if (!pn_dtype_is_real(t->dtype))
        return pn_fail(err, PN_EFORMAT, "tensor %.100s holds %s, not weights", name, pn_dtype_name(t->dtype));
    *ret = t;
    return 0;
}

int pn_funasr_dim(const struct pn_funasr *m, const char *name, int i, int max, int *ret, struct pn_err *err)
{
    const struct pn_tensor *t = pn_funasr_tensor(m, name);
    if (!t || i >= t->n_dims)
        return pn_fail(err, PN_EFORMAT, "model.pt: tensor %.100s is missing or of another shape", name);
    if (t->dim[i] < 1 || t->dim[i] > max)
        return pn_fail(err, PN_EFORMAT, "model.pt: tensor %.100s: dimension %lld is not in 1..%d", name,
                       (long long)t->dim[i], max);
    *ret = (int)t->dim[i];
    return 0;
}

int pn_funasr_count(const struct pn_funasr *m, const char *prefix, const char *suffix, int max)
{
    char name[160];
    for (int n = 0; n < max; n++) {
        int len = snprintf(name, sizeof(name), "%s%d%s", prefix, n, suffix);
        if (len < 0 || len >= (int)sizeof(name) || !pn_funasr_tensor(m, name))
            return n;
    }
    return max;
}

size_t pn_funasr_n_tokens(const struct pn_funasr *m)
{
    return m->tokens.n;
}

struct pn_str pn_funasr_token(const struct pn_funasr *m, size_t id)
{
    return id < m->tokens.n ? m->tokens.list[id] : (struct pn_str){ 0 };
}

int64_t pn_funasr_token_id(const struct pn_funasr *m, struct pn_str text)
{
    return pn_text_index_find(&m->tokens.index, m->tokens.list, text);
}

const float *pn_funasr_cmvn_shift(const struct pn_funasr *m, size_t *ret_n)
{
    *ret_n = m->cmvn.n;
    return m->cmvn.shift;
}

const float *pn_funasr_cmvn_scale(const struct pn_funasr *m, size_t *ret_n)
{
    *ret_n = m->cmvn.n;
    return m->cmvn.scale;
}

struct pn_str pn_funasr_pieces(const struct pn_funasr *m, struct pn_str word)
{
    return pn_seg_dict_find(&m->seg_dict, word);
}

struct pn_source_id pn_funasr_id(const struct pn_funasr *m)
{
    return m->id;
}
