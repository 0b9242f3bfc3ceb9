/* models.h - the recognisers of this process, by name.
 *
 * A model is loaded once, at start, and shared by all streams. Names: "sphinx", and those of the catalogue
 * ("base", "paraformer-zh-streaming", ...), whose engines are not in this version: the process falls back to
 * Sphinx and says so. */
#ifndef PN_ASR_MODELS_H
#define PN_ASR_MODELS_H

#include "asr/recognizer.h"

struct pn_models;

struct pn_models_options {
    const char *model; /* what uploads and files ask for by default: WHISPER_MODEL or --model */
    /* A catalogued model that is not there becomes Sphinx (with a warning) instead of -PN_ENOTFOUND. */
    bool allow_fallback;
    int threads; /* compute threads; 0 = cores this process may use */
};

/* An unknown name is -PN_ENOTFOUND with the known ones in the text. `ret_warning`: set when the fallback was
 * taken: one line naming the wanted model, --model and docs/models.md; else emptied. */
PN_MUST_CHECK int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret,
                                 char ret_warning[256], struct pn_err *err);
struct pn_models *pn_models_free(struct pn_models *m);
struct pn_recognizer *pn_models_default(struct pn_models *m); /* lives as long as m */
/* Cores this process may use: sched_getaffinity and cgroup cpu.max, at least 1. */
int pn_compute_threads(void);

#endif
