/* levels.h - the levels of 25 ms frames every 10 ms: 10 log10 of the sum of squares, samples in -1..1, plus
 * 1e-6 (spec paraformer 5.2). As samples come; those of the last frames are kept. */
#ifndef PN_ASR_VAD_LEVELS_H
#define PN_ASR_VAD_LEVELS_H

#include <stddef.h>
#include <stdint.h>

enum {
    PN_LEVELS_SLICE = 80, /* samples: a frame is five slices, a hop two */
    PN_LEVELS_KEPT = 16,  /* frames */
};

struct pn_levels {        /* all zero at the start */
    double slice[5], sum; /* energies of the last slices, a ring; of the running one */
    int in_slice;         /* samples */
    int64_t slices, frames;
    double decibel[PN_LEVELS_KEPT]; /* of frame f at f % PN_LEVELS_KEPT */
};

void pn_levels_feed(struct pn_levels *l, const float *pcm, size_t n);

#endif
