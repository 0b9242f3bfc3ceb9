/* engine.h - a recogniser without a scheduler: whoever measures it decides what is a step. One thread. */
#ifndef PN_BENCH_ENGINE_H
#define PN_BENCH_ENGINE_H

#include "asr/paraformer/paraformer.h"

enum { BENCH_MAX_STREAMS = 128, BENCH_RATE = 16000, BENCH_CHUNK = 9600 /* samples of 600 ms */ };

struct bench_engine {
    struct pn_pool *pool;
    struct pn_recognizer *recognizer;
};

/* These end the program when they fail. The model's packed file lies beside it. */
struct bench_engine bench_engine_open(const char *folder, enum pn_precision precision, int threads);
void bench_engine_close(struct bench_engine *e);
struct pn_stream *bench_stream_open(struct bench_engine *e,
                                    const struct pn_chunking *chunking); /* may be NULL */
/* Steps the stream when it can take no more. */
void bench_stream_feed(struct bench_engine *e, struct pn_stream *s, const float *pcm, size_t n);
void bench_stream_finish(struct pn_stream *s);
void bench_stream_close(struct pn_stream *s);
/* Steps whatever streams have the same work together until none has any. */
void bench_engine_settle(struct bench_engine *e, struct pn_stream *const *streams, int n);
/* Bytes of the text that there is now. */
size_t bench_stream_text_len(struct pn_stream *s);

/* Noise in syllables, 16 kHz: what it says does not matter. The same seed gives the same samples. */
void bench_speech(uint64_t seed, float *pcm, size_t n);

#endif
