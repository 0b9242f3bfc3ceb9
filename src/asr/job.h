/* job.h - one file on its way to a transcript: the state machine that a job thread turns. Private to the
 * transcriber. */
#ifndef PN_ASR_JOB_H
#define PN_ASR_JOB_H

#include "asr/transcriber.h"

#include <stdatomic.h>

struct pn_job_thread;

#define PN_JOB_SLICE 8192 /* samples moved in one turn, so that the jobs of a thread take turns */

enum pn_job_state {
    PN_JOB_OPENING,  /* wants its model, a stream and a decoder; one of them was not to be had yet */
    PN_JOB_READING,  /* from the decoder to the stream */
    PN_JOB_BLOCKED,  /* the stream's inbox is full; samples wait in `pcm` */
    PN_JOB_DRAINING, /* all samples are fed */
    PN_JOB_ENDED     /* `result` is final; stream and decoder are closed */
};

struct pn_job {
    /* The transcriber's, guarded by its lock. */
    struct pn_job *prev, *next;       /* of all jobs */
    struct pn_job *next_waiting;      /* in the queue, later in the inbox of a thread */
    struct pn_job_thread *thread;     /* that has it; NULL while it waits */
    bool started;                     /* counted as running */
    bool small;                       /* a small file */
    int64_t submitted_us, started_us; /* started_us: 0 while it waits */
    atomic_bool cancelled;            /* set by anybody */
    pn_job_id id;
    struct pn_job_request req; /* strings point to the next ones */
    char language[32], task[16], model[64];
    char *prompt, *hotwords;

    /* The thread's alone. */
    struct pn_job *next_of_thread;
    enum pn_job_state state;
    bool again;                       /* READING: there may be more right now */
    struct pn_recognizer *recognizer; /* the request's, or acquired by name */
    struct pn_stream *stream;
    struct pn_decoder *decoder;
    float pcm[PN_JOB_SLICE];
    size_t n_pcm;
    double said_position, said_duration; /* what `progress` was told last, and when */
    int64_t said_us;
    bool unsaid; /* there is news, but it was told too recently */
    struct pn_job_result result;
};

/* Copies the request; the caller gives id and times. `ret->req.fd` is the job's from now on. */
PN_MUST_CHECK int pn_job_new(const struct pn_job_request *req, struct pn_job **ret, struct pn_err *err);
struct pn_job *pn_job_free(struct pn_job *j); /* closes the file */
void pn_job_drop(struct pn_job *j);           /* the file stays the caller's */
/* Does what can be done without waiting, a slice of samples at most. `moved(ctx)` is called from other
 * threads when another turn may help. */
void pn_job_turn(struct pn_job *j, const struct pn_transcriber_options *opt, void (*moved)(void *ctx),
                 void *ctx);
/* How long the next turn may wait if nothing happens: 0, or milliseconds, or -1 for ever. */
int pn_job_patience_ms(const struct pn_job *j);
/* The descriptor whose readability calls for a turn; -1: none. */
int pn_job_poll_fd(const struct pn_job *j);

#endif
