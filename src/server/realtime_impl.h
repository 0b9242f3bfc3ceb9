/* realtime_impl.h - a Realtime session as its files share it. Loop thread only.
 *
 * Audio goes into the running take (realtime_take.h): one live stream, from the first audio after a commit to
 * the next commit where the client commits, else for as long as nothing ends it. Takes that have ended may
 * still have text to come. */
#ifndef PN_SERVER_REALTIME_IMPL_H
#define PN_SERVER_REALTIME_IMPL_H

#include "server/realtime_items.h"
#include "server/realtime_say.h"
#include "server/realtime_settings.h"

struct pn_rt_take;

struct pn_rt {
    struct pn_rt_voice voice;
    char id[PN_RT_ITEM_ID];
    int64_t expires_at; /* Unix seconds */
    struct pn_rt_settings *settings;
    struct pn_rt_items items;
    uint64_t n_items;
    char last_item[PN_RT_ITEM_ID]; /* committed last; "": none */

    struct pn_rt_take *takes; /* all that are not over */
    struct pn_rt_take *take;  /* the running one; NULL: none */
    int n_takes;
    bool crowded;  /* so many that the socket is paused */
    bool blocked;  /* audio is thrown away: the settings are such that no stream can be opened */
    bool draining; /* the service stops: no audio is taken, and with the last take the session ends */
    bool renew;    /* the running take has old settings: it ends at the next silence */

    /* Milliseconds of audio, from the first of the session. */
    double heard_ms;
    double buffer_ms; /* where what was not committed begins */
    int64_t quiet_us; /* since when nobody speaks; 0: there was no audio yet */
};

/* A new item's id. */
void pn_rt_new_item(struct pn_rt *rt, char out[PN_RT_ITEM_ID]);
/* Tells that the item exists, behind the one before. */
void pn_rt_commit_item(struct pn_rt *rt, const char *item_id);
/* The words of an error event for a failure of the engine. */
struct pn_rt_failure pn_rt_failure_of(int code, const struct pn_err *err);
/* The machine cannot keep up: says so and closes. */
void pn_rt_overloaded(struct pn_rt *rt, int retry_ms);

#endif
