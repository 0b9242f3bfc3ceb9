/* models_impl.h - what models.c (lending) and models_open.c (start and end) share. */
#ifndef PN_ASR_MODELS_IMPL_H
#define PN_ASR_MODELS_IMPL_H

#include "asr/companions.h"
#include "asr/model_kinds.h"
#include "asr/models.h"
#include "asr/pipeline/pipeline.h"

#include <pthread.h>

enum pn_entry_state { PN_ENTRY_LOADING, PN_ENTRY_READY, PN_ENTRY_FAILED };

struct pn_entry {
    struct pn_entry *next;
    struct pn_models *models;
    struct pn_model_source source;
    enum pn_entry_state state;
    pthread_t thread; /* joined when the entry leaves LOADING for the list's other users */
    bool threaded;
    struct pn_recognizer *recognizer;
    struct pn_err err;
    int refs;
    int64_t used_us;
};

struct pn_models {
    struct pn_model_loader loader; /* immutable once opened, as all down to `mu` */
    char *model_dir, *cache_dir;
    int max_loaded;
    struct pn_entry *kept;         /* all that live as long as the models; the default one is the last */
    struct pn_entry *first, *live; /* the default ones, of `kept` */
    struct pn_recognizer *second;  /* of one of `kept`; NULL: no second pass */
    const char *second_name;       /* that entry's */
    struct pn_vad_model *vad;      /* NULL: off */
    int live_pad_ms;
    pthread_mutex_t mu;
    struct pn_entry *others; /* guarded by mu */

    pthread_mutex_t punctuation_mu; /* held while it is loaded, which takes seconds; before mu */
    char *punctuation_setting;
    bool punctuation_known;             /* guarded by punctuation_mu, as the next one */
    struct pn_punctuation *punctuation; /* NULL: none */
};

/* NULL without memory. */
struct pn_entry *pn_entry_new(struct pn_models *m, const struct pn_model_source *source);
struct pn_entry *pn_entry_free(struct pn_entry *e); /* joins its thread; accepts NULL, returns NULL */
/* The model in its pipeline, and punctuation, if its text has none and it is the first such. */
PN_MUST_CHECK int pn_models_load(struct pn_models *m, const struct pn_model_source *source,
                                 struct pn_recognizer **ret, struct pn_err *err);

#endif
