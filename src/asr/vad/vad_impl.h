/* vad_impl.h - what a detector gives vad.c: it embeds these structs, fills in the functions and puts the
 * boundaries that it finds into `events`. */
#ifndef PN_ASR_VAD_VAD_IMPL_H
#define PN_ASR_VAD_VAD_IMPL_H

#include "asr/vad/events.h"

struct pn_vad_model {
    enum pn_vad_kind kind;
    /* `opt` is complete and within its bounds; *ret is set on success only. */
    int (*new_stream)(const struct pn_vad_model *m, const struct pn_vad_options *opt, struct pn_vad **ret);
    void (*close)(struct pn_vad_model *m);
};

struct pn_vad {
    const struct pn_vad_ops *ops;
    struct pn_vad_events events;
    int64_t fed; /* samples, those of the running feed() included */
    bool ended;
};

/* Memory that runs out while feeding is told in events.failed or by -PN_ENOMEM. */
struct pn_vad_ops {
    int (*feed)(struct pn_vad *v, const float *pcm, size_t n);
    int (*end)(struct pn_vad *v);
    void (*reset)(struct pn_vad *v); /* `events`, `fed` and `ended` are vad.c's */
    int64_t (*settled)(const struct pn_vad *v);
    void (*free)(struct pn_vad *v);
};

int pn_vad_energy_open(struct pn_vad_model **ret, struct pn_err *err);
int pn_vad_silero_open(const char *path, struct pn_vad_model **ret, struct pn_err *err);
int pn_vad_fsmn_open(const char *folder, struct pn_vad_model **ret, struct pn_err *err);

/* A sample as detectors take it: no number is silence, what is too loud is as loud as can be. */
static inline float pn_vad_sample(float x)
{
    return x > 1 ? 1 : x < -1 ? -1 : x == x ? x : 0;
}

/* Samples in `ms` milliseconds, or in `fallback` where the option is 0. */
static inline int64_t pn_vad_samples(int ms, int fallback)
{
    return (int64_t)(ms ? ms : fallback) * 16;
}

#endif
