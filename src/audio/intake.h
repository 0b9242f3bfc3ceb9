/* intake.h - live audio as clients send it, to samples as recognisers want them: 16 kHz, mono, -1..1.
 *
 * Raw samples in pieces of any size (a sample may be cut in two) at 8 to 48 kHz, G.711, or one Opus packet a
 * piece. Resampling is a windowed-sinc polyphase filter whose delay is taken away: sample k of the output is
 * at the time k / 16000 s of the input, however the input was cut. One thread a stream. */
#ifndef PN_AUDIO_INTAKE_H
#define PN_AUDIO_INTAKE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

#include <stddef.h>

enum pn_intake_format { PN_INTAKE_S16LE, PN_INTAKE_F32LE, PN_INTAKE_ULAW, PN_INTAKE_ALAW, PN_INTAKE_OPUS };

struct pn_intake;

#define PN_INTAKE_MIN_RATE 8000
#define PN_INTAKE_MAX_RATE 48000

/* "pcm_s16le", "pcm_f32le", "pcm_ulaw", "pcm_alaw", "opus"; -PN_EINVAL. */
PN_MUST_CHECK int pn_intake_format_parse(struct pn_str name, enum pn_intake_format *ret);

/* `rate` in Hz; of Opus it does not matter. -PN_EINVAL (rate), -PN_ENOMEM. */
PN_MUST_CHECK int pn_intake_new(enum pn_intake_format format, int rate, struct pn_intake **ret,
                                struct pn_err *err);
struct pn_intake *pn_intake_free(struct pn_intake *in); /* accepts NULL */
/* Samples that `n` further bytes may become, at most. */
size_t pn_intake_room(const struct pn_intake *in, size_t n);
/* Takes all of data[0..n) and writes *ret_n samples into pcm[0..pn_intake_room(n)). NaN counts as 0.
 * -PN_EFORMAT: a damaged Opus packet; it counts as lost (its time is concealed), and the stream goes on. */
PN_MUST_CHECK int pn_intake_take(struct pn_intake *in, const unsigned char *data, size_t n, float *pcm,
                                 size_t *ret_n);
/* No more will come: the rest that the filter holds. */
PN_MUST_CHECK int pn_intake_end(struct pn_intake *in, float *pcm, size_t *ret_n);

#endif
