/* fbank_front.h - what fbank.c gives fbank_stream.c: the options and the frames of a few samples. */
#ifndef PN_AUDIO_FBANK_FRONT_H
#define PN_AUDIO_FBANK_FRONT_H

#include "audio/fbank.h"
#include "audio/fft512.h"
#include "audio/mel_filters.h"

enum {
    PN_FBANK_MAX_BINS = 128,
    PN_FBANK_BATCH = PN_FFT_LANES,                                        /* frames made at a time */
    PN_FBANK_SPAN = (PN_FBANK_BATCH - 1) * PN_FBANK_HOP + PN_FBANK_WINDOW /* samples that a batch reads */
};

struct pn_fbank {
    struct pn_fft512 fft;
    struct pn_mel_filters filters;
    int n_mels, lfr_m, lfr_n;
    float *shift, *scale; /* [lfr_m * n_mels], or both NULL */
    float window[PN_FBANK_WINDOW];
};

/* Log energies of the first n (at most PN_FBANK_BATCH) frames of samples[PN_FBANK_SPAN], which are on the
 * scale of 16 bits; out[n][n_mels]. A frame's values do not depend on n or on its neighbours. */
void pn_fbank_frames(const struct pn_fbank *f, const float *samples, int n, float *out);

#endif
