/* live.h - people who are talking: bytes from their sockets to text, while they talk.
 *
 * A few threads (ASR_WORKER_THREADS) stand between the sockets and the scheduler: they convert audio
 * (intake.h), wait for models that are still being loaded, feed the streams, take snapshots, and close what
 * is over. All functions here return at once and may be called from an event loop; those of one session from
 * one thread at a time. Results are fetched: `moved` says that there is something.
 *
 * A session is one stream of a recogniser: from the button's press to its release, or, where silence ends
 * sentences, a whole conversation. The bytes that wait in it are bounded; above PN_LIVE_HIGH the caller stops
 * reading from its client until pn_live_news.room. */
#ifndef PN_ASR_LIVE_LIVE_H
#define PN_ASR_LIVE_LIVE_H

#include "asr/models.h"
#include "asr/scheduler.h"
#include "audio/intake.h"
#include "base/metrics.h"

struct pn_live_engine;
struct pn_live;

#define PN_LIVE_HIGH ((size_t)256 << 10) /* bytes that wait in a session */
#define PN_LIVE_MAX  (2 * PN_LIVE_HIGH + ((size_t)1 << 20))

struct pn_live_options {
    struct pn_scheduler *scheduler; /* borrowed, as the next one */
    struct pn_models *models;
    int worker_threads;
    int max_sessions; /* open at once */
    int feed_samples; /* ASR_CHUNK_SIZE: audio is handed on in pieces of so many samples, that of a microphone
                         which is cut at pauses in sixths of it; the last one may be shorter */
    /* Histogram of seconds from when the audio that completes a partial result was there to its news;
     * borrowed, may be NULL. */
    struct pn_metric *chunk_latency;
};

struct pn_live_request {
    struct pn_str model;        /* copied; "": the model for live audio */
    struct pn_recognition want; /* strings and what it points to are copied; want.live: a microphone */
    enum pn_intake_format format;
    int rate; /* Hz */
    /* Something is to be fetched; a thread of the engine's, under its locks: it must not call back. */
    void (*moved)(void *ctx);
    void *ctx;
};

struct pn_live_news {
    struct pn_transcript *transcript; /* the caller's; NULL: as it was at the last take */
    bool room;                        /* what waited has been taken: read on */
    bool ended;                       /* the last news; `code` and `err` say how */
    int code;                         /* 0, or -PN_E*: as pn_models_acquire, the recogniser, or -PN_EFULL: the
                                         machine cannot keep up, and this session was chosen to end */
    struct pn_err err;
    double audio_s; /* that came so far */
    double
        processing_s; /* from the end of the audio (pn_live_finish) to the final result; 0: not there yet */
};

struct pn_live_stats {
    int open;
    uint64_t opened, ended, failed, dropped; /* dropped: closed by their owner before the end */
    uint64_t refused, shed;                  /* not let in; ended because the machine fell behind */
    double audio_s;                          /* heard by all of them */
    uint64_t bad_packets;
};

PN_MUST_CHECK int pn_live_engine_new(const struct pn_live_options *opt, struct pn_live_engine **ret,
                                     struct pn_err *err);
struct pn_live_engine *pn_live_engine_free(struct pn_live_engine *e); /* closes what is open; accepts NULL */
struct pn_live_stats pn_live_stats(struct pn_live_engine *e);

/* -PN_EFULL: no room, or the machine is behind already: try again in *ret_retry_ms. -PN_EUNSUPPORTED
 * (language, task), -PN_ENOTFOUND (model): found out at once if the model is loaded, else the session ends
 * with it. -PN_EINVAL (format, rate, chunking). */
PN_MUST_CHECK int pn_live_open(struct pn_live_engine *e, const struct pn_live_request *req,
                               struct pn_live **ret, int *ret_retry_ms, struct pn_err *err);
/* Copies data[0..n) (of Opus: one packet). 0; 1: taken, but do not read on before `room`; -PN_ELIMIT: more
 * than PN_LIVE_MAX waits, nothing is taken. Ignored once the session has ended. */
PN_MUST_CHECK int pn_live_feed(struct pn_live *s, const void *data, size_t n);
void pn_live_finish(struct pn_live *s); /* no more audio will come */
/* What is new. False: nothing. */
bool pn_live_take(struct pn_live *s, struct pn_live_news *ret);
/* At any moment; the session is gone, and costs nothing from the running step on. No `moved` after it
 * returns. */
void pn_live_close(struct pn_live *s);

#endif
