/* mel_filters.h - triangular mel filters over the bins of a spectrum at 16 kHz: Whisper's and Kaldi's. */
#ifndef PN_AUDIO_MEL_FILTERS_H
#define PN_AUDIO_MEL_FILTERS_H

#include "audio/fft_lanes.h"
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

/* Slaney's scale and area normalisation, 0..8000 Hz, over the 201 bins of 400 points. -PN_ENOMEM. */
PN_MUST_CHECK int pn_mel_filters_slaney(struct pn_mel_filters *f, int n);
/* Kaldi's scale, peaks of 1, 20..8000 Hz, over the first 256 bins of 512 points. -PN_ENOMEM. */
PN_MUST_CHECK int pn_mel_filters_kaldi(struct pn_mel_filters *f, int n);
void pn_mel_filters_done(struct pn_mel_filters *f);
/* energy[m] of four frames from their power spectra */
void pn_mel_filters_apply(const struct pn_mel_filters *f, const pn_lanes *power, pn_lanes *energy);

#endif
