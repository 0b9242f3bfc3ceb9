/* paraformer_live.c - how many microphones a machine follows: simulated live streams through the scheduler in
 * real time, 600 ms of audio at a time, each stream with a phase of its own, and how long a chunk waits for
 * its text.
 *
 *     bench_paraformer_live FOLDER [--threads 2] [--chunk 5,10,5] [--seconds 18] [--max 120] [--streams N]
 *             [--batch 32] [--precision int8]
 *
 * FOLDER is a ParaformerStreaming. Without --streams it searches for the most streams whose 99th percentile
 * stays below 600 ms (99 of 100 chunks have their text before the next one is there), probing for --seconds
 * each. A chunk counts from when its samples are fed to when the stream says that it has recognised them. */
#include "engine.h"
#include "process.h"
#include "timing.h"

#include "asr/scheduler.h"
#include "base/clock.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    CHUNK_US = 600000,
    LOST_US = 1000000000,
    WARM_UP = 2 /* chunks of a stream that do not count */,
    ROW_BUDGET = 4096 /* the server's */,
    SOURCE_S = 20
};

static const double LIMIT_MS = 600;

struct live {
    struct bench_engine engine;
    struct pn_chunking chunking;
    int threads, seconds, max, batch;
    float *pcm; /* SOURCE_S seconds that all streams read, each from a place of its own */
};

struct talker {
    struct pn_stream *stream;
    atomic_int fed;     /* chunks; written by the feeder */
    int done;           /* chunks; the scheduler's thread */
    int64_t *fed_us;    /* [chunks] when each was fed */
    double *latency_ms; /* [chunks] */
};

struct probe {
    double p50, p95, p99, worst, cpu; /* ms; cores in use */
    int late;                         /* chunks without text at the end */
};

/* After a step of this stream, on the scheduler's thread. */
static void stepped(void *ctx)
{
    struct talker *t = ctx;
    int fed = atomic_load_explicit(&t->fed, memory_order_acquire);
    if (t->done == fed)
        return;
    double heard_us = 1e6 * t->stream->recognizer->ops->position(t->stream);
    for (int64_t now = pn_now_us(); t->done < fed && heard_us > (t->done + 0.9) * CHUNK_US; t->done++)
        t->latency_ms[t->done] = (double)(now - t->fed_us[t->done]) / 1000;
}

static void sleep_until(int64_t at_us)
{
    int64_t left = at_us - pn_now_us();
    if (left > 0)
        (void)nanosleep(&(struct timespec){ left / 1000000, left % 1000000 * 1000 }, NULL);
}

static void feed(struct live *l, struct pn_scheduler *s, struct talker *t, int who, int chunk)
{
    size_t chunks = (size_t)SOURCE_S * BENCH_RATE / BENCH_CHUNK;
    const float *pcm = l->pcm + ((size_t)who * 7 + (size_t)chunk) % chunks * BENCH_CHUNK;
    t->fed_us[chunk] = pn_now_us();
    atomic_store_explicit(&t->fed, chunk + 1, memory_order_release);
    if (pn_scheduler_feed(s, t->stream, pcm, BENCH_CHUNK) == -PN_EFULL)
        t->fed_us[chunk] -= LOST_US; /* later than any limit */
}

static void open_talkers(struct live *l, struct pn_scheduler *s, struct talker *t, int n, int chunks)
{
    const struct pn_recognition want = {
        .language = "", .task = "transcribe", .temperature = -1, .live = true, .chunking = &l->chunking
    };
    for (int i = 0; i < n; i++) {
        struct pn_err err = { 0 };
        t[i].fed_us = calloc((size_t)chunks, sizeof(*t[i].fed_us));
        t[i].latency_ms = calloc((size_t)chunks, sizeof(*t[i].latency_ms));
        if (!t[i].fed_us || !t[i].latency_ms ||
            pn_scheduler_open(s, l->engine.recognizer, &want, stepped, &t[i], &t[i].stream, &err) < 0)
            bench_die("a stream", &err);
    }
}

static struct probe summary(struct talker *t, int n, int chunks)
{
    int n_ms = 0;
    struct probe p = { 0 };
    double *ms = malloc((size_t)(n * chunks) * sizeof(*ms));
    if (!ms)
        bench_die("memory", NULL);
    for (int i = 0; i < n; i++) {
        for (int k = WARM_UP; k < chunks; k++)
            ms[n_ms++] = k < t[i].done ? t[i].latency_ms[k] : 1e6;
        p.late += chunks - t[i].done;
    }
    (void)bench_median(ms, n_ms); /* sorts */
    p.p50 = ms[n_ms / 2];
    p.p95 = ms[n_ms * 95 / 100];
    p.p99 = ms[n_ms * 99 / 100];
    p.worst = ms[n_ms - 1];
    free(ms);
    return p;
}

/* Chunk k of stream i comes at k + i/n chunks; after the last one there is as long to wait as a chunk lasts.
 */
