/* published.h - what a stream's owner sees of its results. Closed segments never change, and snapshots share
 * them; everything else is guarded by `mu` and copied. Written by the scheduler's thread only. */
#ifndef PN_ASR_PIPELINE_PUBLISHED_H
#define PN_ASR_PIPELINE_PUBLISHED_H

#include "base/buf.h"
#include "text/transcript.h"

#include <pthread.h>

struct pn_closed {
    struct pn_closed *next;
    struct pn_segment segment; /* all strings and arrays are the arena's; id counts from 0 */
};

struct pn_open_segment {
    struct pn_buf text; /* empty: there is none */
    double start, end, confidence;
};

struct pn_kept; /* closed segments, as long as the stream or a snapshot has them */

struct pn_published {
    struct pn_kept *kept;
    struct pn_closed *newest; /* the scheduler's thread alone, as the next one */
    size_t n_made;
    pthread_mutex_t mu;
    /* Guarded by mu. */
    struct pn_closed *first;
    struct pn_buf text; /* of all that are made, in a row */
    size_t n_closed;    /* of n_made: those that are shown */
    size_t text_closed; /* bytes of their text */
    struct pn_sentence *sentences;
    size_t n_sentences, cap_sentences;
    struct pn_open_segment open;
    struct pn_buf live; /* only grows */
    const char *language;
    double position, duration; /* seconds */
    bool word_times, final;
    int error; /* -PN_E*, final */
    struct pn_err err;
};

PN_MUST_CHECK int pn_published_init(struct pn_published *p);
void pn_published_done(struct pn_published *p);
/* Appends a segment, its strings copied; without text it is left out. `text` is joined to the one before. It
 * is shown by pn_published_show(). -PN_ENOMEM. */
PN_MUST_CHECK int pn_published_close(struct pn_published *p, const struct pn_segment *segment,
                                     struct pn_str text);
void pn_published_show(struct pn_published *p); /* under mu: all that were made */
/* Appends a sentence that begins at `start` seconds; its number. -PN_ENOMEM. */
PN_MUST_CHECK int pn_published_sentence(struct pn_published *p, double start, size_t *ret_index);
/* A snapshot: segments, sentences, texts, language, duration, final; the rest is the caller's to fill. Any
 * thread. */
PN_MUST_CHECK int pn_published_snapshot(struct pn_published *p, struct pn_transcript **ret);

#endif
