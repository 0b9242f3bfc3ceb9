/* scheduler.h - moves many streams forward together.
 *
 * One thread asks every open stream what its next work is (`next`), picks the batch (one recogniser, one
 * phase; at most `batch_size` streams and `row_budget` rows) and runs one `step`. Live streams go before
 * files, what may be left out behind what may not, the oldest deadline first; of files those go first of
 * which little is left, but every fourth step of files is for the one that waits longest. Nothing else in the
 * program knows about batching. All functions may be called from any thread, but a stream has one owner. */
#ifndef PN_ASR_SCHEDULER_H
#define PN_ASR_SCHEDULER_H

#include "asr/load.h"
#include "asr/recognizer.h"

struct pn_scheduler;

struct pn_scheduler_options {
    int max_streams; /* ASR_MAX_CONCURRENT: streams open at once */
    int batch_size;  /* ASR_BATCH_SIZE */
    int row_budget;  /* rows in one step */
};

struct pn_scheduler_stats {
    int streams, live;    /* open now */
    uint64_t steps, rows; /* since start */
    double step_p99_ms;   /* of the last steps */
};

PN_MUST_CHECK int pn_scheduler_new(const struct pn_scheduler_options *opt, struct pn_scheduler **ret,
                                   struct pn_err *err);
struct pn_scheduler *
pn_scheduler_free(struct pn_scheduler *s); /* no stream is open; stops the thread; accepts NULL */
/* Takes a slot and opens a stream: -PN_EFULL when all slots are taken, else as the recogniser's open.
 * `progress` is called from other threads whenever the stream may have moved; it must not call back into the
 * scheduler. */
PN_MUST_CHECK int pn_scheduler_open(struct pn_scheduler *s, struct pn_recognizer *r,
                                    const struct pn_recognition *want, void (*progress)(void *ctx), void *ctx,
                                    struct pn_stream **ret, struct pn_err *err);
PN_MUST_CHECK int pn_scheduler_feed(struct pn_scheduler *s, struct pn_stream *st, const float *pcm, size_t n);
PN_MUST_CHECK int pn_scheduler_finish(struct pn_scheduler *s, struct pn_stream *st);
/* Closes at any moment (a client that left): waits for the step it is in, never longer. No `progress` call
 * after it returns. */
void pn_scheduler_close(struct pn_scheduler *s, struct pn_stream *st);
/* For whoever lets live streams in. Any thread; never waits for a step. */
struct pn_load pn_scheduler_load(struct pn_scheduler *s);
/* True: live streams have been behind too far for too long; whoever called ends one of them now, the
 * youngest. True once a second at most, so that it shows what that helped. Any thread. */
bool pn_scheduler_shed(struct pn_scheduler *s);
struct pn_scheduler_stats pn_scheduler_stats(struct pn_scheduler *s);

#endif
