/* model_kinds.h - from a model's name to where it lies, and from there to a recogniser. Private to models.c.
 */
#ifndef PN_ASR_MODEL_KINDS_H
#define PN_ASR_MODEL_KINDS_H

#include "asr/recognizer.h"
#include "model/caches.h"
#include "nn/pool.h"
#include "nn/precision.h"

struct pn_model_loader {
    const char *model_dir, *cache_dir; /* "" = the usual places; nowhere */
    enum pn_precision precision;
    int threads;
    struct pn_pool *pool; /* compute threads of all models */
    /* The same while nothing else runs on it, to pack weights with; later NULL: on the loader's thread. */
    struct pn_pool *packing_pool;
    void (*progress)(void *ctx, double fraction);
    void *ctx;
};

struct pn_model_source {
    char name[PN_MODEL_NAME_MAX + 1]; /* "base", or the stem of a file */
    char path[PN_MODEL_PATH_MAX];     /* "" for sphinx */
};

/* Where the model called `name` lies. A path is taken only with `allow_path`. -PN_ENOTFOUND: a text that says
 * how to get it (`pinna pull base`), or which names are known. */
PN_MUST_CHECK int pn_model_find(const struct pn_model_loader *l, struct pn_str name, bool allow_path,
                                struct pn_model_source *ret, struct pn_err *err);
/* A name of the catalogue, here or not. */
bool pn_model_is_known(const char *name);
/* Loads it: seconds the first time, milliseconds when its packed file is there. */
PN_MUST_CHECK int pn_model_load(const struct pn_model_loader *l, const struct pn_model_source *source,
                                struct pn_recognizer **ret, struct pn_err *err);

#endif
