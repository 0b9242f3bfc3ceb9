/* turns.h - a few threads and many who want a turn of one of them, now or later.
 *
 * A turn is run by one thread at a time. Who is woken while it runs gets another one, so nobody is forgotten;
 * who waits for nothing costs nothing. Turns are taken in the order of the wakes. */
#ifndef PN_ASR_LIVE_TURNS_H
#define PN_ASR_LIVE_TURNS_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

struct pn_turns;

enum pn_turn_state { PN_TURN_ASLEEP, PN_TURN_READY, PN_TURN_LATER, PN_TURN_RUNNING };

/* Embedded in who wants turns; zeroed at first. All fields are guarded by the lock of the turns. */
struct pn_turn {
    struct pn_turn *prev, *next; /* of the list that its state says */
    enum pn_turn_state state;
    bool again;    /* RUNNING: woken meanwhile */
    int64_t at_us; /* LATER: when it is due */
};

/* What a turn says when it ends, if it is not a monotonic time at which it wants another one (0: at once, but
 * behind all who are ready). */
#define PN_TURN_SLEEP INT64_MAX       /* only after a wake */
#define PN_TURN_GONE  (INT64_MAX - 1) /* its memory is gone; nobody can wake it */

typedef int64_t pn_turn_fn(struct pn_turn *t);

PN_MUST_CHECK int pn_turns_new(int n_threads, pn_turn_fn *run, struct pn_turns **ret, struct pn_err *err);
/* All who had turns are gone. Joins the threads; accepts NULL. */
struct pn_turns *pn_turns_free(struct pn_turns *w);
void pn_turns_wake(struct pn_turns *w, struct pn_turn *t); /* any thread, under any lock */

#endif
