/* realtime_say.h - what a Realtime client is told (spec http-apis 5.3): each function sends one event. Loop
 * thread only.
 *
 * A client that does not read what it is told is closed; nothing is sent after that. */
#ifndef PN_SERVER_REALTIME_SAY_H
#define PN_SERVER_REALTIME_SAY_H

#include "server/realtime_settings.h"
#include "server/ws.h"
#include "text/transcript.h"

struct pn_rt_voice {
    struct pn_ws *ws;
    uint64_t seed; /* makes ids of this session its own */
    uint64_t n_events;
    bool older;  /* the dialect */
    bool closed; /* a close was sent, or nothing can be sent any more */
};

struct pn_rt_failure {
    const char *code, *param, *message; /* the first two may be NULL */
    struct pn_str event_id;             /* of the message that it answers; empty: none */
    bool ours;                          /* server_error; else invalid_request_error */
};

struct pn_rt_item; /* realtime_items.h */

void pn_rt_say_session(struct pn_rt_voice *v, bool created, const struct pn_rt_settings *s,
                       const struct pn_rt_about *about);
void pn_rt_say_error(struct pn_rt_voice *v, const struct pn_rt_failure *f);
void pn_rt_say_cleared(struct pn_rt_voice *v);
void pn_rt_say_started(struct pn_rt_voice *v, const char *item_id, double ms);
void pn_rt_say_stopped(struct pn_rt_voice *v, const char *item_id, double ms);
void pn_rt_say_timeout(struct pn_rt_voice *v, const char *item_id, double from_ms, double to_ms);
/* The three or two events of an item that begins to exist; `previous` "" : it is the first. */
void pn_rt_say_committed(struct pn_rt_voice *v, const struct pn_rt_item *item, const char *previous);
void pn_rt_say_item(struct pn_rt_voice *v, const struct pn_rt_item *item); /* retrieved */
void pn_rt_say_deleted(struct pn_rt_voice *v, const char *item_id);

/* Words with the probabilities that were asked for; n 0: none. */
struct pn_rt_words {
    const struct pn_segment *segments;
    size_t n;
};
void pn_rt_say_delta(struct pn_rt_voice *v, const char *item_id, struct pn_str delta,
                     struct pn_rt_words words);
void pn_rt_say_segment(struct pn_rt_voice *v, const char *item_id, const struct pn_segment *segment,
                       double base_s);
void pn_rt_say_completed(struct pn_rt_voice *v, const char *item_id, struct pn_str transcript,
                         const char *language, double seconds, struct pn_rt_words words);
void pn_rt_say_failed(struct pn_rt_voice *v, const char *item_id, const struct pn_rt_failure *f);
void pn_rt_say_close(struct pn_rt_voice *v, unsigned code, const char *reason);

#endif
