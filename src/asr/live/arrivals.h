/* arrivals.h - when the audio of a session came, to tell how long its text took. One thread a session. */
#ifndef PN_ASR_LIVE_ARRIVALS_H
#define PN_ASR_LIVE_ARRIVALS_H

#include <stddef.h>
#include <stdint.h>

enum { PN_ARRIVALS = 64 };

struct pn_arrivals {
    int64_t start_us; /* when its first sample was spoken, by its length */
    struct {
        int64_t end; /* samples up to here */
        int64_t at_us;
    } marks[PN_ARRIVALS]; /* a ring, the latest at last - 1 */
    size_t n, last;
};

/* At `at_us` (monotonic) all samples up to `end` were there. */
void pn_arrivals_note(struct pn_arrivals *a, int64_t end, int64_t at_us);
/* When the audio up to `end` was there: as noted, for some seconds back, but no sooner than if it had come as
 * it was spoken: who sends a recording faster is not waiting for it. */
int64_t pn_arrivals_of(const struct pn_arrivals *a, int64_t end);

#endif
