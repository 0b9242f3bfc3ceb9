/* events.h - the boundaries that a detector has found and nobody has taken yet, in time order. One owner. */
#ifndef PN_ASR_VAD_EVENTS_H
#define PN_ASR_VAD_EVENTS_H

#include "asr/vad/vad.h"

struct pn_vad_events {
    struct pn_vad_event *at; /* [cap]; those not taken are [first, n) */
    size_t first, n, cap;
    int64_t last; /* sample of the latest boundary ever put in, 0 at first */
    bool failed;  /* there was no memory: what came later is lost */
};

void pn_vad_events_done(struct pn_vad_events *e); /* empty again, as when it was all zero */
/* A boundary, moved behind the one before it where it lies before that. */
void pn_vad_events_put(struct pn_vad_events *e, bool start, int64_t sample);
bool pn_vad_events_take(struct pn_vad_events *e, struct pn_vad_event *ret);

#endif
