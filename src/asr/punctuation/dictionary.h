/* dictionary.h - jieba's dictionaries: lines of a word, its frequency, and its kind. */
#ifndef PN_ASR_PUNCTUATION_DICTIONARY_H
#define PN_ASR_PUNCTUATION_DICTIONARY_H

#include "asr/punctuation/words.h"
#include "base/error.h"

enum { PN_MARK_DICTIONARY_MAX = 1 << 26 }; /* bytes */

struct pn_mark_dictionary {
    float *log_p; /* as in struct pn_mark_vocabulary; owned */
    float least;
};

/* Keeps the words of `texts` that the vocabulary (of n_words ids; its own dictionary does not count) knows. A
 * word without a frequency counts as the most frequent one, because somebody wanted it found. Lines that are
 * none are passed over; of two for one word the last counts. -PN_ENOMEM, -PN_ELIMIT. */
PN_MUST_CHECK int pn_mark_dictionary_parse(const struct pn_str *texts, size_t n_texts,
                                           const struct pn_mark_vocabulary *v, size_t n_words,
                                           struct pn_mark_dictionary *ret);
void pn_mark_dictionary_done(struct pn_mark_dictionary *d); /* accepts one that is all zero */

#endif
