/* models_open.c - the models that are loaded at start and stay: for files, for live audio, for the second
 * pass, and what their pipelines use. */
#include "asr/models_impl.h"

#include "base/str.h"
#include "nn/pool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- into a pipeline ---- */

/* Loaded when the first model needs it: it is large. */
static int find_punctuation(struct pn_models *m, const struct pn_punctuation **ret, struct pn_err *err)
{
    pthread_mutex_lock(&m->punctuation_mu);
    int r = 0;
    if (!m->punctuation_known)
        r = pn_companion_punctuation(&m->loader, m->punctuation_setting, &m->punctuation, err);
    m->punctuation_known = r == 0;
    *ret = m->punctuation;
    pthread_mutex_unlock(&m->punctuation_mu);
    return r;
}

int pn_models_load(struct pn_models *m, const struct pn_model_source *source, struct pn_recognizer **ret,
                   struct pn_err *err)
{
    struct pn_recognizer *first = NULL;
    struct pn_pipeline_parts parts = { .vad = m->vad, .live_pad_ms = m->live_pad_ms, .second = m->second };
    int r = pn_model_load(&m->loader, source, &first, err);
    if (r < 0)
        return r;
    if (first->bare_text)
        r = find_punctuation(m, &parts.punctuation, err);
    if (r == 0)
        r = pn_pipeline_new(first, &parts, ret, err);
    if (r < 0)
        first->ops->free(first);
    return r;
}

/* ---- those that stay ---- */

/* Finds and loads `name`, unless it is there. */
static int keep(struct pn_models *m, struct pn_str name, struct pn_entry **ret, struct pn_err *err)
{
    struct pn_model_source source = { 0 };
    int r = pn_model_find(&m->loader, name, true, &source, err);
    if (r < 0)
        return r;
    for (struct pn_entry *e = m->kept; e; e = e->next)
        if (strcmp(e->source.path, source.path) == 0 && strcmp(e->source.name, source.name) == 0) {
            *ret = e;
            return 0;
        }
    struct pn_entry *e = pn_entry_new(m, &source);
    if (!e)
        return pn_fail(err, PN_ENOMEM, "no memory for the models");
    e->state = PN_ENTRY_READY;
    r = pn_models_load(m, &source, &e->recognizer, err);
    if (r < 0) {
        pn_entry_free(e);
        return r;
    }
    e->next = m->kept;
    m->kept = e;
    *ret = e;
    return 0;
}

static bool is_elsewhere(int code)
{
    return code == -PN_ENOTFOUND || code == -PN_EUNSUPPORTED;
}

static void warn(const struct pn_models_options *opt, const struct pn_err *why, const char *instead)
{
    char line[512];
    snprintf(line, sizeof(line), "%s; %s", why->text, instead);
    if (opt->warn)
        opt->warn(opt->ctx, line);
}

/* The default model, or Sphinx in its place: when it is not here, or not of a kind that runs here. A file
 * that is here and damaged is an error. */
static int open_default(struct pn_models *m, const struct pn_models_options *opt, struct pn_err *err)
{
    struct pn_err why = { 0 };
    int r = keep(m, pn_str(opt->model), &m->first, &why);
    if (is_elsewhere(r) && opt->allow_fallback && pn_model_is_known(opt->model)) {
        warn(opt, &why, "using sphinx, which knows English only; choose with --model, see docs/models.md");
        return keep(m, PN_STR("sphinx"), &m->first, err);
    }
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : 0;
}

/* The model for live audio, or the default one. */
static int open_live(struct pn_models *m, const struct pn_models_options *opt, struct pn_err *err)
{
    char instead[128];
    struct pn_err why = { 0 };
    m->live = m->first;
    if (!opt->live_model || !opt->live_model[0])
        return 0;
    int r = keep(m, pn_str(opt->live_model), &m->live, &why);
    if (!is_elsewhere(r))
        return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : 0;
    snprintf(instead, sizeof(instead), "live audio is recognised by %.60s, see docs/live.md",
             m->first->source.name);
    warn(opt, &why, instead);
    return 0;
}

static bool streams_chinese(const struct pn_entry *e)
{
    return e->recognizer->streaming && !strstr(e->source.name, "-en");
}

