/* fallback.h - is a window's decoding good enough, and was there speech at all (spec whisper 4.6, 4.7)? */
#ifndef PN_ASR_WHISPER_FALLBACK_H
#define PN_ASR_WHISPER_FALLBACK_H

#include "asr/whisper/options.h"

/* How one decoding of a window turned out. */
struct pn_quality {
    double temperature;
    double avg_logprob;
    double compression_ratio;
    double no_speech_prob;
};

/* Another temperature should be tried. */
bool pn_needs_fallback(const struct pn_transcribe_options *o, const struct pn_quality *q);
/* The window is passed over without segments. */
bool pn_is_no_speech(const struct pn_transcribe_options *o, const struct pn_quality *q);

#endif
