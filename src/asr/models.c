/* models.c - the recognisers of this process: found by name, loaded, lent, dropped.
 *
 * The list of models is guarded by `mu`. A model that is asked for and is not loaded gets an entry and a
 * thread that loads it; askers get -PN_EAGAIN meanwhile. An entry is freed only when nobody holds a
 * reference, and its thread has been joined by then. The default model has no references to count: it lives
 * as long as all. */
#include "asr/models.h"

#include "asr/model_kinds.h"
#include "asr/pipeline/pipeline.h"
#include "base/clock.h"
#include "base/str.h"
#include "nn/pool.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURE_US = 5000000 };

enum state { LOADING, READY, FAILED };

struct entry {
    struct entry *next;
    struct pn_models *models;
    struct pn_model_source source;
    enum state state;
    pthread_t thread; /* joined when the entry leaves LOADING for the list's other users */
    bool threaded;
    struct pn_recognizer *recognizer;
    struct pn_err err;
    int refs;
    int64_t used_us;
};

struct pn_models {
    struct pn_model_loader loader; /* immutable */
    char *model_dir, *cache_dir;
    int max_loaded;
    struct entry *first; /* the default model */
    pthread_mutex_t mu;
    struct entry *others; /* guarded by mu */
};

/* ---- entries ---- */

static struct entry *entry_free(struct entry *e)
{
    if (!e)
        return NULL;
    if (e->threaded)
        pthread_join(e->thread, NULL);
    if (e->recognizer)
        e->recognizer->ops->free(e->recognizer);
    free(e);
    return NULL;
}

static struct entry *entry_new(struct pn_models *m, const struct pn_model_source *source)
{
    struct entry *e = calloc(1, sizeof(*e));
    if (e) {
        e->models = m;
        e->source = *source;
        e->used_us = pn_now_us();
    }
    return e;
}

/* The model in its pipeline. */
static int load_recognizer(const struct pn_models *m, const struct pn_model_source *source,
                           struct pn_recognizer **ret, struct pn_err *err)
{
    struct pn_recognizer *first = NULL;
    int r = pn_model_load(&m->loader, source, &first, err);
    if (r == 0 && (r = pn_pipeline_new(first, NULL, ret, err)) < 0)
        first->ops->free(first);
    return r;
}

static void *load(void *arg)
{
    struct entry *e = arg;
    struct pn_recognizer *r = NULL;
    struct pn_err err = { 0 };
    int code = load_recognizer(e->models, &e->source, &r, &err);
    pthread_mutex_lock(&e->models->mu);
    e->recognizer = r;
    e->err = err;
    e->used_us = pn_now_us();
    e->state = code == 0 ? READY : FAILED;
    pthread_mutex_unlock(&e->models->mu);
    return NULL;
}

/* Under mu. */
static struct entry *find(struct pn_models *m, const char *name)
{
    if (strcmp(m->first->source.name, name) == 0)
        return m->first;
    for (struct entry *e = m->others; e; e = e->next)
        if (strcmp(e->source.name, name) == 0)
            return e;
    return NULL;
}

/* Under mu. */
static void unlink_entry(struct pn_models *m, struct entry *e)
{
    struct entry **link = &m->others;
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
}

/* Failures first, then the longest idle. */
static bool goes_before(const struct entry *a, const struct entry *b)
{
    if (!b || a->state != b->state)
        return !b || a->state == FAILED;
    return a->used_us < b->used_us;
}

/* Under mu: drops a model that nobody uses if there are too many. False: none may go. */
static bool make_room(struct pn_models *m)
{
    int n = 1;
    struct entry *idle = NULL;
    for (struct entry *e = m->others; e; e = e->next, n++)
        if (e->state != LOADING && e->refs == 0 && goes_before(e, idle))
            idle = e;
    if (n < m->max_loaded)
        return true;
    if (!idle)
        return false;
    unlink_entry(m, idle);
    entry_free(idle); /* its thread has ended, or is about to: it set the state as its last act */
    return true;
}

/* Under mu: an entry for `source` and the thread that fills it. */
static int start_loading(struct pn_models *m, const struct pn_model_source *source, struct pn_err *err)
{
    if (m->max_loaded < 2) /* the default one stays: waiting for room would be for ever */
        return pn_fail(err, PN_ENOTFOUND, "only model '%s' can be asked for here: PINNA_MAX_MODELS is 1",
                       m->first->source.name);
    if (!make_room(m))
        return pn_fail(err, PN_EFULL, "%d models are loaded and in use; no other one can be loaded now",
                       m->max_loaded);
    struct entry *e = entry_new(m, source);
    if (!e)
        return pn_fail(err, PN_ENOMEM, "no memory for another model");
    errno = pthread_create(&e->thread, NULL, load, e);
    e->threaded = errno == 0;
    if (!e->threaded) {
        entry_free(e);
        return pn_fail_errno(err, "thread to load a model");
    }
    e->next = m->others;
    m->others = e;
    return -PN_EAGAIN;
}

/* Under mu: a reference, or why not. A failure is told to all who ask soon, so that a crowd that waited for
 * the model does not load it one after the other; who asks later starts anew. */
static int take(struct pn_models *m, struct entry *e, struct pn_recognizer **ret, struct pn_err *err)
{
    switch (e->state) {
    case LOADING:
        return -PN_EAGAIN;
    case READY:
        e->refs++;
        e->used_us = pn_now_us();
        *ret = e->recognizer;
        return 0;
    case FAILED:
        break;
    }
    return pn_fail(err, (enum pn_error)e->err.code, "%s", e->err.text);
}

