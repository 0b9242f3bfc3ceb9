/* models.c - the recognisers of this process: found by name, loaded, lent, dropped.
 *
 * The list of models is guarded by `mu`. A model that is asked for and is not loaded gets an entry and a
 * thread that loads it; askers get -PN_EAGAIN meanwhile. An entry is freed only when nobody holds a
 * reference, and its thread has been joined by then. The default model has no references to count: it lives
 * as long as all. */
#include "asr/models_impl.h"

#include "base/clock.h"
#include "base/str.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FAILURE_US = 5000000 };

/* ---- entries ---- */

struct pn_entry *pn_entry_free(struct pn_entry *e)
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

struct pn_entry *pn_entry_new(struct pn_models *m, const struct pn_model_source *source)
{
    struct pn_entry *e = calloc(1, sizeof(*e));
    if (e) {
        e->models = m;
        e->source = *source;
        e->used_us = pn_now_us();
    }
    return e;
}

static void *load(void *arg)
{
    struct pn_entry *e = arg;
    struct pn_recognizer *r = NULL;
    struct pn_err err = { 0 };
    int code = pn_models_load(e->models, &e->source, &r, &err);
    pthread_mutex_lock(&e->models->mu);
    e->recognizer = r;
    e->err = err;
    e->used_us = pn_now_us();
    e->state = code == 0 ? PN_ENTRY_READY : PN_ENTRY_FAILED;
    pthread_mutex_unlock(&e->models->mu);
    return NULL;
}

/* Under mu. */
static struct pn_entry *find(struct pn_models *m, const char *name)
{
    struct pn_entry *lists[] = { m->kept, m->others };
    for (size_t i = 0; i < PN_ARRAY_LEN(lists); i++)
        for (struct pn_entry *e = lists[i]; e; e = e->next)
            if (strcmp(e->source.name, name) == 0)
                return e;
    return NULL;
}

/* Under mu. */
static void unlink_entry(struct pn_models *m, struct pn_entry *e)
{
    struct pn_entry **link = &m->others;
    while (*link != e)
        link = &(*link)->next;
    *link = e->next;
}

/* Failures first, then the longest idle. */
static bool goes_before(const struct pn_entry *a, const struct pn_entry *b)
{
    if (!b || a->state != b->state)
        return !b || a->state == PN_ENTRY_FAILED;
    return a->used_us < b->used_us;
}

/* Under mu: drops a model that nobody uses if there are too many. False: none may go. */
static bool make_room(struct pn_models *m)
{
    int n = 1;
    struct pn_entry *idle = NULL;
    for (struct pn_entry *e = m->others; e; e = e->next, n++)
        if (e->state != PN_ENTRY_LOADING && e->refs == 0 && goes_before(e, idle))
            idle = e;
    if (n < m->max_loaded)
        return true;
    if (!idle)
        return false;
    unlink_entry(m, idle);
    pn_entry_free(idle); /* its thread has ended, or is about to: it set the state as its last act */
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
    struct pn_entry *e = pn_entry_new(m, source);
    if (!e)
        return pn_fail(err, PN_ENOMEM, "no memory for another model");
    errno = pthread_create(&e->thread, NULL, load, e);
    e->threaded = errno == 0;
    if (!e->threaded) {
        pn_entry_free(e);
        return pn_fail_errno(err, "thread to load a model");
    }
    e->next = m->others;
    m->others = e;
    return -PN_EAGAIN;
}

/* Under mu: a reference, or why not. A failure is told to all who ask soon, so that a crowd that waited for
 * the model does not load it one after the other; who asks later starts anew. */
static int take(struct pn_models *m, struct pn_entry *e, struct pn_recognizer **ret, struct pn_err *err)
{
    switch (e->state) {
    case PN_ENTRY_LOADING:
        return -PN_EAGAIN;
    case PN_ENTRY_READY:
        e->refs++;
        e->used_us = pn_now_us();
        *ret = e->recognizer;
        return 0;
    case PN_ENTRY_FAILED:
        break;
    }
    return pn_fail(err, (enum pn_error)e->err.code, "%s", e->err.text);
}

/* Under mu: find(), after a failure of that name that is old has been forgotten. */
static struct pn_entry *find_fresh(struct pn_models *m, const char *name)
{
    struct pn_entry *e = find(m, name);
    if (!e || e->state != PN_ENTRY_FAILED || pn_now_us() - e->used_us < FAILURE_US)
        return e;
    unlink_entry(m, e);
    return pn_entry_free(e);
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
    struct pn_entry *e = r == 0 ? find_fresh(m, source.name) : NULL;
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
    struct pn_entry *e = m->kept;
    while (e && e->recognizer != r)
        e = e->next;
    if (!e)
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

struct pn_recognizer *pn_models_live(struct pn_models *m)
{
    return m->live->recognizer;
}

const char *pn_models_recording(const struct pn_models *m)
{
    if (m->second)
        return m->second_name;
    bool sphinx = strcmp(m->first->source.name, "sphinx") == 0;
    return sphinx ? m->live->source.name : m->first->source.name;
}
