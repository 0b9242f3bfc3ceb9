/* fft400.h - power spectra of four windowed 400-sample frames at a time, for mel.c and features.c. The four
 * frames are the lanes of a vector; none depends on its neighbours. */
#ifndef PN_AUDIO_FFT400_H
#define PN_AUDIO_FFT400_H

#include "audio/fft_lanes.h"

#include <stddef.h>

enum { PN_FFT_SIZE = 400, PN_FFT_HALF = 200, PN_FFT_BINS = 201 };

/* Window and roots of unity; immutable once filled. */
struct pn_fft400 {
    float window[PN_FFT_SIZE];                      /* periodic Hann */
    float cos200[PN_FFT_HALF], sin200[PN_FFT_HALF]; /* of 2 pi i / 200 */
    float cos400[PN_FFT_BINS], sin400[PN_FFT_BINS]; /* of 2 pi i / 400 */
};

void pn_fft400_init(struct pn_fft400 *t);
/* Frame l is samples[l * hop .. l * hop + 400); lane l of power[k] is its |X[k]|^2, not normalised. */
void pn_fft400_power(const struct pn_fft400 *t, const float *samples, size_t hop,
                     pn_lanes power[PN_FFT_BINS]);

#endif
