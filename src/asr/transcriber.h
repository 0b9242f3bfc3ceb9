/* transcriber.h - files to transcripts: the job threads between decode children and the scheduler.
 *
 * submit() queues a file. A job thread (ASR_WORKER_THREADS of them, each multiplexing many jobs) opens a
 * decoder and a stream, moves samples from one to the other as room allows, and calls `done` exactly once. At
 * most `max_concurrent` jobs run (bounded by the scheduler's slots) and `queue_size` wait, first come, first
 * served; but where there are five places or more, one in five is kept for files up to 1 MB. */
#ifndef PN_ASR_TRANSCRIBER_H
#define PN_ASR_TRANSCRIBER_H

#include "asr/models.h"
#include "asr/scheduler.h"
#include "audio/decoder.h"
#include "text/transcript.h"

struct pn_transcriber;
typedef uint64_t pn_job_id; /* 0 is none */

struct pn_transcriber_options {
    struct pn_scheduler *scheduler; /* borrowed, as the next one */
    struct pn_decoder_pool *decoders;
    int worker_threads;
    int max_concurrent; /* ASR_MAX_CONCURRENT */
    int queue_size;     /* ASR_QUEUE_SIZE */
    bool trim_memory;   /* ASR_ENABLE_AGGRESSIVE_GC */
};

/* What `done` gets. The transcript is the callee's to free. */
struct pn_job_result {
    int code; /* 0 or -PN_E* (with err): as the decoder's and recogniser's; -PN_ECANCELLED after cancel */
    struct pn_err err;
    struct pn_transcript *transcript; /* NULL unless code is 0 */
    double audio_s;                   /* decoded so far */
    double waited_s, ran_s;           /* in the queue; from start to end */
};

struct pn_job_request {
    int fd;                           /* the audio; the transcriber owns and closes it when submit succeeds */
    bool raw_pcm;                     /* headerless s16le mono 16 kHz */
    struct pn_recognizer *recognizer; /* borrowed; NULL: the model called `model` */
    struct pn_models *models;         /* borrowed; where `model` is found */
    struct pn_str model;              /* copied; may still have to be loaded */
    struct pn_recognition want;       /* strings are copied */
    /* Called once by a job thread, never inside submit(). */
    void (*done)(void *ctx, pn_job_id id, struct pn_job_result *result);
    /* May be NULL. Called by a job thread at most ten times a second. duration_s < 0: not known yet. */
    void (*progress)(void *ctx, pn_job_id id, double position_s, double duration_s);
    void *ctx;
};

struct pn_transcriber_stats {
    int running, waiting;
    uint64_t done, failed, cancelled;
};

PN_MUST_CHECK int pn_transcriber_new(const struct pn_transcriber_options *opt, struct pn_transcriber **ret,
                                     struct pn_err *err);
/* Cancels what is left, waits for the threads. */
struct pn_transcriber *pn_transcriber_free(struct pn_transcriber *t);
/* 0 and *ret_id, or -PN_EFULL (nothing taken), -PN_EUNSUPPORTED (language or task: found out at once if the
 * model is loaded), -PN_ENOTFOUND (no such model). Any thread. */
PN_MUST_CHECK int pn_transcriber_submit(struct pn_transcriber *t, const struct pn_job_request *req,
                                        pn_job_id *ret_id, struct pn_err *err);
/* The asker left: its child is killed, its stream closed; `done` is still called (-PN_ECANCELLED, or the
 * result if that was sooner). Unknown ids are ignored. Any thread, returns at once. */
void pn_transcriber_cancel(struct pn_transcriber *t, pn_job_id id);
bool pn_transcriber_full(struct pn_transcriber *t); /* no room for another job right now */
struct pn_transcriber_stats pn_transcriber_stats(struct pn_transcriber *t);

#endif
