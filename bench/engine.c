/* engine.c - see engine.h. */
#include "engine.h"

#include "process.h"
#include "random_numbers.h"

#include <math.h>
#include <string.h>

static void nothing(void *ctx)
{
    (void)ctx;
}

struct bench_engine bench_engine_open(const char *folder, enum pn_precision precision, int threads)
{
    struct bench_engine e = { 0 };
    struct pn_err err = { 0 };
    struct pn_paraformer *model = NULL;
    if (pn_pool_new(threads, &e.pool, &err) < 0)
        bench_die("threads", &err);
    const struct pn_paraformer_options o = {
        .path = folder, .name = "", .cache_dir = "", .precision = precision, .pool = e.pool
    };
    if (pn_paraformer_open(&o, &model, &err) < 0 ||
        pn_paraformer_recognizer_new(model, e.pool, &e.recognizer, &err) < 0)
        bench_die(folder, &err);
    e.recognizer->wake = nothing;
    return e;
}

void bench_engine_close(struct bench_engine *e)
{
    e->recognizer->ops->free(e->recognizer);
    pn_pool_free(e->pool);
}

struct pn_stream *bench_stream_open(struct bench_engine *e, const struct pn_chunking *chunking)
{
    struct pn_err err = { 0 };
    struct pn_stream *s = NULL;
    const struct pn_recognition want = { .language = "",
                                         .task = "transcribe",
                                         .temperature = -1,
                                         .live = chunking != NULL,
                                         .chunking = chunking };
    if (e->recognizer->ops->open(e->recognizer, &want, &s, &err) < 0)
        bench_die("a stream", &err);
    s->recognizer = e->recognizer;
    s->live = want.live;
    return s;
}

void bench_stream_finish(struct pn_stream *s)
{
    if (s->recognizer->ops->finish(s) < 0)
        bench_die("the end of a stream", NULL);
}

void bench_stream_close(struct pn_stream *s)
{
    s->recognizer->ops->close(s);
}

/* The streams whose next work is of the first one's phase; 0 of them when nobody has any. */
static int gather(struct pn_stream *const *streams, int n, struct pn_stream **batch, int *ret_phase)
{
    int n_batch = 0;
    *ret_phase = 0;
    for (int i = 0; i < n; i++) {
        int phase = streams[i]->recognizer->ops->next(streams[i]).phase;
        if (phase == 0 || (*ret_phase != 0 && phase != *ret_phase))
            continue;
        *ret_phase = phase;
        batch[n_batch++] = streams[i];
    }
    return n_batch;
}

void bench_engine_settle(struct bench_engine *e, struct pn_stream *const *streams, int n)
{
    struct pn_stream *batch[BENCH_MAX_STREAMS];
    int phase, n_batch;
    while ((n_batch = gather(streams, n, batch, &phase)) > 0)
        e->recognizer->ops->step(e->recognizer, phase, batch, (size_t)n_batch);
    for (int i = 0; i < n; i++) {
        struct pn_err err = { 0 };
        if (e->recognizer->ops->status(streams[i], &err) < 0)
            bench_die("a stream", &err);
    }
}

void bench_stream_feed(struct bench_engine *e, struct pn_stream *s, const float *pcm, size_t n)
{
    for (size_t at = 0; at < n; at += BENCH_CHUNK) {
        size_t piece = PN_MIN(n - at, (size_t)BENCH_CHUNK);
        int r = e->recognizer->ops->feed(s, pcm + at, piece);
        if (r == -PN_EFULL) {
            bench_engine_settle(e, &s, 1);
            r = e->recognizer->ops->feed(s, pcm + at, piece);
        }
        if (r < 0)
            bench_die("feeding a stream", NULL);
    }
}

size_t bench_stream_text_len(struct pn_stream *s)
{
    struct pn_err err = { 0 };
    struct pn_transcript *t = NULL;
    if (s->recognizer->ops->result(s, &t, &err) < 0)
        bench_die("a result", &err);
    size_t len = strlen(t->text);
    pn_transcript_free(t);
    return len;
}

void bench_speech(uint64_t seed, float *pcm, size_t n)
{
    pn_random_normal(seed, pcm, n);
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / BENCH_RATE, loud = 0.5 + 0.5 * sin(19.5 * t + (double)(seed % 7));
        pcm[i] = (float)(0.05 * pcm[i] * loud + 0.1 * loud * sin(2 * M_PI * (110 + (double)(seed % 40)) * t));
    }
}
