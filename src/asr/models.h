/* models.h - the recognisers of this process, by name.
 *
 * A model is loaded once, in a pipeline (pipeline/pipeline.h), and shared by all streams. The default ones,
 * for files and for live audio, and the one that corrects what a streaming model heard are loaded at start
 * and stay; others that lie on this machine are loaded when they are first asked for, by a thread of their
 * own, and dropped, the longest idle first, when with the default one more than `max_loaded` are there.
 * Names: "sphinx", those of the catalogue ("base"), and those of files and folders in the model folder; a
 * path only for the default models, never from a request. */
#ifndef PN_ASR_MODELS_H
#define PN_ASR_MODELS_H

#include "asr/recognizer.h"
#include "nn/precision.h"

struct pn_models;

struct pn_models_options {
    const char *model;      /* what uploads and files ask for by default: WHISPER_MODEL or --model */
    const char *live_model; /* what live audio asks for by default: MODEL_NAME; NULL or "": the same */
    /* A catalogued model that is not there becomes Sphinx (with a warning) instead of -PN_ENOTFOUND. */
    bool allow_fallback;
    int threads; /* compute threads; 0 = cores this process may use */
    enum pn_precision precision;
    const char *model_dir; /* "" = the usual places */
    const char *cache_dir; /* for packed files that cannot lie beside their source; "" = nowhere */
    int max_loaded;        /* models loaded at once; at least 1 */
    /* Companions, NULL as "auto" (companions.h); "off": none. final_model: the second pass; "auto" is
     * paraformer-zh, if it is here and the live model a Chinese one that streams. */
    const char *vad, *punctuation, *final_model;
    int live_pad_ms; /* audio kept before and behind what the detector finds in live streams that do not say
                        how much; 0: as the detector has it */
    /* While a default model is packed for the first time, 0..1; may be NULL. */
    void (*progress)(void *ctx, double fraction);
    /* A model is not here and another is used instead: one line naming it, how to get it and where to read
     * more; may be NULL. */
    void (*warn)(void *ctx, const char *line);
    void *ctx;
};

/* An unknown default name is -PN_ENOTFOUND with the known ones in the text; a live or final model that is not
 * here is done without, with a warning. */
PN_MUST_CHECK int pn_models_open(const struct pn_models_options *opt, struct pn_models **ret,
                                 struct pn_err *err);
struct pn_models *pn_models_free(struct pn_models *m);        /* no stream is open; accepts NULL */
struct pn_recognizer *pn_models_default(struct pn_models *m); /* lives as long as m, as the next one */
struct pn_recognizer *pn_models_live(struct pn_models *m);
/* The name of the best one here for whole recordings in the language of live audio: that of the second pass;
 * else the default one, unless that is only Sphinx and there is another one for live audio. As long as m. */
const char *pn_models_recording(const struct pn_models *m);

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
