/* models.c - the names people use for models, and the recognisers behind them. The catalogue tells a name
 * that is right but not here from one that is wrong. */
#include "asr/models.h"

#include "asr/sphinx/sphinx.h"
#include "base/buf.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum engine { SPHINX, WHISPER, PARAFORMER };

static const struct {
    const char *name;
    enum engine engine;
} CATALOGUE[] = {
    { "sphinx", SPHINX },
    { "tiny", WHISPER },
    { "tiny.en", WHISPER },
    { "base", WHISPER },
    { "base.en", WHISPER },
    { "small", WHISPER },
    { "small.en", WHISPER },
    { "medium", WHISPER },
    { "medium.en", WHISPER },
    { "large", WHISPER },
    { "large-v1", WHISPER },
    { "large-v2", WHISPER },
    { "large-v3", WHISPER },
    { "large-v3-turbo", WHISPER },
    { "turbo", WHISPER },
    { "paraformer-zh", PARAFORMER },
    { "paraformer-zh-streaming", PARAFORMER },
    { "paraformer-en", PARAFORMER },
};

struct pn_models {
    struct pn_recognizer *recognizer;
};

static const char *engine_name(enum engine e)
{
    switch (e) {
    case SPHINX:
        return "Sphinx";
    case WHISPER:
        return "Whisper";
    case PARAFORMER:
        return "Paraformer";
    }
    PN_UNREACHABLE();
}

static int unknown_model(const char *name, struct pn_err *err)
{
    char known[192];
    size_t used = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(CATALOGUE) && used < sizeof(known); i++)
        used += (size_t)snprintf(known + used, sizeof(known) - used, " %s", CATALOGUE[i].name);
    return pn_fail(err, PN_ENOTFOUND, "unknown model '%.24s'; known:%s", name, known);
}

static int find_engine(const char *name, enum engine *ret, struct pn_err *err)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(CATALOGUE); i++)
        if (strcmp(CATALOGUE[i].name, name) == 0) {
            *ret = CATALOGUE[i].engine;
            return 0;
        }
    return unknown_model(name, err);
}

/* What to do about a model of the catalogue that this version cannot run. */
static int fall_back(const struct pn_models_options *opt, enum engine engine, char warning[256],
                     struct pn_err *err)
{
    if (!opt->allow_fallback)
        return pn_fail(err, PN_ENOTFOUND,
                       "model '%s' is not here: this version cannot run %s models; use --model sphinx "
                       "(English only, see docs/models.md)",
                       opt->model, engine_name(engine));
    snprintf(warning, 256,
             "model '%s' is not here (this version cannot run %s models): using sphinx, which knows English "
             "only; choose with --model, see docs/models.md",
             opt->model, engine_name(engine));
    return 0;
}

int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret, char ret_warning[256],
                   struct pn_err *err)
{
    enum engine engine = SPHINX;
    char warning[256] = "";
    int r = find_engine(opt->model, &engine, err);
    if (r == 0 && engine != SPHINX)
        r = fall_back(opt, engine, warning, err);
    if (r < 0)
        return r;
    struct pn_models *m = calloc(1, sizeof(*m));
    if (!m)
        return pn_fail(err, PN_ENOMEM, "no memory for the models");
    int threads = opt->threads > 0 ? opt->threads : pn_compute_threads();
    r = pn_sphinx_new(PN_SPHINX_MODEL_DIR, threads, &m->recognizer, err);
    if (r < 0) {
        free(m);
        return r;
    }
    memcpy(ret_warning, warning, sizeof(warning));
    *ret = m;
    return 0;
}

struct pn_models *pn_models_free(struct pn_models *m)
{
    if (m) {
        m->recognizer->ops->free(m->recognizer);
        free(m);
    }
    return NULL;
}

struct pn_recognizer *pn_models_default(struct pn_models *m)
{
    return m->recognizer;
}
