/* mel_front.h - what mel.c gives features.c: log energies of four frames at a time. */
#ifndef PN_AUDIO_MEL_FRONT_H
#define PN_AUDIO_MEL_FRONT_H

#include "audio/fft400.h"
#include "audio/mel.h"

enum { PN_MEL_MAX_BINS = 256, PN_MEL_BATCH = 4 /* frames */ };

#define PN_MEL_SILENCE (-10.0F) /* log10 of the least energy, 1e-10 */

/* Frames start 160 samples apart and have 400 each: reads samples[0 .. 3 * 160 + 400). Writes the first `n`
 * of the four, [n][n_mels], as log10(max(energy, 1e-10)); returns the highest value written. */
float pn_mel_frames(const struct pn_mel *m, const float *samples, int n, float *out);

#endif
