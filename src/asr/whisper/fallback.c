/* fallback.c - see fallback.h. A threshold that is off is NaN, and no comparison with NaN is true. */
#include "asr/whisper/fallback.h"

bool pn_needs_fallback(const struct pn_transcribe_options *o, const struct pn_quality *q)
{
    bool unlikely = q->avg_logprob < o->logprob_threshold;
    if (unlikely && q->no_speech_prob > o->no_speech_threshold)
        return false; /* silence: another temperature hears nothing either */
    return unlikely || q->compression_ratio > o->compression_ratio_threshold;
}

bool pn_is_no_speech(const struct pn_transcribe_options *o, const struct pn_quality *q)
{
    return q->no_speech_prob > o->no_speech_threshold && !(q->avg_logprob > o->logprob_threshold);
}
