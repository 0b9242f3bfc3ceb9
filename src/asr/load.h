/* load.h - whether the machine keeps up with those who talk: from what the scheduler sees of its streams to a
 * level, a pace for drafts, and advice to end a stream. Pure: time is told, not read. One thread at a time.
 *
 * Averages are exponential ones over time. The lag is that of the stream that waits longest at any moment;
 * how busy the machine is leaves out what may be left out. What a stream takes of it is learned while nobody
 * has to wait, and remembered: with the lag it says whether there is room for another. Long steps that many
 * streams share keep a machine busy without making anybody wait, so being busy alone says nothing. */
#ifndef PN_ASR_LOAD_H
#define PN_ASR_LOAD_H

#include <stdbool.h>
#include <stdint.h>

enum pn_load_level {
    PN_LOAD_FINE,
    PN_LOAD_BEHIND, /* what may be left out (partial results by drafts) becomes rarer */
    PN_LOAD_FULL    /* no new live stream should be let in */
};

struct pn_load {
    enum pn_load_level level;
    double lag_s; /* of the live stream that waits longest: how long ago its next step could have been done */
    double
        busy; /* share of the time that live streams' steps took lately, 0..1; without what may be left out */
};

/* What the scheduler sees when it asks its streams for work. */
struct pn_load_look {
    double lag_s;    /* of the live stream that waits longest */
    int n_live;      /* live streams that are open */
    bool files_wait; /* a file has work */
    bool steps;      /* a step follows */
};

struct pn_load_meter {
    int64_t at_us; /* what follows is up to date until then */
    struct pn_load_look look;
    double lag_s, n_live; /* averages */
    double must, any;     /* shares of the time that live streams' steps take: what must be done, all */
    double files_wait;    /* share of the time */
    double each;          /* a stream's share of what must be done; 0 until one was seen */
    double pace;
    int64_t paced_us; /* when it was set */
    bool full;
    int64_t over_us, shed_us; /* since when the lag is too long; when a stream was last given up, or nearly */
    double shed_lag_s;        /* the lag then */
};

void pn_load_meter_init(struct pn_load_meter *m, int64_t now_us);
/* The last live stream has gone: how it fared says nothing about those who come next; what it took does. */
void pn_load_meter_all_gone(struct pn_load_meter *m, int64_t now_us);
void pn_load_meter_look(struct pn_load_meter *m, int64_t now_us, const struct pn_load_look *look);
/* A step that ended now; `must` and `any`: the live streams' shares of it, 0..1. */
void pn_load_meter_step(struct pn_load_meter *m, int64_t now_us, int64_t took_us, double must, double any);
/* At any time, also while a step runs. */
struct pn_load pn_load_meter_read(const struct pn_load_meter *m, int64_t now_us, int n_live);
/* How many times rarer than usual drafts should be, at least 1. */
double pn_load_meter_pace(const struct pn_load_meter *m);
/* As pn_scheduler_shed. */
bool pn_load_meter_shed(struct pn_load_meter *m, int64_t now_us);

#endif
