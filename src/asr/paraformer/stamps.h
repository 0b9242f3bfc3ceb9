/* stamps.h - when each token was said, from the predictor's weights (spec paraformer 3.7). Pure.
 *
 * A predictor gives every step (60 ms, or 20 ms in a time-stamp head) a weight alpha; where their sum passes
 * a whole number a token fires, and a token lasts from its fire to the next. */
#ifndef PN_ASR_PARAFORMER_STAMPS_H
#define PN_ASR_PARAFORMER_STAMPS_H

#include "asr/paraformer/words.h"

struct pn_fires {
    const float *alphas; /* [n_steps] */
    const float *peaks;  /* [n_steps]: the running sum at each step, before a fire takes its 1 off */
    size_t n_steps;
    int upsample; /* steps in 60 ms: 1 (the token predictor; its tail row counts) or 3 (a time-stamp head) */
};

/* Writes stamp[n_tokens], in order and not before 0, each `offset_ms` later. The tokens are those without the
 * end mark. When the peaks fire another number of times than n_tokens + 1, the weights are scaled to that sum
 * and fire again; should even that not fit, the last tokens get an empty stamp at the end. */
void pn_paraformer_stamps(const struct pn_fires *f, int64_t offset_ms, size_t n_tokens,
                          struct pn_stamp *stamp);
/* The peaks of a time-stamp head: alphas integrated in order, less 1 - 1e-4 after each fire. */
void pn_paraformer_peaks(const float *alphas, size_t n_steps, float *peaks);

#endif
