/* wav_head.h - the header of a WAV file that arrives through a pipe. Pure. */
#ifndef PN_AUDIO_WAV_HEAD_H
#define PN_AUDIO_WAV_HEAD_H

#include "audio/intake.h"

enum { PN_WAV_HEAD_MAX = 65536, PN_WAV_CHANNELS_MAX = 32 };

struct pn_wav_head {
    enum pn_intake_format format; /* of one channel's samples */
    int rate, channels;
    int64_t len; /* bytes of samples by the header's word; -1: until the end (who wrote it could not know) */
};

/* Looks at what has come so far. Returns the bytes before the first sample, or 0: there must be more.
 * -PN_ENOTFOUND: this is no WAV file; -PN_EUNSUPPORTED: other samples than 16 bits, 32-bit floating point or
 * G.711 (this of one channel), or other rates than intake.h takes; -PN_EFORMAT: damaged; -PN_ELIMIT: the
 * header is longer than PN_WAV_HEAD_MAX. */
PN_MUST_CHECK int pn_wav_head(struct pn_str bytes, struct pn_wav_head *ret, struct pn_err *err);

#endif
