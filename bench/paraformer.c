/* paraformer.c - what a Paraformer of true size costs: 10 s of audio offline, 600 ms of many live streams,
 * memory and the time to the first result; beside ONNX Runtime in int8 and the limits of the machine,
 * measured in the same run.
 *
 *     bench_paraformer FOLDER [--threads 1,2] [--precision int8] [--rounds 3] [--batch 50] [--only offline]
 *             [--ours | --ort]
 *
 * FOLDER is what paraformer_prepare.sh makes. The two take turns, --rounds times; a cell is the median of all
 * runs, a ratio the median of the turns'. On one thread times are CPU time, on several wall time. Ours is
 * everything from samples to text; ONNX Runtime computes the layers alone, without front-end,
 * integrate-and-fire, state of earlier chunks and text. --batch leaves out what is larger, --only what is not
 * named so, --ours and --ort the other one. Every group of rows is measured in a process of its own. */
#include "engine.h"
#include "machine.h"
#include "ort.h"
#include "paraformer_work.h"
#include "process.h"
#include "timing.h"

#include "base/clock.h"
#include "nn/cpu.h"
#include "nn/kern.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    MAX_LIST = 4,
    MAX_SAMPLES = 64,
    MAX_ROUNDS = 16,
    ROUND_MS = 700,
    WARM_UP = 5,
    UTTERANCE = 10 * BENCH_RATE
};

struct bench {
    const char *folder, *only;
    enum pn_precision precision;
    int threads[MAX_LIST], n_threads;
    int rounds, max_batch;
    bool ours, ort;
    struct bench_machine machine; /* of one thread */
};

/* Rows and tokens are those of the published model's rates; ONNX Runtime gets as many. */
static const struct group {
    const char *name, *model;
    struct pn_chunking chunking; /* step 0: offline */
    int rows, tokens, cached;
    int batch[MAX_LIST];
} GROUPS[] = {
    { "10 s offline", "offline", { 0 }, 167, 45, 0, { 1, 8 } },
    { "600 ms [5,10,5]", "streaming", { 5, 10, 5, 4, 1 }, 20, 3, 40, { 1, 8, 20, 50 } },
    { "600 ms [0,10,5]", "streaming", { 0, 10, 5, 4, 1 }, 15, 3, 40, { 1, 8, 20, 50 } },
};

/* One side's times of a row. */
struct samples {
    double ms[MAX_SAMPLES], turn[MAX_ROUNDS]; /* turn: the medians */
    int n;
};

/* What is measured in a row. */
struct row {
    const struct bench *b;
    const struct group *g;
    int batch, threads;
    struct bench_engine *engine; /* NULL: not measured */
    double idle_mb;              /* of its memory that is no mapped file, without streams */
    struct bench_ort *ort;       /* the same */
    struct pn_stream *streams[BENCH_MAX_STREAMS];
    float *pcm;
    struct samples ours, theirs;
};

static bool is_live(const struct group *g)
{
    return g->chunking.step > 0;
}

static void open_streams(struct row *r)
{
    for (int i = 0; i < r->batch; i++)
        r->streams[i] = bench_stream_open(r->engine, is_live(r->g) ? &r->g->chunking : NULL);
}

static void close_streams(struct row *r)
{
    for (int i = 0; i < r->batch; i++)
        bench_stream_close(r->streams[i]);
}

/* The next 600 ms of every stream. */
static double chunk_ms(struct row *r)
{
    struct bench_clocks start = bench_clocks_now();
    for (int i = 0; i < r->batch; i++)
        bench_stream_feed(r->engine, r->streams[i], r->pcm + (size_t)i * BENCH_RATE / 10, BENCH_CHUNK);
    bench_engine_settle(r->engine, r->streams, r->batch);
    return bench_elapsed_ms(start, r->threads);
}

static double utterance_ms(struct row *r)
{
    open_streams(r);
    struct bench_clocks start = bench_clocks_now();
    for (int i = 0; i < r->batch; i++) {
        bench_stream_feed(r->engine, r->streams[i], r->pcm + (size_t)i * BENCH_RATE / 10, UTTERANCE);
        bench_stream_finish(r->streams[i]);
    }
    bench_engine_settle(r->engine, r->streams, r->batch);
    double ms = bench_elapsed_ms(start, r->threads);
    close_streams(r);
    return ms;
}