/* Under mu: find(), after a failure of that name that is old has been forgotten. */
static struct entry *find_fresh(struct pn_models *m, const char *name)
{
    struct entry *e = find(m, name);
    if (!e || e->state != FAILED || pn_now_us() - e->used_us < FAILURE_US)
        return e;
    unlink_entry(m, e);
    return entry_free(e);
}

/* ---- anybody ---- */

static bool is_default_name(struct pn_str name)
{
    return name.len == 0 || pn_str_ieq(name, PN_STR("default")) || pn_str_ieq(name, PN_STR("whisper-1"));
}

int pn_models_acquire(struct pn_models *m, struct pn_str name, struct pn_recognizer **ret, struct pn_err *err)
{
    struct pn_model_source source = { 0 };
    if (is_default_name(name))
        name = pn_str(m->first->source.name);
    int r = 0;
    if (pn_str_copy(source.name, sizeof(source.name), name) < 0)
        r = pn_fail(err, PN_ENOTFOUND, "a model's name is at most %zu bytes long", sizeof(source.name) - 1);
    pthread_mutex_lock(&m->mu);
    struct entry *e = r == 0 ? find_fresh(m, source.name) : NULL;
    if (e)
        r = take(m, e, ret, err);
    pthread_mutex_unlock(&m->mu);
    if (e || r < 0)
        return r;

    r = pn_model_find(&m->loader, name, false, &source, err); /* reads folders: not under the lock */
    if (r < 0)
        return r;
    pthread_mutex_lock(&m->mu);
    e = find_fresh(m, source.name); /* an alias, or another asker was quicker */
    r = e ? take(m, e, ret, err) : start_loading(m, &source, err);
    pthread_mutex_unlock(&m->mu);
    return r;
}

void pn_models_release(struct pn_models *m, struct pn_recognizer *r)
{
    pthread_mutex_lock(&m->mu);
    struct entry *e = m->first;
    if (e->recognizer != r)
        for (e = m->others; e->recognizer != r;)
            e = e->next;
    e->refs--;
    e->used_us = pn_now_us();
    pthread_mutex_unlock(&m->mu);
}

struct pn_recognizer *pn_models_default(struct pn_models *m)
{
    return m->first->recognizer;
}

/* ---- life ---- */

struct pn_models *pn_models_free(struct pn_models *m)
{
    if (!m)
        return NULL;
    struct entry *next;
    for (struct entry *e = m->others; e; e = next) {
        next = e->next;
        entry_free(e);
    }
    entry_free(m->first);
    pn_pool_free(m->loader.pool);
    pthread_mutex_destroy(&m->mu);
    free(m->model_dir);
    free(m->cache_dir);
    free(m);
    return NULL;
}

/* Finds and loads `name` as the model that lives as long as all. */
static int open_first(struct pn_models *m, struct pn_str name, struct pn_err *err)
{
    struct pn_model_source source = { 0 };
    int r = pn_model_find(&m->loader, name, true, &source, err);
    if (r < 0)
        return r;
    m->first = entry_free(m->first);
    m->first = entry_new(m, &source);
    if (!m->first)
        return pn_fail(err, PN_ENOMEM, "no memory for the models");
    m->first->state = READY;
    return load_recognizer(m, &source, &m->first->recognizer, err);
}

/* The default model, or Sphinx in its place: when it is not here, or not of a kind that runs here. A file
 * that is here and damaged is an error. */
static int open_default(struct pn_models *m, const struct pn_models_options *opt, char warning[256],
                        struct pn_err *err)
{
    struct pn_err why = { 0 };
    int r = open_first(m, pn_str(opt->model), &why);
    if ((r == -PN_ENOTFOUND || r == -PN_EUNSUPPORTED) && opt->allow_fallback &&
        pn_model_is_known(opt->model)) {
        snprintf(warning, 256,
                 "%.160s; using sphinx, which knows English only; choose with --model, see docs/models.md",
                 why.text);
        return open_first(m, PN_STR("sphinx"), err);
    }
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : 0;
}

int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret, char ret_warning[256],
                   struct pn_err *err)
{
    char warning[256] = "";
    struct pn_models *m = calloc(1, sizeof(*m));
    if (!m)
        return pn_fail(err, PN_ENOMEM, "no memory for the models");
    pthread_mutex_init(&m->mu, NULL);
    m->max_loaded = opt->max_loaded;
    m->model_dir = strdup(opt->model_dir ? opt->model_dir : "");
    m->cache_dir = strdup(opt->cache_dir ? opt->cache_dir : "");
    int threads = opt->threads > 0 ? opt->threads : pn_compute_threads();
    m->loader = (struct pn_model_loader){
        .model_dir = m->model_dir, .cache_dir = m->cache_dir, .precision = opt->precision, .threads = threads
    };
    int r = m->model_dir && m->cache_dir ? pn_pool_new(threads, &m->loader.pool, err)
                                         : pn_fail(err, PN_ENOMEM, "no memory for the models");
    if (r == 0) {
        m->loader.packing_pool = m->loader.pool;
        m->loader.progress = opt->progress;
        m->loader.ctx = opt->ctx;
        r = open_default(m, opt, warning, err);
        m->loader.packing_pool = NULL; /* the scheduler's from now on */
        m->loader.progress = NULL;
    }
    if (r < 0) {
        pn_models_free(m);
        return r;
    }
    memcpy(ret_warning, warning, sizeof(warning));
    *ret = m;
    return 0;
}
