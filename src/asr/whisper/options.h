/* options.h - everything that the reference's transcribe() can be told, with its defaults. */
#ifndef PN_ASR_WHISPER_OPTIONS_H
#define PN_ASR_WHISPER_OPTIONS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PN_MAX_TEMPERATURES = 8, PN_MAX_BEAMS = 16, PN_MAX_CLIPS = 256, PN_MAX_SUPPRESS = 512 };

/* Strings and arrays are borrowed for the call that takes the struct, which copies it. A threshold that is
 * NaN is off. */
struct pn_transcribe_options {
    const char *language; /* "" = detect */
    bool translate;
    double temperature[PN_MAX_TEMPERATURES]; /* tried in order until one passes */
    int n_temperatures;
    int best_of;           /* samples at temperature > 0 */
    int beam_size;         /* at temperature 0; 0 = greedy */
    double patience;       /* 1 */
    double length_penalty; /* NaN = by length */
    double compression_ratio_threshold, logprob_threshold, no_speech_threshold;
    bool condition_on_previous_text;
    const char *initial_prompt; /* "" = none */
    bool carry_initial_prompt;
    const char *prefix; /* of the first window only when used through a single window */
    bool without_timestamps;
    double max_initial_timestamp; /* seconds; NaN or 0 = no limit */
    bool suppress_blank;
    bool suppress_default; /* the non-speech table ("-1") */
    const int32_t *suppress;
    size_t n_suppress; /* further ids; with neither, the filter is off, control ids included */
    bool word_timestamps;
    double hallucination_silence_threshold; /* seconds; needs word_timestamps */
    const double *clip_timestamps;          /* start, end, start ... seconds */
    size_t n_clip_timestamps;
    int sample_len;    /* 0 = n_text_ctx / 2 */
    bool batch;        /* split at pauses, windows decoded together, without conditioning */
    bool auto_context; /* encode only what the clip needs instead of 30 s */
    uint64_t seed;     /* of the samples at temperature > 0 */
};

/* The Python API's defaults: temperatures 0, 0.2 ... 1.0, one sample, no beam, timestamps. */
void pn_transcribe_defaults(struct pn_transcribe_options *o);

#endif
