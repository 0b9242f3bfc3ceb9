/* utterance.h - one piece of speech on its way through a decoder. */
#ifndef PN_ASR_SPHINX_UTTERANCE_H
#define PN_ASR_SPHINX_UTTERANCE_H

#include "base/arena.h"
#include "base/error.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PN_SPHINX_FRAME 160 /* samples: the model's 100 frames a second */

struct pn_sphinx_word {
    const char *text; /* of the dictionary, without the mark of an alternative pronunciation */
    int start, end;   /* frames from the start of the utterance; end is behind the last */
    double logprob;   /* natural log of the posterior, <= 0 */
};

/* Owned by its stream, except while a decoder has it: then the decoder's thread alone touches pcm, arena,
 * words and error. Any thread may set `abandoned` and read `n_searched`. */
struct pn_sphinx_utterance {
    struct pn_sphinx_utterance *next; /* of the stream, in order of time */
    void *owner;                      /* the stream; NULL once it closed */
    atomic_bool abandoned;            /* nobody waits for it: a decoder that has it breaks off */
    atomic_int n_searched;            /* frames, by a decoder; with 3 behind the last */
    bool done;
    int error;            /* -PN_E* of the decoder */
    int64_t start_sample; /* from the start of the audio; a multiple of PN_SPHINX_FRAME */
    int64_t end_sample;   /* where the next one starts */
    int16_t *pcm;         /* n_samples; NULL once decoded and when it is only a pause */
    size_t n_samples;
    struct pn_arena *arena;
    struct pn_sphinx_word *words; /* the arena's */
    size_t n_words;
};

/* Copies the samples, rounded to 16 bits; n = 0: a pause, which no decoder sees. */
PN_MUST_CHECK int pn_sphinx_utterance_new(const float *pcm, size_t n, int64_t start_sample,
                                          struct pn_sphinx_utterance **ret);
struct pn_sphinx_utterance *pn_sphinx_utterance_free(struct pn_sphinx_utterance *u);

#endif
