/* funasr_stamps.h - times for written text: one pair a Chinese character, a word of letters, a digit.
 *
 * Recognisers give times to the words that they heard; what is written has marks, and digits where numbers
 * were spoken. Both are walked side by side; where they differ, the time of what was heard is shared out
 * evenly among what is written. Pure. */
#ifndef PN_SERVER_FUNASR_STAMPS_H
#define PN_SERVER_FUNASR_STAMPS_H

#include "base/arena.h"
#include "text/transcript.h"

struct pn_stamp {
    struct pn_str text; /* the written character or word; lies in the segment */
    int64_t start_ms, end_ms;
    bool joined;         /* written at the one before, as the digits of a number */
    struct pn_str marks; /* that follow it, blanks among them left out at the end; may be empty */
};

/* The arena's. *ret_n is 0 where no segment has words. -PN_ENOMEM. */
PN_MUST_CHECK int pn_funasr_stamps(const struct pn_segment *segments, size_t n, struct pn_arena *a,
                                   const struct pn_stamp **ret, size_t *ret_n);

/* How many stamps FunASR's browser page indexes for `text`: it cuts it at marks and blanks, and takes a piece
 * of letters for one stamp, any other for as many as it has UTF-16 units. It stops working where there are
 * less. */
size_t pn_funasr_stamps_wanted(struct pn_str text);

#endif
