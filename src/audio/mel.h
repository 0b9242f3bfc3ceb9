/* mel.h - Whisper's log-mel spectrogram (spec whisper 1), fed as audio arrives.
 *
 * Frames are 10 ms; a frame's row is its n_mels values, [frame][n_mels]. Rows are kept as log10 of the
 * energy; the clamp to 8 below the loudest value of the whole clip and the scaling happen when a window is
 * taken, because the loudest value is known at the end only. */
#ifndef PN_AUDIO_MEL_H
#define PN_AUDIO_MEL_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

enum { PN_MEL_HOP = 160, PN_MEL_FFT = 400, PN_MEL_CHUNK = 3000 /* frames in 30 s */ };

struct pn_mel;      /* filters, window and FFT tables for 80 or 128 bins: immutable, shared */
struct pn_features; /* one clip; one owner */

PN_MUST_CHECK int pn_mel_new(int n_mels, struct pn_mel **ret); /* -PN_EINVAL unless 1..256, -PN_ENOMEM */
struct pn_mel *pn_mel_free(struct pn_mel *m);
int pn_mel_bins(const struct pn_mel *m);

PN_MUST_CHECK int pn_features_new(const struct pn_mel *m, struct pn_features **ret); /* borrows m */
struct pn_features *pn_features_free(struct pn_features *f);
/* Appends samples (16 kHz mono, -1..1). -PN_ENOMEM. */
PN_MUST_CHECK int pn_features_feed(struct pn_features *f, const float *pcm, size_t n);
/* No more will come. `pad` zero samples follow the clip (Whisper: 480000) without being stored frame by frame
 * where they are only silence. Clips of 200 samples and fewer (with padding) are zero-extended, not refused.
 */
PN_MUST_CHECK int pn_features_end(struct pn_features *f, size_t pad);
int64_t
pn_features_frames(const struct pn_features *f); /* floor((samples so far or in all, without pad) / 160) */
int64_t pn_features_samples(const struct pn_features *f); /* fed so far */
/* After the end: rows [from, from + n) of the padded clip, clamped and scaled, into out [n][n_mels]. Frames
 * past the padding's end are silence, too. */
void pn_features_read(const struct pn_features *f, int64_t from, int64_t n, float *out);

#endif
