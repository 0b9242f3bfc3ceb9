/* models.h - the recognisers of this process, by name.
 *
 * A model is loaded once and shared by all streams. The default one is loaded at start; others that lie on
 * this machine are loaded when they are first asked for, by a thread of their own, and dropped, the longest
 * idle first, when more than `max_loaded` are there. Names: "sphinx", those of the catalogue ("base"), and
 * those of files and folders in the model folder; a path only for the default model, never from a request. */
#ifndef PN_ASR_MODELS_H
#define PN_ASR_MODELS_H

#include "asr/recognizer.h"
#include "nn/precision.h"

struct pn_models;

struct pn_models_options {
    const char *model; /* what uploads and files ask for by default: WHISPER_MODEL or --model */
    /* A catalogued model that is not there becomes Sphinx (with a warning) instead of -PN_ENOTFOUND. */
    bool allow_fallback;
    int threads; /* compute threads; 0 = cores this process may use */
    enum pn_precision precision;
    const char *model_dir; /* "" = the usual places */
    const char *cache_dir; /* for packed files that cannot lie beside their source; "" = nowhere */
    int max_loaded;        /* models loaded at once; at least 1 */
    /* While the default model is packed for the first time, 0..1; may be NULL. */
    void (*progress)(void *ctx, double fraction);
    void *ctx;
};

/* An unknown name is -PN_ENOTFOUND with the known ones in the text. `ret_warning`: set when the fallback was
 * taken: one line naming the wanted model, how to get it and docs/models.md; else emptied. */
PN_MUST_CHECK int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret,
                                 char ret_warning[256], struct pn_err *err);
struct pn_models *pn_models_free(struct pn_models *m);        /* no stream is open; accepts NULL */
struct pn_recognizer *pn_models_default(struct pn_models *m); /* lives as long as m */

/* A reference to the recogniser called `name` ("", "default", "whisper-1": the default one), to be released.
 * -PN_EAGAIN: it is being loaded, ask again in a moment; -PN_ENOTFOUND: no such model on this machine, the
 * text says what to do; -PN_EFULL: all loaded models are in use and no more may be; else why it cannot be
 * loaded. Any thread; never waits. */
PN_MUST_CHECK int pn_models_acquire(struct pn_models *m, struct pn_str name, struct pn_recognizer **ret,
                                    struct pn_err *err);
void pn_models_release(struct pn_models *m, struct pn_recognizer *r);
/* Cores this process may use: sched_getaffinity and cgroup cpu.max, at least 1. */
int pn_compute_threads(void);

#endif
