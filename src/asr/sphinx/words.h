/* words.h - from the words of decoded utterances to a transcript with segments. Pure. */
#ifndef PN_ASR_SPHINX_WORDS_H
#define PN_ASR_SPHINX_WORDS_H

#include "asr/sphinx/utterance.h"
#include "text/transcript.h"

/* Of `n` utterances from `first` on, all done. `duration` (seconds) bounds every time. */
PN_MUST_CHECK int pn_sphinx_transcript(const struct pn_sphinx_utterance *first, size_t n, double duration,
                                       bool final, struct pn_transcript **ret, struct pn_err *err);

#endif
