/* paraformer_memory.c - what a Paraformer takes at rest: time from nothing to the first text, resident memory
 * after work, alone and with everything else that a Chinese service loads, and after ten thousand streams.
 *
 *     bench_paraformer_memory FOLDER [--precision int8] [--cycles 10000]
 *
 * FOLDER is what paraformer_prepare.sh makes. Every line is measured in a process of its own. Resident memory
 * is what is left when all streams are closed and each model has worked, so that its weights have been read;
 * of it, the mapped file is shared by all processes and can be dropped by the system. */
#include "engine.h"
#include "process.h"

#include "asr/punctuation/punctuation.h"
#include "asr/vad/vad.h"
#include "base/clock.h"
#include "model/packed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 2, SECONDS = 6, IDLE_STREAMS = 50 };

static const struct pn_chunking CHUNKING = { 5, 10, 5, 4, 1 };

struct bench {
    const char *folder;
    enum pn_precision precision;
    int cycles;
    float *pcm; /* SECONDS of it */
};

static const char *path_of(const struct bench *b, const char *model, char path[512])
{
    (void)snprintf(path, 512, "%.480s/%s", b->folder, model);
    return path;
}

static void print_memory(void)
{
    (void)printf("%.0f MB resident, %.0f of it not mapped files\n", bench_status_mb("VmRSS"),
                 bench_status_mb("RssAnon"));
}

/* One utterance, piece by piece, to its end; returns when its first text was there. */
static int64_t talk(const struct bench *b, struct bench_engine *e, struct pn_stream *s)
{
    int64_t first = 0;
    for (size_t at = 0; at < (size_t)SECONDS * BENCH_RATE; at += BENCH_CHUNK) {
        bench_stream_feed(e, s, b->pcm + at, BENCH_CHUNK);
        bench_engine_settle(e, &s, 1);
        if (first == 0 && bench_stream_text_len(s) > 0)
            first = pn_now_us();
    }
    bench_stream_finish(s);
    bench_engine_settle(e, &s, 1);
    return first ? first : pn_now_us();
}

static int64_t work(const struct bench *b, struct bench_engine *e, const struct pn_chunking *chunking)
{
    struct pn_stream *s = bench_stream_open(e, chunking);
    int64_t first = talk(b, e, s);
    bench_stream_close(s);
    return first;
}

static void measure_start(const struct bench *b, const char *what)
{
    char path[512];
    int64_t start = pn_now_us();
    struct bench_engine e = bench_engine_open(path_of(b, "streaming", path), b->precision, THREADS);
    int64_t opened = pn_now_us(), first = work(b, &e, &CHUNKING);
    (void)printf("%-26s open after %lld ms, first text after %lld ms; ", what,
                 (long long)(opened - start) / 1000, (long long)(first - start) / 1000);
    print_memory();
    bench_engine_close(&e);
}

static void feed_vad(const struct pn_vad_model *m, const float *pcm, size_t n)
{
    struct pn_vad *v = NULL;
    struct pn_vad_event event;
    if (pn_vad_new(m, NULL, &v) < 0 || pn_vad_feed(v, pcm, n) < 0)
        bench_die("the detector", NULL);
    while (pn_vad_next(v, &event))
        ;
    pn_vad_free(v);
}

static void punctuate(const struct pn_punctuation *p)
{
    struct pn_buf out;
    pn_buf_init(&out, 1 << 16);
    if (pn_punctuate(p, PN_STR("一丁七万丈三上下不与丐丑专且丕世丘丙业丛东丝丞丢两严"), &out, NULL) < 0)
        bench_die("punctuation", NULL);
    pn_buf_done(&out);
}

static struct pn_punctuation *open_punctuation(const struct bench *b, struct pn_pool *pool)
{
    char path[512];
    struct pn_err err = { 0 };
    struct pn_punctuation *p = NULL;
    const struct pn_punctuation_options o = {
        .path = path_of(b, "punc", path), .cache_dir = "", .precision = b->precision, .pool = pool
    };
    if (pn_punctuation_open(&o, &p, &err) < 0)
        bench_die(path, &err);
    return p;
}

/* Opens everything once, so that it is packed. */
static void pack_all(const struct bench *b)
{
    char path[512];
    struct pn_punctuation *p = open_punctuation(b, NULL);
    pn_punctuation_close(p);
    struct bench_engine e = bench_engine_open(path_of(b, "seaco", path), b->precision, THREADS);
    bench_engine_close(&e);
}