static double run_ours(struct row *r)
{
    return is_live(r->g) ? chunk_ms(r) : utterance_ms(r);
}

static void take_turn(struct row *r, struct samples *s, int turn, int n, bool ours)
{
    double *ms = s->ms + s->n, sorted[MAX_SAMPLES];
    if (ours) {
        for (int i = 0; i < n; i++)
            ms[i] = run_ours(r);
    } else {
        bench_ort_run(r->ort, (struct bench_ort_case){ r->batch, r->g->rows, r->g->tokens }, n, ms);
    }
    memcpy(sorted, ms, (size_t)n * sizeof(*ms));
    s->turn[turn] = bench_median(sorted, n);
    s->n += n;
}

/* A B A B ... with so many runs in a turn that it takes long enough to be fair. */
static void measure(struct row *r)
{
    double first[1] = { 1 };
    if (r->engine)
        first[0] = run_ours(r);
    else
        bench_ort_run(r->ort, (struct bench_ort_case){ r->batch, r->g->rows, r->g->tokens }, 1, first);
    int n = (int)(ROUND_MS / first[0]);
    n = PN_MAX(1, PN_MIN(n, MAX_SAMPLES / r->b->rounds));
    for (int turn = 0; turn < r->b->rounds; turn++) {
        if (r->engine)
            take_turn(r, &r->ours, turn, n, true);
        if (r->ort)
            take_turn(r, &r->theirs, turn, n, false);
    }
}

static double ratio(const struct row *r)
{
    double v[MAX_ROUNDS];
    for (int i = 0; i < r->b->rounds; i++)
        v[i] = r->ours.turn[i] / r->theirs.turn[i];
    return bench_median(v, r->b->rounds);
}

static void print_header(void)
{
    (void)printf("%-16s %7s %6s | %8s %8s %8s %6s | %8s %8s | %6s\n", "", "threads", "batch", "ours, ms",
                 "best", "each", "limit", "ORT, ms", "best", "ratio");
}

static void print_row(struct row *r)
{
    const struct group *g = r->g;
    const struct bench_paraformer_step step = { r->batch, g->rows, g->tokens, g->cached };
    double limit = bench_paraformer_limit_ms(step, r->b->precision, &r->b->machine, r->threads);
    (void)printf("%-16s %7d %6d |", g->name, r->threads, r->batch);
    if (r->engine) {
        double ms = bench_median(r->ours.ms, r->ours.n);
        (void)printf(" %8.1f %8.1f %8.2f %4.0f %% |", ms, r->ours.ms[0], ms / r->batch, 100 * limit / ms);
    } else {
        (void)printf(" %8s %8s %8s %6.1f |", "", "", "", limit);
    }
    if (r->ort) {
        double ms = bench_median(r->theirs.ms, r->theirs.n);
        (void)printf(" %8.1f %8.1f |", ms, r->theirs.ms[0]);
    }
    if (r->engine && r->ort)
        (void)printf(" %6.2f", ratio(r));
    (void)printf("\n");
}

static void measure_row(struct row *r)
{
    const bool live = r->engine && is_live(r->g);
    if (live) {
        open_streams(r);
        for (int i = 0; i < WARM_UP; i++)
            (void)chunk_ms(r);
    }
    double state = (bench_status_mb("RssAnon") - r->idle_mb) / r->batch;
    measure(r);
    print_row(r);
    if (live) {
        (void)printf("%-16s %7s %6s   %.2f MB a talking stream and what it shares; %.0f MB resident, %.0f of "
                     "it not the mapped file\n",
                     "", "", "", state, bench_status_mb("VmRSS"), bench_status_mb("RssAnon"));
        close_streams(r);
    }
}

