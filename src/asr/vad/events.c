/* events.c - see events.h. What was taken is overwritten before the list grows, so a stream whose boundaries
 * are taken after every feed holds a handful. */
#include "asr/vad/events.h"

#include <stdlib.h>
#include <string.h>

enum { FEW = 8 };

void pn_vad_events_done(struct pn_vad_events *e)
{
    free(e->at);
    *e = (struct pn_vad_events){ 0 };
}

static bool make_room(struct pn_vad_events *e)
{
    if (e->n < e->cap)
        return true;
    if (e->first > e->cap / 2) {
        memmove(e->at, e->at + e->first, (e->n - e->first) * sizeof(*e->at));
        e->n -= e->first;
        e->first = 0;
        return true;
    }
    size_t cap = e->cap ? 2 * e->cap : FEW;
    struct pn_vad_event *grown = reallocarray(e->at, cap, sizeof(*grown));
    if (!grown)
        return false;
    e->at = grown;
    e->cap = cap;
    return true;
}

void pn_vad_events_put(struct pn_vad_events *e, bool start, int64_t sample)
{
    if (e->failed || !make_room(e)) {
        e->failed = true;
        return;
    }
    e->last = PN_MAX(sample, e->last);
    e->at[e->n++] = (struct pn_vad_event){ start, e->last };
}

bool pn_vad_events_take(struct pn_vad_events *e, struct pn_vad_event *ret)
{
    if (e->first == e->n)
        return false;
    *ret = e->at[e->first++];
    if (e->first == e->n)
        e->first = e->n = 0;
    return true;
}
