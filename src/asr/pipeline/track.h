/* track.h - the part of a stream's audio that is still undecided, by absolute sample numbers. One thread. */
#ifndef PN_ASR_PIPELINE_TRACK_H
#define PN_ASR_PIPELINE_TRACK_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* Zeroed it is empty and at the start of the stream. */
struct pn_track {
    float *pcm;
    size_t cap, n;
    int64_t start; /* the sample that pcm[0] is */
};

void pn_track_done(struct pn_track *t);
PN_MUST_CHECK int pn_track_add(struct pn_track *t, const float *pcm, size_t n); /* -PN_ENOMEM */
/* Forgets all before `sample`, and gives memory back when little is left. */
void pn_track_drop(struct pn_track *t, int64_t sample);
int64_t pn_track_end(const struct pn_track *t);
/* The samples from `sample` on, which is in [start, end]. */
const float *pn_track_at(const struct pn_track *t, int64_t sample);

#endif
