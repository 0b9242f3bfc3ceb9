/* mel_filters.h - triangular mel filters over the 201 bins of a 400-point spectrum at 16 kHz. */
#ifndef PN_AUDIO_MEL_FILTERS_H
#define PN_AUDIO_MEL_FILTERS_H

#include "audio/fft400.h"
#include "base/attr.h"

/* The non-zero weights of one filter: weight[offset + i] is that of bin first + i. */
struct pn_mel_filter {
    int first, n, offset;
};

struct pn_mel_filters {
    int n;
    struct pn_mel_filter *filter; /* [n] */
    float *weight;                /* of all filters, one after another */
};

PN_MUST_CHECK int pn_mel_filters_init(struct pn_mel_filters *f, int n); /* -PN_ENOMEM */
void pn_mel_filters_done(struct pn_mel_filters *f);
/* energy[m] of four frames */
void pn_mel_filters_apply(const struct pn_mel_filters *f, const pn_lanes power[PN_FFT_BINS],
                          pn_lanes *energy);

#endif
