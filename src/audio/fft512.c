/* fft512.c - a 512-point real transform as a 256-point complex one over even and odd samples, then split. */
#include "audio/fft512.h"

#include <math.h>

void pn_fft512_init(struct pn_fft512 *t)
{
    for (int i = 0; i < PN_FFT512_HALF; i++) {
        t->cos256[i] = (float)cos(2 * M_PI * i / PN_FFT512_HALF);
        t->sin256[i] = (float)sin(2 * M_PI * i / PN_FFT512_HALF);
    }
    for (int i = 0; i < PN_FFT512_BINS; i++) {
        t->cos512[i] = (float)cos(M_PI * i / PN_FFT512_HALF);
        t->sin512[i] = (float)sin(M_PI * i / PN_FFT512_HALF);
    }
}

void pn_fft512_power(const struct pn_fft512 *t, struct pn_fft_complex z[PN_FFT512_HALF],
                     pn_lanes power[PN_FFT512_BINS])
{
    struct pn_fft_complex other[PN_FFT512_HALF];
    pn_fft_pass4((struct pn_fft_pass){ t->cos256, t->sin256, 256, 1 }, z, other);
    pn_fft_pass4((struct pn_fft_pass){ t->cos256, t->sin256, 64, 4 }, other, z);
    pn_fft_pass4((struct pn_fft_pass){ t->cos256, t->sin256, 16, 16 }, z, other);
    pn_fft_pass4((struct pn_fft_pass){ t->cos256, t->sin256, 4, 64 }, other, z);
    pn_fft_split(PN_FFT512_HALF, t->cos512, t->sin512, z, power);
}
