/* pipeline_case.h - what the pipeline's tests share: a scheduler, scribes, made-up audio. */
#ifndef PN_TESTS_PIPELINE_CASE_H
#define PN_TESTS_PIPELINE_CASE_H

#include "asr/pipeline/pipeline.h"
#include "asr/scheduler.h"
#include "fake_scribe.h"

#include <semaphore.h>

struct stage {
    struct scribe first, second;
    struct scribe patient; /* whose work comes last */
    struct pn_pipeline_parts parts;
    struct pn_recognizer *pipeline;
    struct pn_scheduler *scheduler;
};

struct tape {
    float *pcm;
    size_t n, cap;
};

/* Scribes with nothing special about them, a detector, punctuation; no second pass. */
void stage_init(struct stage *g);
void stage_open(struct stage *g); /* makes the pipeline of what was set in the meantime */
void stage_close(struct stage *g);

void tape_add(struct tape *t, int word, int ms); /* word 0: silence */
/* "1 2 . 3": words of 200 ms with 40 ms between, '.' a second of silence. */
struct tape tape_of(const char *score);
void tape_free(struct tape *t);

struct listener {
    struct stage *stage;
    struct pn_stream *stream;
    sem_t moved;
};

void listener_open(struct listener *l, struct stage *g, const struct pn_recognition *want);
void listener_feed(struct listener *l, const float *pcm, size_t n); /* waits for room */
/* As a microphone does: pieces of 100 ms, and everything that can be done with them before the next. */
void listener_feed_live(struct listener *l, const float *pcm, size_t n);
void listener_finish(struct listener *l);
int listener_wait(struct listener *l, struct pn_err *err); /* until it is final or failed */
struct pn_transcript *listener_result(struct listener *l);
void listener_close(struct listener *l);
void wait_idle(struct stage *g); /* until the scheduler has done what there was to do */

/* A whole file; the caller frees the transcript. */
struct pn_transcript *transcribe(struct stage *g, const struct pn_recognition *want, const struct tape *t);

#endif
