/* filters.h - what a decoder may say next (spec whisper 4.3): forbidden tokens get -inf, in place. */
#ifndef PN_ASR_WHISPER_FILTERS_H
#define PN_ASR_WHISPER_FILTERS_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Fixed for a transcription. */
struct pn_filters {
    int n_vocab;
    int32_t eot, timestamp_begin, notimestamps;
    int32_t blank;           /* id of " "; -1: the blank filter is off */
    const int32_t *suppress; /* borrowed; every id is below n_vocab */
    size_t n_suppress;
    bool timestamps;
    int max_initial; /* highest first timestamp in steps of 20 ms; -1: any */
};

/* All filters in the reference's order; `sampled` are the window's tokens so far, without prompt and prefix.
 */
void pn_filters_apply(const struct pn_filters *f, const int32_t *sampled, int n, float *logits);

#endif
