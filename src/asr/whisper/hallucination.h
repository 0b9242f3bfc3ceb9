/* hallucination.h - where to go on after a window with words, and silence around text that was probably
 * invented (spec whisper 4.9 step 15 and 4.10). */
#ifndef PN_ASR_WHISPER_HALLUCINATION_H
#define PN_ASR_WHISPER_HALLUCINATION_H

#include "asr/whisper/segments.h"

struct pn_hallucination {
    double threshold; /* seconds; NaN: only the last word moves seek */
    struct pn_span span;
    int window_frames; /* of a whole window: 3000 */
    int64_t content_frames;
    double last_speech; /* end of the last word before this window */
};

/* Moves slices->seek and drops segments. True: the window's segments are all void, and the loop starts over
 * at slices->seek. */
bool pn_hallucination_skip(const struct pn_hallucination *h, struct pn_slices *slices);
/* End of the last word; of the last segment when there are no words; NaN without segments. */
double pn_last_word_end(const struct pn_slices *slices);
/* Too many words that are improbable, very short or very long. */
bool pn_is_anomalous(const struct pn_draft *d);

#endif
