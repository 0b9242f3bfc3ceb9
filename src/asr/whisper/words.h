/* words.h - from aligned tokens to words with times, and their share for each segment (spec whisper 4.9,
 * steps 9 - 14). */
#ifndef PN_ASR_WHISPER_WORDS_H
#define PN_ASR_WHISPER_WORDS_H

#include "asr/whisper/segments.h"

struct pn_timed_word {
    const char *text; /* "" once it has been merged into a neighbour */
    size_t n_tokens;
    double start, end; /* seconds in the window */
    double probability;
};

struct pn_timed_words {
    struct pn_timed_word *word;
    size_t n;
};

/* Words of the text tokens ids[0..n) + eot as split; jump[i] is the position (20 ms) at which token i starts,
 * jump[n] that of eot; prob[i] are the tokens' probabilities. The eot word is left out. -PN_ENOMEM. */
PN_MUST_CHECK int pn_words_time(const struct pn_word_split *split, const int32_t *jump, const float *prob,
                                struct pn_arena *arena, struct pn_timed_words *ret);

/* How long words of this window are: the middle duration, at most 0.7 s, and what counts as too long. */
struct pn_word_lengths {
    double median, max;
};
PN_MUST_CHECK int pn_words_lengths(const struct pn_timed_words *w, struct pn_arena *arena,
                                   struct pn_word_lengths *ret);
/* Over-long words at sentence marks are cut to the greatest length. */
void pn_words_truncate(struct pn_timed_words *w, const struct pn_word_lengths *len);
/* Opening marks join the word after them, closing ones the word before. -PN_ENOMEM. */
PN_MUST_CHECK int pn_words_merge(struct pn_timed_words *w, struct pn_arena *arena);
/* Hands the words to the segments in order, and makes first and last words and the segments' bounds agree.
 * `offset`: the window's start in seconds; last_speech: where the speech before it ended. -PN_ENOMEM. */
PN_MUST_CHECK int pn_words_distribute(const struct pn_timed_words *w, const struct pn_word_lengths *len,
                                      double offset, double last_speech, int32_t eot, struct pn_draft *drafts,
                                      size_t n_drafts, struct pn_arena *arena);

/* The marks that join words: opening and closing ones. A word "is in" a set when it is a substring of it, so
 * the empty word is in each. */
extern const char pn_opening_marks[], pn_closing_marks[];

#endif
