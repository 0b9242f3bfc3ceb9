/* fft512.h - power spectra of four 512-point real frames at a time, for fbank.c. The four frames are the
 * lanes of a vector; none depends on its neighbours. */
#ifndef PN_AUDIO_FFT512_H
#define PN_AUDIO_FFT512_H

#include "audio/fft_lanes.h"

enum { PN_FFT512_HALF = 256, PN_FFT512_BINS = 257 };

/* Roots of unity; immutable once filled. */
struct pn_fft512 {
    float cos256[PN_FFT512_HALF], sin256[PN_FFT512_HALF]; /* of 2 pi i / 256 */
    float cos512[PN_FFT512_BINS], sin512[PN_FFT512_BINS]; /* of 2 pi i / 512 */
};

void pn_fft512_init(struct pn_fft512 *t);
/* z[i] is sample 2i + i times sample 2i + 1, and is overwritten; lane l of power[k] is frame l's |X[k]|^2,
 * not normalised. */
void pn_fft512_power(const struct pn_fft512 *t, struct pn_fft_complex z[PN_FFT512_HALF],
                     pn_lanes power[PN_FFT512_BINS]);

#endif
