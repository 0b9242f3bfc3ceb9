/* fake_whisper.h - stands in for encoder.h and decoder.h: a table-driven language model without weights. A
 * cache is the list of its tokens, so a cache that was mixed up shows in what comes next. */
#ifndef PN_TEST_FAKE_WHISPER_H
#define PN_TEST_FAKE_WHISPER_H

#include "asr/whisper/decoder.h"

/* Window `number` (in order of encoding; frames_heard: rows of its features that are not all zero) after
 * history[0..n): fills logits[n_vocab]. */
typedef void (*fake_model_fn)(void *ctx, int number, const int32_t *history, int n, float *logits);

struct fake_run {
    int number, n_ctx, frames_heard;
};

struct fake_whisper {
    struct pn_whisper model;
    struct pn_whisper_engine *engine;
    fake_model_fn fn;
    void *ctx;
    struct fake_run run[64]; /* by number */
    int n_runs;
    int n_calls, n_rows;
    int fail_at; /* this call to the decoder fails; -1: none */
    int n_alive; /* runs, crosses and caches that were not given back */
};

enum { FAKE_SPACE = ' ', FAKE_WORD = 256 /* " a", then " b" ... */ };

void fake_whisper_open(struct fake_whisper *f, int n_vocab, fake_model_fn fn, void *ctx);
void fake_whisper_close(struct fake_whisper *f); /* asserts that everything was given back */

#endif
