/* session.h - one session as the files of this folder share it: what its owner does is in engine.c, what the
 * threads do in session.c and hearing.c.
 *
 * Locks, in this order: the engine's, a session's, then those of the turns and of whoever `moved` posts to.
 * A session is freed by a turn, once its owner has closed it and its stream is closed, so nobody can wake it
 * any more. */
#ifndef PN_ASR_LIVE_SESSION_H
#define PN_ASR_LIVE_SESSION_H

#include "asr/live/arrivals.h"
#include "asr/live/bytes.h"
#include "asr/live/live.h"
#include "asr/live/turns.h"
#include "audio/decoder.h"

#include <pthread.h>
#include <stdatomic.h>

struct pn_live_engine {
    struct pn_live_options opt;
    struct pn_turns *turns;
    pthread_mutex_t mu;
    pthread_cond_t gone;        /* n_open became 0 */
    struct pn_live *first;      /* guarded by mu, as the next one */
    struct pn_live_stats stats; /* open, opened, dropped, refused */
    _Atomic uint64_t n_ended, n_failed, n_shed;
    _Atomic uint64_t n_samples; /* heard by all */
    _Atomic int64_t relieve_us; /* when to look at the load again */
    _Atomic uint64_t n_bad_packets;
};

enum pn_live_state {
    PN_LIVE_OPENING,  /* wants its model and a stream */
    PN_LIVE_HEARING,  /* bytes to the stream */
    PN_LIVE_TAIL,     /* all bytes are samples; some are still to be fed */
    PN_LIVE_FINISHED, /* the stream has everything; its result is awaited */
    PN_LIVE_OVER      /* the last news is there; stream and model are given back */
};

struct pn_live {
    struct pn_live_engine *engine;
    struct pn_live *prev, *next; /* guarded by the engine's lock */
    struct pn_turn turn;
    atomic_bool progressed; /* the stream may have a new result */

    pthread_mutex_t mu;
    /* Guarded by mu. */
    struct pn_bytes bytes; /* what peek gave is the running turn's */
    bool finish;           /* no more bytes will come */
    bool closed;           /* the owner has let go */
    bool paused;           /* the owner was told not to read on */
    bool stale;            /* something newer than the transcript in `news` is there to be had */
    bool shed;             /* it is to end, because the machine is behind */
    bool over;
    bool moved; /* `news` holds something */
    struct pn_live_news news;
    uint64_t n_samples; /* that came so far */
    int64_t finish_us;  /* when `finish` was set */

    /* Set before the first turn. */
    enum pn_intake_format format;
    int rate;
    bool microphone;         /* want.live */
    void (*tell)(void *ctx); /* under mu; never once closed */
    void *ctx;
    char model[64];

    /* The running turn's alone. */
    enum pn_live_state state;
    struct pn_recognition *want;      /* owned */
    struct pn_recognizer *recognizer; /* held from open on if it was there at once */
    bool lent;                        /* it is to be released */
    struct pn_stream *stream;
    struct pn_intake *intake;
    float *pcm; /* samples to be fed; NULL while there are none */
    size_t n_pcm, cap_pcm;
    int64_t look_us; /* no new snapshot before */
    bool look_again; /* there was progress that was not looked at */
    uint64_t digest; /* of what was told last */
    struct pn_arrivals arrivals;
    double told_position_s; /* of the last partial result */
};

/* engine.c: the recogniser that the session asks for; as pn_models_acquire(). */
PN_MUST_CHECK int pn_live_acquire(struct pn_live *s, struct pn_err *err);
/* Under s->mu: there is news. */
void pn_live_tell(struct pn_live *s);
/* Unlinks it from the engine and frees it; a turn's last act. */
void pn_live_dispose(struct pn_live *s);

/* engine.c: asks now and then whether the machine falls behind, and lets the youngest go if it does. */
void pn_live_relieve(struct pn_live_engine *e, int64_t now_us);

/* session.c */
int64_t pn_live_turn(struct pn_turn *turn);
/* The last news: `code` 0 with the final transcript, which is taken, or -PN_E* with `err` (may be NULL). */
void pn_live_end(struct pn_live *s, int code, const struct pn_err *err, struct pn_transcript *final);

/* hearing.c: bytes to samples to the stream. */
enum pn_hearing_outcome {
    PN_HEARD_ALL,   /* what there was */
    PN_HEARD_MORE,  /* a good deal; there is more */
    PN_HEARD_FULL,  /* the stream takes no more now */
    PN_HEARD_FAILED /* the session has ended */
};
enum pn_hearing_outcome pn_live_hear(struct pn_live *s);

#endif
