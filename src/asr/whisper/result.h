/* result.h - a transcript of what is committed so far. */
#ifndef PN_ASR_WHISPER_RESULT_H
#define PN_ASR_WHISPER_RESULT_H

#include "asr/whisper/vocab.h"
#include "text/transcript.h"

/* Everything is copied. */
struct pn_result_parts {
    const struct pn_vocab *vocab;
    const char *model, *language;
    bool translate, word_times, final;
    double duration; /* seconds */
    const struct pn_segment *segments;
    size_t n_segments;
    const int32_t *tokens; /* of all segments */
    size_t n_tokens;
};

/* -PN_ENOMEM, -PN_ELIMIT. */
PN_MUST_CHECK int pn_result_make(const struct pn_result_parts *p, struct pn_transcript **ret);

#endif
