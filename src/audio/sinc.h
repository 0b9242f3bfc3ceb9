/* sinc.h - samples of any rate to 16 kHz, piece by piece: a polyphase filter, a sinc in a Kaiser window.
 *
 * What lies below 0.42 of the lower of the two rates passes within 0.02 dB; what would be heard as something
 * else (above 0.525 of it) is 85 dB down. The filter's delay is taken away: sample k of the output is at the
 * time k / 16000 s of the input, and there are as many of them as the input is long. The output does not
 * depend on how the input was cut. It costs 0.05 % of a core (from 8 kHz) to 0.1 % (from 48 kHz) in real
 * time, and 16 to 220 KB. One thread. */
#ifndef PN_AUDIO_SINC_H
#define PN_AUDIO_SINC_H

#include "base/attr.h"
#include "base/error.h"

#include <stddef.h>

struct pn_sinc;

#define PN_SINC_MIN_RATE 4000
#define PN_SINC_MAX_RATE 192000

/* From `rate` Hz. -PN_EINVAL (rate), -PN_ENOMEM. */
PN_MUST_CHECK int pn_sinc_new(int rate, struct pn_sinc **ret);
struct pn_sinc *pn_sinc_free(struct pn_sinc *s); /* accepts NULL */
/* Samples that `n` further ones and the end may become, at most. */
size_t pn_sinc_room(const struct pn_sinc *s, size_t n);
/* Takes n samples, writes those that are certain now. -PN_ENOMEM: nothing was taken. */
PN_MUST_CHECK int pn_sinc_take(struct pn_sinc *s, const float *pcm, size_t n, float *out, size_t *ret_n);
/* The input has ended: the rest. */
PN_MUST_CHECK int pn_sinc_end(struct pn_sinc *s, float *out, size_t *ret_n);

#endif
