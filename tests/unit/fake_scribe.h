/* fake_scribe.h - a recogniser for the pipeline's tests that hears words in made-up audio.
 *
 * Samples of the value WORD(k) are the word number k, 0 is silence. A word is heard where at least 50 ms of
 * its value lie together; the last word of what it was given is misheard if it is shorter than 100 ms, as
 * real models mishear what is cut off. Phases of a stream: 1 takes samples, 2 finds the words. */
#ifndef PN_TESTS_FAKE_SCRIBE_H
#define PN_TESTS_FAKE_SCRIBE_H

#include "asr/pcm_inbox.h"
#include "asr/recognizer.h"

#include <stdatomic.h>

#define WORD(k) ((float)(k) / 32)
enum { SCRIBE_WORDS = 10, SCRIBE_INBOX = 45 * 16000, SCRIBE_CHUNK = 9600 };

struct scribe_stream;

/* Set the facts in base, and these, after scribe_init. */
struct scribe {
    struct pn_recognizer base;
    bool chinese;         /* 一二三, else " one two three" */
    const char *language; /* that it says it is; "" by default */
    bool deferred;        /* phase 2 is done by scribe_release, as if by another thread */
    bool hears_wrong;     /* two for one: what a second pass corrects */
    int fail_open;        /* open returns it if not 0 */
    int fail_at_word;     /* a stream that hears it fails */
    size_t inbox;         /* samples; SCRIBE_INBOX by default */
    int64_t deadline_us;  /* of all its work */

    pthread_mutex_t mu;
    /* Guarded by mu. */
    int n_open, max_open, n_opened;
    int n_steps, n_freed;
    size_t largest_batch;
    int64_t n_samples, n_zeros; /* fed in all; silence among them */
    struct scribe_stream *deferred_first;
    char languages[256]; /* wanted by the streams in turn, "-" for none */
};

void scribe_init(struct scribe *r);
void scribe_done(struct scribe *r); /* no stream may be open */
void scribe_release(struct scribe *r);
int scribe_open_now(struct scribe *r);
/* The word's text in either language, without a blank. */
const char *scribe_word(const struct scribe *r, int k);

#endif
