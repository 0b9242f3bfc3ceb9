/* model_list.c - see model_list.h. */
#include "asr/model_list.h"

#include "asr/models_impl.h"
#include "base/str.h"
#include "model/look.h"
#include "model/model_ref.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct pn_listed_model *find(const struct pn_model_list *l, const char *name)
{
    for (size_t i = 0; i < l->n; i++)
        if (strcmp(l->item[i].name, name) == 0)
            return &l->item[i];
    return NULL;
}

static void add(struct pn_model_list *l, const char *name, const char *path)
{
    struct stat st;
    if (l->n == PN_MODEL_LIST_MAX || find(l, name))
        return;
    struct pn_listed_model *item = &l->item[l->n++];
    (void)!pn_str_copy(item->name, sizeof(item->name), pn_str(name)); /* no name is longer */
    item->created = stat(path, &st) == 0 ? (int64_t)st.st_mtime : 0;
}

static const char *path_of(const struct pn_model_source *s)
{
    return s->path[0] ? s->path : PN_SPHINX_MODEL_DIR;
}

static int add_found(void *ctx, const struct pn_model_found *f)
{
    struct pn_model_list *l = ctx;
    enum pn_model_kind kind;
    int64_t vocabulary;
    if (!find(l, f->name) && pn_model_look(f->name, f->path, &kind, &vocabulary) == 0 &&
        (kind == PN_MODEL_WHISPER || kind == PN_MODEL_PARAFORMER))
        add(l, f->name, f->path);
    return 0;
}

static int by_name(const void *a, const void *b)
{
    const struct pn_listed_model *x = a, *y = b;
    return strcmp(x->name, y->name);
}

static int add_others(struct pn_model_list *l, const struct pn_models *m, struct pn_err *err)
{
    const struct pn_locate_options where = { .model_dir = m->model_dir };
    struct stat st;
    size_t before = l->n;
    int r = pn_models_each(&where, add_found, l, err);
    if (stat(PN_SPHINX_MODEL_DIR, &st) == 0)
        add(l, "sphinx", PN_SPHINX_MODEL_DIR);
    qsort(l->item + before, l->n - before, sizeof(l->item[0]), by_name);
    return r;
}

int pn_model_list_new(const struct pn_models *m, struct pn_model_list **ret, struct pn_err *err)
{
    struct pn_model_list *l = calloc(1, sizeof(*l));
    if (!l)
        return pn_fail(err, PN_ENOMEM, "no memory to list the models");
    add(l, m->first->source.name, path_of(&m->first->source));
    add(l, m->live->source.name, path_of(&m->live->source));
    for (const struct pn_entry *e = m->kept; e; e = e->next)
        add(l, e->source.name, path_of(&e->source));
    add(l, "whisper-1", path_of(&m->first->source));
    int r = m->max_loaded > 1 ? add_others(l, m, err) : 0;
    if (r < 0)
        free(l);
    else
        *ret = l;
    return r;
}

const struct pn_listed_model *pn_model_list_find(const struct pn_model_list *l, const char *name)
{
    struct pn_model_ref ref;
    const struct pn_listed_model *item = find(l, name);
    if (item || pn_model_ref_parse(name, &ref) < 0 || !ref.e)
        return item;
    return find(l, ref.name);
}
