/* layer.h - a small f32 layer packed into memory of its own: the detectors' networks are too small for a
 * packed file. Immutable once made. */
#ifndef PN_ASR_VAD_LAYER_H
#define PN_ASR_VAD_LAYER_H

#include "base/error.h"
#include "nn/linear.h"

struct pn_vad_layer {
    struct pn_linear linear;
    void *block; /* where it lies */
};

/* From w[n][k] and bias[n] (NULL: none). -PN_ENOMEM. */
PN_MUST_CHECK int pn_vad_layer_init(struct pn_vad_layer *l, int n, int k, const float *w, const float *bias);
void pn_vad_layer_done(struct pn_vad_layer *l); /* accepts one that is all zero */
/* y[m][n] of rows that begin `ldx` floats apart. */
void pn_vad_layer_run(const struct pn_vad_layer *l, int m, const float *x, size_t ldx, float *y,
                      enum pn_epilogue e);

#endif
