/* vad.h - where speech begins and ends in a stream, whoever finds out: FSMN-VAD, Silero, or energy alone.
 *
 * A detector (the network, immutable, shared) and one `pn_vad` a stream. Feeding computes on the calling
 * thread, well under 1 % of real time. Boundaries are samples from the start of the stream; a start may lie
 * before what was fed last (it is found late and moved back), never before the end of the segment before it.
 */
#ifndef PN_ASR_VAD_VAD_H
#define PN_ASR_VAD_VAD_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pn_vad_model;
struct pn_vad;

enum pn_vad_kind { PN_VAD_ENERGY, PN_VAD_SILERO, PN_VAD_FSMN };

/* What a stream asks of its detector; 0 (false) is the detector's own default (FSMN: its config.yaml). */
struct pn_vad_options {
    float threshold;      /* 0..1: probability (FSMN: speech_noise_thres) above which a frame is speech */
    int min_speech_ms;    /* shorter is no speech */
    int end_silence_ms;   /* silence that ends a segment */
    int max_speech_ms;    /* a segment is cut here at the latest; 0: the detector's, 60 s at most */
    int pad_ms;           /* audio kept before a start and behind an end */
    bool dynamic_silence; /* FSMN: the longer the segment, the less silence ends it (spec paraformer 5.5) */
};

struct pn_vad_event {
    bool start; /* else an end */
    int64_t sample;
};

/* Energy: `path` NULL. Silero: the ggml file. FSMN: the ModelScope folder. The kind is found from the path.
 * -PN_ENOTFOUND, -PN_EFORMAT, -PN_EUNSUPPORTED, -PN_ENOMEM. */
PN_MUST_CHECK int pn_vad_model_open(const char *path, struct pn_vad_model **ret, struct pn_err *err);
struct pn_vad_model *pn_vad_model_close(struct pn_vad_model *m); /* no stream is open; accepts NULL */
enum pn_vad_kind pn_vad_model_kind(const struct pn_vad_model *m);
const char *pn_vad_model_name(const struct pn_vad_model *m); /* "energy", "silero", "fsmn" */

/* -PN_EINVAL: an option is out of range, *err names it. */
PN_MUST_CHECK int pn_vad_check(const struct pn_vad_options *opt, struct pn_err *err);
/* -PN_EINVAL (as pn_vad_check), -PN_ENOMEM. Borrows m. `opt` may be NULL. */
PN_MUST_CHECK int pn_vad_new(const struct pn_vad_model *m, const struct pn_vad_options *opt,
                             struct pn_vad **ret);
struct pn_vad *pn_vad_free(struct pn_vad *v); /* accepts NULL, returns NULL */
void pn_vad_reset(struct pn_vad *v);          /* a new stream begins at sample 0 */
/* 16 kHz, mono, -1..1. -PN_ENOMEM; -PN_EINVAL after the end. NaN counts as 0. */
PN_MUST_CHECK int pn_vad_feed(struct pn_vad *v, const float *pcm, size_t n);
PN_MUST_CHECK int pn_vad_end(struct pn_vad *v); /* no more will come: an open segment ends */
/* The next boundary in time order; starts and ends alternate, beginning with a start. False: none is known
 * yet. */
bool pn_vad_next(struct pn_vad *v, struct pn_vad_event *ret);
/* All before this sample is decided: no event to come lies before it. */
int64_t pn_vad_settled(const struct pn_vad *v);

#endif