static int check_final(const struct pn_recognizer *r, const char *name, struct pn_err *err)
{
    if (!r->streaming && strcmp(name, "sphinx") != 0)
        return 0;
    return pn_fail(err, PN_EINVAL, "PINNA_FINAL_MODEL: '%.60s' cannot correct what others heard", name);
}

static int open_final(struct pn_models *m, const struct pn_models_options *opt, struct pn_err *err)
{
    const char *name = opt->final_model ? opt->final_model : "auto";
    bool automatic = strcmp(name, "auto") == 0 || name[0] == '\0';
    struct pn_entry *e = NULL;
    struct pn_err why = { 0 };
    if (strcmp(name, "off") == 0 || (automatic && !streams_chinese(m->live)))
        return 0;
    int r = keep(m, automatic ? PN_STR("paraformer-zh") : pn_str(name), &e, &why);
    if (is_elsewhere(r)) {
        if (!automatic)
            warn(opt, &why, "sentences are not corrected, see docs/live.md");
        return 0;
    }
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", why.text);
    m->second = pn_pipeline_first(e->recognizer);
    m->second_name = e->source.name;
    return check_final(m->second, e->source.name, err);
}

static int open_all(struct pn_models *m, const struct pn_models_options *opt, struct pn_err *err)
{
    m->loader.packing_pool = m->loader.pool;
    m->loader.progress = opt->progress;
    m->loader.ctx = opt->ctx;
    int r = pn_companion_vad(&m->loader, opt->vad ? opt->vad : "auto", &m->vad, err);
    if (r == 0)
        r = open_default(m, opt, err);
    if (r == 0)
        r = open_live(m, opt, err);
    if (r == 0)
        r = open_final(m, opt, err);
    if (r == 0 && m->second) /* those above were loaded before it */
        for (struct pn_entry *e = m->kept; e; e = e->next)
            pn_pipeline_set_second(e->recognizer, m->second);
    m->loader.packing_pool = NULL; /* the scheduler's from now on */
    m->loader.progress = NULL;
    return r;
}

/* ---- life ---- */

static void free_entries(struct pn_entry *e)
{
    for (struct pn_entry *next; e; e = next) {
        next = e->next;
        pn_entry_free(e);
    }
}

struct pn_models *pn_models_free(struct pn_models *m)
{
    if (!m)
        return NULL;
    free_entries(m->others);
    free_entries(m->kept);
    pn_punctuation_close(m->punctuation);
    pn_vad_model_close(m->vad);
    pn_pool_free(m->loader.pool);
    pthread_mutex_destroy(&m->punctuation_mu);
    pthread_mutex_destroy(&m->mu);
    free(m->punctuation_setting);
    free(m->model_dir);
    free(m->cache_dir);
    free(m);
    return NULL;
}

int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret, struct pn_err *err)
{
    struct pn_models *m = calloc(1, sizeof(*m));
    if (!m)
        return pn_fail(err, PN_ENOMEM, "no memory for the models");
    pthread_mutex_init(&m->mu, NULL);
    pthread_mutex_init(&m->punctuation_mu, NULL);
    m->max_loaded = opt->max_loaded;
    m->live_pad_ms = opt->live_pad_ms;
    m->model_dir = strdup(opt->model_dir ? opt->model_dir : "");
    m->cache_dir = strdup(opt->cache_dir ? opt->cache_dir : "");
    m->punctuation_setting = strdup(opt->punctuation ? opt->punctuation : "auto");
    int threads = opt->threads > 0 ? opt->threads : pn_compute_threads();
    m->loader = (struct pn_model_loader){
        .model_dir = m->model_dir, .cache_dir = m->cache_dir, .precision = opt->precision, .threads = threads
    };
    int r = m->model_dir && m->cache_dir && m->punctuation_setting
                ? pn_pool_new(threads, &m->loader.pool, err)
                : pn_fail(err, PN_ENOMEM, "no memory for the models");
    if (r == 0)
        r = open_all(m, opt, err);
    if (r < 0)
        pn_models_free(m);
    else
        *ret = m;
    return r;
}