static struct probe probe(struct live *l, int n)
{
    struct pn_scheduler *s = NULL;
    struct pn_err err = { 0 };
    const struct pn_scheduler_options o = { .max_streams = n,
                                            .batch_size = l->batch,
                                            .row_budget = ROW_BUDGET };
    const int chunks = l->seconds * 1000000 / CHUNK_US;
    struct talker *t = calloc((size_t)n, sizeof(*t));
    if (!t || pn_scheduler_new(&o, &s, &err) < 0)
        bench_die("the scheduler", &err);
    open_talkers(l, s, t, n, chunks);
    double cpu = bench_cpu_time();
    int64_t start = pn_now_us();
    for (int k = 0; k < chunks; k++) {
        for (int i = 0; i < n; i++) {
            sleep_until(start + k * (int64_t)CHUNK_US + i * (int64_t)CHUNK_US / n);
            feed(l, s, &t[i], i, k);
        }
    }
    sleep_until(start + (chunks + 1) * (int64_t)CHUNK_US);
    cpu = (bench_cpu_time() - cpu) / ((double)(pn_now_us() - start) / 1e6);
    for (int i = 0; i < n; i++)
        pn_scheduler_close(s, t[i].stream);
    pn_scheduler_free(s);
    struct probe p = summary(t, n, chunks);
    p.cpu = cpu;
    for (int i = 0; i < n; i++) {
        free(t[i].fed_us);
        free(t[i].latency_ms);
    }
    free(t);
    return p;
}

static bool holds(struct live *l, int n)
{
    struct probe p = probe(l, n);
    bool good = p.p99 < LIMIT_MS;
    (void)printf("%8d %8.0f %8.0f %8.0f %8.0f %8d %8.2f %9.0f   %s\n", n, p.p50, p.p95, p.p99, p.worst,
                 p.late, p.cpu, bench_status_mb("VmRSS"), good ? "holds" : "too many");
    (void)fflush(stdout);
    return good;
}

/* Doubles until it breaks, then halves the gap. */
static int most(struct live *l)
{
    int good = 0, bad = l->max + 1;
    for (int n = 8; n < bad; n = PN_MIN(2 * n, l->max)) {
        if (!holds(l, n))
            bad = n;
        else
            good = n;
        if (good == l->max)
            return good;
    }
    while (bad - good > PN_MAX(1, good / 32)) {
        int n = (good + bad) / 2;
        if (holds(l, n))
            good = n;
        else
            bad = n;
    }
    return good;
}

static const char *value_of(int argc, char **argv, const char *flag, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    }
    return otherwise;
}

static int number_of(int argc, char **argv, const char *flag, const char *otherwise, int max)
{
    int64_t v = 0;
    if (pn_parse_i64(pn_str(value_of(argc, argv, flag, otherwise)), 0, max, &v) < 0)
        bench_die(flag, NULL);
    return (int)v;
}

static struct pn_chunking chunking_of(const char *text)
{
    int v[3] = { 0 };
    if (sscanf(text, "%d,%d,%d", &v[0], &v[1], &v[2]) != 3)
        bench_die("--chunk", NULL);
    return (struct pn_chunking){ v[0], v[1], v[2], 4, 1 };
}

int main(int argc, char **argv)
{
    enum pn_precision precision;
    struct live l = { 0 };
    if (argc < 2 || argv[1][0] == '-') {
        (void)fprintf(stderr,
                      "usage: bench_paraformer_live FOLDER [--threads 2] [--chunk 5,10,5] [--seconds 18] "
                      "[--max 120] [--streams N] [--batch 32] [--precision int8]\n");
        return 2;
    }
    if (pn_precision_parse(pn_str(value_of(argc, argv, "--precision", "int8")), &precision) < 0)
        bench_die("--precision", NULL);
    l.chunking = chunking_of(value_of(argc, argv, "--chunk", "5,10,5"));
    l.threads = number_of(argc, argv, "--threads", "2", 64);
    l.seconds = number_of(argc, argv, "--seconds", "18", 3600);
    l.max = number_of(argc, argv, "--max", "120", 1000);
    l.batch = number_of(argc, argv, "--batch", "32", 1000); /* ASR_BATCH_SIZE */
    int n = number_of(argc, argv, "--streams", "0", 1000);
    l.pcm = malloc((size_t)SOURCE_S * BENCH_RATE * sizeof(*l.pcm));
    if (!l.pcm)
        bench_die("memory", NULL);
    bench_speech(3, l.pcm, (size_t)SOURCE_S * BENCH_RATE);
    l.engine = bench_engine_open(argv[1], precision, l.threads);
    (void)printf("[%d,%d,%d], %d threads, chunks of 600 ms\n", l.chunking.left, l.chunking.step,
                 l.chunking.ahead, l.threads);
    (void)printf("%8s %8s %8s %8s %8s %8s %8s %9s\n", "streams", "p50 ms", "p95", "p99", "worst", "unheard",
                 "cores", "MB");
    if (n > 0)
        (void)holds(&l, n);
    else
        (void)printf("%d streams\n", most(&l));
    bench_engine_close(&l.engine);
    free(l.pcm);
    return 0;
}
