/* realtime_take.h - one live stream of a Realtime session, and what its sentences become: items with their
 * events. Loop thread only. */
#ifndef PN_SERVER_REALTIME_TAKE_H
#define PN_SERVER_REALTIME_TAKE_H

#include "server/realtime_impl.h"

/* Opens the session's running take with its present settings. -PN_E* as pn_speech_open(). */
PN_MUST_CHECK int pn_rt_take_open(struct pn_rt *rt, int *ret_retry_ms, struct pn_err *err);
PN_MUST_CHECK int pn_rt_take_feed(struct pn_rt_take *t, const void *data, size_t n); /* 0 or -PN_ELIMIT */

/* Each of these makes it the running take no longer. */

/* All it has heard and not told becomes one item, the one that is open if there is one. */
void pn_rt_take_commit(struct pn_rt_take *t);
/* No more audio comes; its sentences become items as ever. */
void pn_rt_take_end(struct pn_rt_take *t);
/* What was not committed is forgotten. */
void pn_rt_take_drop(struct pn_rt_take *t);
void pn_rt_take_free(struct pn_rt_take *t); /* at once, without a word */

/* Somebody is speaking, as far as is known. */
bool pn_rt_take_open_turn(const struct pn_rt_take *t);
bool pn_rt_take_hears_turns(const struct pn_rt_take *t); /* silence ends them; else the client commits */
/* The client does not want to hear of it any more. */
void pn_rt_take_forget(struct pn_rt *rt, const char *item_id);

#endif
