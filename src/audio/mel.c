/* mel.c - the tables of the log-mel front end and the way of four frames through them: window, transform,
 * power, filters, logarithm. Immutable after new; any thread. */
#include "audio/mel_front.h"

#include "audio/mel_filters.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

struct pn_mel {
    struct pn_fft400 fft;
    struct pn_mel_filters filters;
};

int pn_mel_new(int n_mels, struct pn_mel **ret)
{
    if (n_mels < 1 || n_mels > PN_MEL_MAX_BINS)
        return -PN_EINVAL;
    struct pn_mel *m = calloc(1, sizeof(*m));
    if (!m || pn_mel_filters_slaney(&m->filters, n_mels) < 0) {
        pn_mel_free(m);
        return -PN_ENOMEM;
    }
    pn_fft400_init(&m->fft);
    *ret = m;
    return 0;
}

struct pn_mel *pn_mel_free(struct pn_mel *m)
{
    if (m)
        pn_mel_filters_done(&m->filters);
    free(m);
    return NULL;
}

int pn_mel_bins(const struct pn_mel *m)
{
    return m->filters.n;
}

float pn_mel_frames(const struct pn_mel *m, const float *samples, int n, float *out)
{
    const float least = 1e-10F, log10_of_2 = 0.301029995663981195F;
    pn_lanes power[PN_FFT_BINS], energy[PN_MEL_MAX_BINS];
    pn_fft400_power(&m->fft, samples, PN_MEL_HOP, power);
    pn_mel_filters_apply(&m->filters, power, energy);
    float loudest = PN_MEL_SILENCE; /* samples that are no numbers, or beyond all bounds, are silence, too */
    for (int l = 0; l < n; l++)
        for (int b = 0; b < m->filters.n; b++) {
            float v = energy[b][l] > least && energy[b][l] <= FLT_MAX ? log2f(energy[b][l]) * log10_of_2
                                                                      : PN_MEL_SILENCE;
            *out++ = v;
            loudest = v > loudest ? v : loudest;
        }
    return loudest;
}
