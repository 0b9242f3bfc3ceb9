/* recognizer.h - what every recogniser is to the rest of the program.
 *
 * Everything that listens is a stream. A recogniser says for each of its streams what the next piece of work
 * is and does one short step for a whole batch of streams in the same phase. It knows nothing of sockets or
 * jobs, and the scheduler knows nothing of models.
 *
 * Threads: feed, finish and result are called by the stream's owner, one thread at a time; next and step by
 * the scheduler's thread, possibly at the same moment as feed. A recogniser keeps what both touch behind the
 * stream's inbox (pcm_inbox.h) or its own lock. close is called when neither will be called again. */
#ifndef PN_ASR_RECOGNIZER_H
#define PN_ASR_RECOGNIZER_H

#include "base/attr.h"
#include "base/error.h"
#include "text/transcript.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct pn_recognizer;
struct pn_stream;
struct pn_vad_options; /* vad/vad.h */

/* How a streaming model cuts its audio; rows of 60 ms (spec paraformer 4.1). */
struct pn_chunking {
    int left, step, ahead;                    /* [0, 10, 5] */
    int encoder_look_back, decoder_look_back; /* chunks: 4 and 1; -1: all (encoder) or none (decoder) */
};

/* What a client wants of one stream; strings are copied by open. */
struct pn_recognition {
    const char *language; /* ISO 639-1, "" to detect */
    const char *task;     /* "transcribe" or "translate" */
    bool live;            /* a microphone: goes before files */

    /* What a recogniser cannot do of these it leaves out. */
    const char *prompt; /* text that precedes the audio; "" or NULL: none */
    double temperature; /* where the fallback starts, 0..1; below 0: the recogniser's default */
    int beam_size;      /* 0: greedy */
    int best_of;        /* samples at temperature > 0; 0: one */
    bool word_timestamps;
    bool batch;        /* cut at pauses, pieces recognised together: faster, without context */
    bool auto_context; /* compute only what a short clip needs: faster, a little less exact */
    /* Words that are likely, separated by blanks, each with ":WEIGHT" behind it or not; "" or NULL: none */
    const char *hotwords;
    const struct pn_chunking *chunking; /* NULL: the recogniser's default */

    /* The pipeline's (pipeline.h). */
    bool vad;                                 /* cut at pauses, leave out what is no speech */
    const struct pn_vad_options *vad_options; /* NULL: the detector's own */
    bool first_pass;  /* live: leave the text as it was streamed, without a second recogniser */
    bool punctuation; /* add marks, if a model for it is there */
    bool itn;         /* numbers, dates, times as digits */
};

/* The next piece of work of a stream. phase 0: nothing to do now. */
struct pn_work {
    int phase;
    int rows;            /* matrix rows it adds to a batch; the scheduler keeps a row budget */
    int64_t cost_us;     /* a guess of what it adds to the step's time */
    int64_t deadline_us; /* monotonic; the batch is chosen oldest deadline first */
    bool optional;       /* live: nothing is missing without it (a draft); comes after all that is not */
    /* Live: since when something that is not optional is late, also in the hands of threads of the
     * recogniser's own (phase 0), or when it will be; 0: as `deadline_us`, if there is work. */
    int64_t since_us;
};

struct pn_recognizer_ops {
    /* 0, or what open would say to `want` for all times (language, task), before a slot is free. Any thread.
     */
    int (*check)(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err);
    /* -PN_EUNSUPPORTED (language, task: the text names the model that would do), -PN_ENOMEM. */
    int (*open)(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                struct pn_err *err);
    /* 16 kHz, mono, -1..1; copied into a bounded inbox. Takes all n or none: -PN_EFULL, then try after a
     * wake. */
    int (*feed)(struct pn_stream *s, const float *pcm, size_t n);
    int (*finish)(struct pn_stream *s); /* no more audio will come */
    struct pn_work (*next)(const struct pn_stream *s);
    /* One step of `phase` for every stream of the batch. A failure stays with its stream (see status). */
    void (*step)(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n);
    /* 0: going on; 1: final result is ready; -PN_E*: failed, text in *err. */
    int (*status)(const struct pn_stream *s, struct pn_err *err);
    /* An immutable snapshot, partial or final; the caller's to free. -PN_EAGAIN: this one has none before the
     * end. */
    int (*result)(struct pn_stream *s, struct pn_transcript **ret, struct pn_err *err);
    double (*position)(const struct pn_stream *s); /* seconds of audio recognised so far, for progress */
    void (*close)(struct pn_stream *s);
    void (*free)(struct pn_recognizer *r); /* no stream is open */
};

/* Embedded first in every recogniser. */
struct pn_recognizer {
    const struct pn_recognizer_ops *ops;
    const char *name; /* "sphinx": what `model` says in answers and metrics */
    /* Set by the scheduler that the recogniser joins; a recogniser with threads of its own calls it when
     * `next` of one of its streams may have changed. Any thread, under any lock, but only while one of its
     * streams is open: the scheduler may be gone otherwise. */
    void (*wake)(void *ctx);
    void *wake_ctx;
    /* What the pipeline has to know of it; set by its maker. */
    bool streaming;      /* gives partial results while audio comes, not only when it has ended */
    bool one_utterance;  /* takes one utterance at a time: long audio must be cut for it */
    bool bare_text;      /* its text has no punctuation */
    bool finds_language; /* when none is wanted */
    int window_s; /* computes audio in windows so long, so short pieces are better joined; 0: no matter */
    double draft_pace; /* by the scheduler before it asks for work: drafts so many times rarer than usual */
};

/* Embedded first in every stream; the fields are the scheduler's. */
struct pn_stream {
    struct pn_recognizer *recognizer;
    struct pn_stream *prev, *next;
    /* Something changed: room in the inbox, new text, the end. Scheduler or recogniser thread. */
    void (*progress)(void *ctx);
    void *progress_ctx;
    bool live;
    bool stepping; /* in the batch that runs now */
    /* What the owner has fed, samples, and whether that is all; of an inner stream of the pipeline not told.
     */
    _Atomic int64_t fed;
    atomic_bool ended;
    /* Live, once audio came: when the first sample came, so that pn_stream_due_us() is true of those that
     * came last. 0: not known. */
    _Atomic int64_t began_us;
    int64_t fed_us; /* the owner's: when it last fed */
};

enum { PN_STREAM_RATE = 16000 };

static inline int64_t pn_stream_us(int64_t samples)
{
    return samples * 1000000 / PN_STREAM_RATE;
}

/* When live audio up to `sample` came, or would have come, had none come faster than in real time. 0: it is
 * not known. */
static inline int64_t pn_stream_due_us(const struct pn_stream *s, int64_t sample)
{
    int64_t began_us = atomic_load_explicit(&s->began_us, memory_order_relaxed);
    return began_us ? began_us + pn_stream_us(sample) : 0;
}

#endif