static void measure_group(const struct bench *b, const struct group *g, int threads)
{
    char folder[512];
    struct bench_engine engine;
    size_t n = UTTERANCE + BENCH_MAX_STREAMS * BENCH_RATE / 10;
    float *pcm = malloc(n * sizeof(*pcm));
    if (!pcm)
        bench_die("memory", NULL);
    bench_speech(1, pcm, n);
    (void)snprintf(folder, sizeof(folder), "%s/%s", b->folder, g->model);
    if (b->ours)
        engine = bench_engine_open(folder, b->precision, threads);
    double idle = bench_status_mb("RssAnon");
    struct bench_ort *ort = b->ort ? bench_ort_open(b->folder, threads) : NULL;
    for (int i = 0; i < MAX_LIST && g->batch[i] > 0 && g->batch[i] <= b->max_batch && (b->ours || ort); i++) {
        struct row r = { .b = b,
                         .g = g,
                         .batch = g->batch[i],
                         .threads = threads,
                         .ort = ort,
                         .pcm = pcm,
                         .engine = b->ours ? &engine : NULL,
                         .idle_mb = idle };
        measure_row(&r);
    }
    if (ort)
        (void)printf("%-16s %7s %6s   ONNX Runtime %s: loaded in %.1f s, %.0f MB resident\n", "", "", "",
                     bench_ort_version(ort), bench_ort_load_ms(ort) / 1000, bench_ort_resident_mb(ort));
    bench_ort_close(ort);
    if (b->ours)
        bench_engine_close(&engine);
    free(pcm);
}

static void take_list(const char *list, int *ret, int *ret_n)
{
    int64_t v = 0;
    for (*ret_n = 0; *list && *ret_n < MAX_LIST; (*ret_n)++) {
        size_t len = strcspn(list, ",");
        if (pn_parse_i64((struct pn_str){ list, len }, 1, 64, &v) < 0)
            bench_die("--threads", NULL);
        ret[*ret_n] = (int)v;
        list += len + (list[len] == ',');
    }
}

static int number_of(const char *flag, const char *text, int max)
{
    int64_t v = 0;
    if (pn_parse_i64(pn_str(text), 1, max, &v) < 0)
        bench_die(flag, NULL);
    return (int)v;
}

static const char *value_of(int argc, char **argv, const char *flag, const char *otherwise)
{
    for (int i = 2; i + 1 < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    }
    return otherwise;
}

static bool has(int argc, char **argv, const char *flag)
{
    for (int i = 2; i < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct bench b = { .ours = !has(argc, argv, "--ort"), .ort = !has(argc, argv, "--ours") };
    if (argc < 2 || argv[1][0] == '-') {
        (void)fprintf(stderr,
                      "usage: bench_paraformer FOLDER [--threads 1,2] [--precision int8] [--rounds 3] "
                      "[--batch 50] [--only offline] [--ours | --ort]\n");
        return 2;
    }
    b.folder = argv[1];
    b.only = value_of(argc, argv, "--only", "");
    take_list(value_of(argc, argv, "--threads", "1,2"), b.threads, &b.n_threads);
    b.rounds = number_of("--rounds", value_of(argc, argv, "--rounds", "3"), MAX_ROUNDS);
    b.max_batch = number_of("--batch", value_of(argc, argv, "--batch", "50"), BENCH_MAX_STREAMS);
    if (pn_precision_parse(pn_str(value_of(argc, argv, "--precision", "int8")), &b.precision) < 0)
        bench_die("--precision", NULL);
    b.machine = bench_machine_measure();
    (void)printf("kernels: %s; one thread: int8 %.0f GOP/s, f32 %.0f GFLOP/s, memory %.1f GB/s\n",
                 pn_cpu_name(pn_kern()->cpu), b.machine.int8_gops, b.machine.f32_gflops, b.machine.read_gbps);
    print_header();
    for (int t = 0; t < b.n_threads; t++) {
        for (size_t g = 0; g < PN_ARRAY_LEN(GROUPS); g++) {
            if (strstr(GROUPS[g].name, b.only) && bench_in_child()) {
                measure_group(&b, &GROUPS[g], b.threads[t]);
                bench_finish_child();
            }
        }
    }
    return 0;
}
