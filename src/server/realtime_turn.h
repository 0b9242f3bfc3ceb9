/* realtime_turn.h - the text of one item while it grows: what may be said of it, so that all that was said,
 * joined, is its transcript. Pure; one thread.
 *
 * An item is one sentence of a live stream, or, where the client commits, all of it from a sentence on. Early
 * text is the stream's live text, which only grows; when the item is over, what the final text adds to it is
 * added, if it does begin with it. Settled text is that of sentences that are closed. */
#ifndef PN_SERVER_REALTIME_TURN_H
#define PN_SERVER_REALTIME_TURN_H

#include "base/buf.h"
#include "text/transcript.h"

#include <stdbool.h>

#define PN_RT_ITEM_ID 40 /* bytes of an item's id, with its NUL */

struct pn_rt_turn {
    struct pn_rt_turn *next;
    char item_id[PN_RT_ITEM_ID];
    size_t first;       /* its first sentence in the stream */
    bool rest;          /* all sentences from there on, to the end of the stream; else that one */
    bool early;         /* which text is said */
    struct pn_buf said; /* the transcript so far */
    size_t n_live;      /* bytes of the live text that are in it, from the first sentence's beginning */
    size_t n_closed;    /* sentences whose settled text is in it */
    /* The stream's user's. */
    bool committed;
    double start_ms, end_ms;        /* in the session's audio */
    int64_t began_us, committed_us; /* monotonic */
};

/* Zeroes it; the ids and times are the caller's to set. */
void pn_rt_turn_init(struct pn_rt_turn *u, size_t first, bool early);
void pn_rt_turn_done(struct pn_rt_turn *u);
/* What `now` adds to it; borrowed until the next call. -PN_ENOMEM, -PN_ELIMIT. */
PN_MUST_CHECK int pn_rt_turn_news(struct pn_rt_turn *u, const struct pn_transcript *now,
                                  struct pn_str *ret_delta);
/* The same once it is over, and whether the final text is another than the transcript. */
PN_MUST_CHECK int pn_rt_turn_last(struct pn_rt_turn *u, const struct pn_transcript *now,
                                  struct pn_str *ret_delta, bool *ret_differs);
/* Its segments in `now`: the number of the first, and how many there are. */
size_t pn_rt_turn_segments(const struct pn_rt_turn *u, const struct pn_transcript *now, size_t *ret_n);

#endif