static void measure_all(const struct bench *b)
{
    char path[512];
    struct pn_err err = { 0 };
    struct pn_vad_model *vad = NULL;
    struct bench_engine live = bench_engine_open(path_of(b, "streaming", path), b->precision, THREADS);
    struct bench_engine offline = bench_engine_open(path_of(b, "seaco", path), b->precision, THREADS);
    if (pn_vad_model_open(path_of(b, "vad", path), &vad, &err) < 0)
        bench_die(path, &err);
    struct pn_punctuation *punc = open_punctuation(b, live.pool);
    (void)work(b, &live, &CHUNKING);
    (void)work(b, &offline, NULL);
    feed_vad(vad, b->pcm, (size_t)SECONDS * BENCH_RATE);
    punctuate(punc);
    (void)printf("%-26s ", "with offline, VAD, marks");
    print_memory();
    pn_punctuation_close(punc);
    pn_vad_model_close(vad);
    bench_engine_close(&offline);
    bench_engine_close(&live);
}

/* A stream that has been opened and has heard nothing, and one whose utterance is over. */
static void measure_idle_streams(const struct bench *b)
{
    char path[512];
    struct pn_stream *s[IDLE_STREAMS];
    struct bench_engine e = bench_engine_open(path_of(b, "streaming", path), b->precision, THREADS);
    (void)work(b, &e, &CHUNKING);
    double before = bench_status_mb("RssAnon");
    for (int i = 0; i < IDLE_STREAMS; i++)
        s[i] = bench_stream_open(&e, &CHUNKING);
    double opened = (bench_status_mb("RssAnon") - before) * 1024 / IDLE_STREAMS;
    for (int i = 0; i < IDLE_STREAMS; i++)
        talk(b, &e, s[i]);
    (void)printf("%-26s %.1f KB when it has heard nothing, %.1f KB when it has ended\n", "a stream", opened,
                 (bench_status_mb("RssAnon") - before) * 1024 / IDLE_STREAMS);
    for (int i = 0; i < IDLE_STREAMS; i++)
        bench_stream_close(s[i]);
    bench_engine_close(&e);
}

/* Every hundredth stream says something, the others leave at once. */
static void measure_cycles(const struct bench *b)
{
    char path[512];
    struct bench_engine e = bench_engine_open(path_of(b, "streaming", path), b->precision, THREADS);
    (void)work(b, &e, &CHUNKING);
    double before = bench_status_mb("VmRSS");
    for (int i = 0; i < b->cycles; i++) {
        struct pn_stream *s = bench_stream_open(&e, &CHUNKING);
        bench_stream_feed(&e, s, b->pcm, i % 100 == 0 ? BENCH_CHUNK : 960);
        bench_engine_settle(&e, &s, 1);
        bench_stream_close(s);
    }
    (void)printf("%-26s %.1f MB resident before, %.1f MB after\n", "streams come and go", before,
                 bench_status_mb("VmRSS"));
    bench_engine_close(&e);
}

static void measure_first(const struct bench *b)
{
    measure_start(b, "first start: packing");
}

static void measure_next(const struct bench *b)
{
    measure_start(b, "start from the packed file");
}

static void forget_packed(const struct bench *b)
{
    char model[512], packed[1024];
    if (pn_packed_path(path_of(b, "streaming", model), "", pn_precision_name(b->precision), packed,
                       sizeof(packed)) == 0)
        (void)unlink(packed);
}

static const char *value_of(int argc, char **argv, const char *flag, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    static void (*const LINES[])(const struct bench *b) = {
        measure_first, measure_next, pack_all, measure_all, measure_idle_streams, measure_cycles
    };
    int64_t cycles = 0;
    struct bench b = { .pcm = malloc((size_t)SECONDS * BENCH_RATE * sizeof(*b.pcm)) };
    if (argc < 2 || argv[1][0] == '-') {
        (void)fprintf(stderr, "usage: bench_paraformer_memory FOLDER [--precision int8] [--cycles 10000]\n");
        return 2;
    }
    b.folder = argv[1];
    if (!b.pcm || pn_precision_parse(pn_str(value_of(argc, argv, "--precision", "int8")), &b.precision) < 0 ||
        pn_parse_i64(pn_str(value_of(argc, argv, "--cycles", "10000")), 1, 10000000, &cycles) < 0)
        bench_die("an option", NULL);
    b.cycles = (int)cycles;
    bench_speech(5, b.pcm, (size_t)SECONDS * BENCH_RATE);
    forget_packed(&b);
    for (size_t i = 0; i < PN_ARRAY_LEN(LINES); i++) {
        if (bench_in_child()) {
            LINES[i](&b);
            bench_finish_child();
        }
    }
    free(b.pcm);
    return 0;
}
