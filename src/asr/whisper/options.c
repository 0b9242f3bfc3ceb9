/* options.c - see options.h. */
#include "asr/whisper/options.h"

#include <math.h>

void pn_transcribe_defaults(struct pn_transcribe_options *o)
{
    *o = (struct pn_transcribe_options){
        .language = "",
        .temperature = { 0, 0.2, 0.4, 0.6, 0.8, 1.0 },
        .n_temperatures = 6,
        .best_of = 1,
        .patience = 1,
        .length_penalty = NAN,
        .compression_ratio_threshold = 2.4,
        .logprob_threshold = -1.0,
        .no_speech_threshold = 0.6,
        .condition_on_previous_text = true,
        .initial_prompt = "",
        .prefix = "",
        .max_initial_timestamp = 1.0,
        .suppress_blank = true,
        .suppress_default = true,
        .hallucination_silence_threshold = NAN,
    };
}
