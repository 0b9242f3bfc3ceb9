/* whisper.c - what Whisper costs: loading, a 30 s window through the encoder, a token through the decoder,
 * for random models of true sizes, beside the limits of the machine measured in the same run.
 *
 *     bench_whisper [--models tiny,base] [--precision int8,f32] [--threads 1,2] [--batch 1,4,16]
 *             [--dir FOLDER] [--torch]
 *
 * Every row is measured in a process of its own, so that its memory is its own. On one thread times are CPU
 * time, on several wall time (median, best in brackets): the machine may have other work to do. --torch runs
 * bench/whisper_torch.py, the same products in PyTorch, after each model. */
#include "asr/whisper/cache.h"
#include "base/clock.h"
#include "nn/cpu.h"
#include "machine.h"
#include "random_model.h"
#include "random_numbers.h"
#include "process.h"
#include "timing.h"
#include "whisper_work.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_LIST = 8, MAX_BATCH = 64, MAX_SAMPLES = 64, FIRST_POSITION = 20, TOKENS = 24 };

struct bench {
    char models[MAX_LIST][32];
    enum pn_precision precision[MAX_LIST];
    int threads[MAX_LIST], batch[MAX_LIST];
    int n_models, n_precisions, n_threads, n_batches;
    const char *dir;
    bool torch;
    struct bench_machine machine; /* of one thread */
};

struct samples {
    double ms[MAX_SAMPLES];
    int n;
};

static struct pn_whisper *open_model(const char *path, enum pn_precision p, struct pn_pool *pool)
{
    struct pn_err err = { 0 };
    struct pn_whisper *w = NULL;
    const struct pn_whisper_options o = { .path = path, .precision = p, .pool = pool };
    if (pn_whisper_open(&o, &w, &err) < 0)
        bench_die(path, &err);
    return w;
}

static struct pn_pool *open_pool(int threads)
{
    struct pn_err err = { 0 };
    struct pn_pool *pool = NULL;
    if (pn_pool_new(threads, &pool, &err) < 0)
        bench_die("pool", &err);
    return pool;
}

static void measure_load(const char *path, enum pn_precision p, int threads, const char *what)
{
    struct pn_pool *pool = open_pool(threads);
    int64_t start = pn_now_us();
    struct pn_whisper *w = open_model(path, p, pool);
    (void)printf("  %-5s load, %-6s %7.1f ms wall, %6.1f MB resident, packed %.1f MB\n", pn_precision_name(p),
                 what, (double)(pn_now_us() - start) / 1000, bench_status_mb("VmRSS"),
                 (double)pn_packed_size(w->packed) / 1e6);
    pn_whisper_close(w);
    pn_pool_free(pool);
}

/* One window of noise; the caller's cross. */
static struct pn_cross *encode(struct pn_whisper_engine *e, const float *mel, int64_t budget_us)
{
    const struct pn_whisper_dims *d = &pn_whisper_engine_model(e)->dims;
    struct pn_encoder_run *run = NULL;
    if (pn_encoder_run_new(e, d->n_audio_ctx, &run) < 0)
        bench_die("encoder", NULL);
    memcpy(pn_encoder_run_mel(run), mel, (size_t)(2 * d->n_audio_ctx * d->n_mels) * sizeof(float));
    while (!pn_encoder_run_step(run, budget_us))
        ;
    struct pn_cross *cross = pn_encoder_run_take_cross(run);
    pn_encoder_run_free(run);
    return cross;
}

static struct pn_cross *measure_encoder(const struct bench *b, struct pn_whisper_engine *e, int threads)
{
    const struct pn_whisper *w = pn_whisper_engine_model(e);
    size_t n = (size_t)(2 * w->dims.n_audio_ctx * w->dims.n_mels);
    float *mel = malloc(n * sizeof(*mel));
    struct pn_cross *cross = NULL;
    struct samples s = { .n = 0 };
    if (!mel)
        bench_die("memory", NULL);
    pn_random_normal(7, mel, n);
    for (int i = 0; i < 6; i++) {
        struct bench_clocks start = bench_clocks_now();
        struct pn_cross *made = encode(e, mel, i % 2 ? 20000 : 1000000);
        if (i > 0)
            s.ms[s.n++] = bench_elapsed_ms(start, threads);
        pn_cross_unref(cross);
        cross = made;
    }
    free(mel);
    double ms = bench_median(s.ms, s.n), limit = pn_encoder_limit_ms(w, &b->machine, threads);
    (void)printf("  %-5s %d thread%s  encoder window %8.1f ms (%.1f)   limit %.1f, %.0f %% of it\n",
                 pn_precision_name(w->precision), threads, threads == 1 ? " " : "s", ms, s.ms[0], limit,
                 100 * limit / ms);
    return cross;
}

/* A stream's own copy of the window's keys and values: each must be read from its own memory. */
static struct pn_cross *own_cross(struct pn_whisper_engine *e, const struct pn_cross *from)
{
    const struct pn_whisper_dims *d = &e->w->dims;
    struct pn_cross *c = NULL;
    if (pn_cross_new(e, from->n_ctx, &c) < 0)
        bench_die("cross", NULL);
    memcpy(c->data, from->data, (size_t)(d->n_text_layer * d->n_text_head) * from->head_size);
    return c;
}

static void measure_decoder(const struct bench *b, struct pn_whisper_engine *e, const struct pn_cross *from,
                            int batch, int threads)
{
    const struct pn_whisper *w = pn_whisper_engine_model(e);
    struct pn_decoder_row rows[MAX_BATCH];
    struct pn_cross *cross[MAX_BATCH];
    struct samples s = { .n = 0 };
    for (int i = 0; i < batch; i++) {
        cross[i] = own_cross(e, from);
        rows[i] = (struct pn_decoder_row){ .cross = cross[i], .token = 1000 + i };
        rows[i].logits = malloc((size_t)w->dims.n_vocab * sizeof(float));
        if (!rows[i].logits || pn_self_cache_new(e, &rows[i].cache) < 0)
            bench_die("cache", NULL);
    }
    for (int step = 0; step < FIRST_POSITION + TOKENS; step++) {
        struct bench_clocks start = bench_clocks_now();
        for (int i = 0; i < batch; i++)
            rows[i].position = step;
        if (pn_decoder_run(e, rows, batch) < 0)
            bench_die("decoder", NULL);
        if (step >= FIRST_POSITION)
            s.ms[s.n++] = bench_elapsed_ms(start, threads) / batch;
    }
    double ms = bench_median(s.ms, s.n), limit = pn_decoder_limit_ms(w, &b->machine, batch, threads);
    (void)printf(
        "  %-5s %d thread%s  token, batch %-2d %8.2f ms (%.2f) a stream   limit %.2f, %.0f %% of it; %.0f MB "
        "resident, %.0f MB peak\n",
        pn_precision_name(w->precision), threads, threads == 1 ? " " : "s", batch, ms, s.ms[0], limit,
        100 * limit / ms, bench_status_mb("VmRSS"), bench_status_mb("VmHWM"));
    for (int i = 0; i < batch; i++) {
        free(rows[i].logits);
        pn_self_cache_free(rows[i].cache);
        pn_cross_unref(cross[i]);
    }
}

static void measure_steps(const struct bench *b, const char *path, enum pn_precision p, int threads)
{
    struct pn_pool *pool = open_pool(threads);
    struct pn_whisper *w = open_model(path, p, pool);
    struct pn_whisper_engine *e = NULL;
    if (pn_whisper_engine_new(w, pool, &e) < 0)
        bench_die("engine", NULL);
    struct pn_cross *cross = measure_encoder(b, e, threads);
    for (int i = 0; i < b->n_batches; i++)
        measure_decoder(b, e, cross, b->batch[i], threads);
    pn_cross_unref(cross);
    pn_whisper_engine_free(e);
    pn_whisper_close(w);
    pn_pool_free(pool);
}

static void run_torch(const char *model, int threads)
{
    char command[512];
    (void)snprintf(command, sizeof(command),
                   "OPENBLAS_CORETYPE=SkylakeX OMP_NUM_THREADS=%d OPENBLAS_NUM_THREADS=%d /usr/bin/python3 "
                   "%s/bench/whisper_torch.py %s %d",
                   threads, threads, PN_SOURCE_ROOT, model, threads);
    (void)fflush(stdout);
    if (system(command) != 0)
        (void)printf("  PyTorch: not measured (python3-torch is missing?)\n");
}

static void measure_model(const struct bench *b, const char *name)
{
    struct pn_whisper_dims d;
    struct pn_err err = { 0 };
    char path[512], packed[600];
    if (!pn_random_dims(name, &d))
        bench_die(name, NULL);
    (void)snprintf(path, sizeof(path), "%s/random-%s.bin", b->dir, name);
    if (pn_random_model_write(path, &d, 1, &err) < 0)
        bench_die(name, &err);
    (void)printf("%s\n", name);
    for (int p = 0; p < b->n_precisions; p++) {
        static const char *const LOADS[] = { "first", "second" };
        for (size_t i = 0; i < PN_ARRAY_LEN(LOADS); i++) {
            if (bench_in_child()) {
                measure_load(path, b->precision[p], b->threads[b->n_threads - 1], LOADS[i]);
                bench_finish_child();
            }
        }
        for (int t = 0; t < b->n_threads; t++) {
            if (bench_in_child()) {
                measure_steps(b, path, b->precision[p], b->threads[t]);
                bench_finish_child();
            }
        }
        (void)snprintf(packed, sizeof(packed), "%s.%s.pnk", path, pn_precision_name(b->precision[p]));
        (void)unlink(packed);
    }
    (void)unlink(path);
    for (int t = 0; t < b->n_threads && b->torch; t++)
        run_torch(name, b->threads[t]);
}

/* Cuts "a,b,c" and hands each piece to `take`. */
static void each_piece(struct bench *b, const char *list, void (*take)(struct bench *b, struct pn_str piece))
{
    while (*list) {
        size_t len = strcspn(list, ",");
        take(b, (struct pn_str){ list, len });
        list += len + (list[len] == ',');
    }
}

static void take_model(struct bench *b, struct pn_str piece)
{
    if (b->n_models == MAX_LIST || pn_str_copy(b->models[b->n_models++], sizeof(b->models[0]), piece) < 0)
        bench_die("--models", NULL);
}

static void take_precision(struct bench *b, struct pn_str piece)
{
    if (b->n_precisions == MAX_LIST || pn_precision_parse(piece, &b->precision[b->n_precisions++]) < 0)
        bench_die("--precision", NULL);
}

static void take_threads(struct bench *b, struct pn_str piece)
{
    int64_t v = 0;
    if (b->n_threads == MAX_LIST || pn_parse_i64(piece, 1, 64, &v) < 0)
        bench_die("--threads", NULL);
    b->threads[b->n_threads++] = (int)v;
}

static void take_batch(struct bench *b, struct pn_str piece)
{
    int64_t v = 0;
    if (b->n_batches == MAX_LIST || pn_parse_i64(piece, 1, MAX_BATCH, &v) < 0)
        bench_die("--batch", NULL);
    b->batch[b->n_batches++] = (int)v;
}

static const struct {
    const char *flag, *otherwise;
    void (*take)(struct bench *b, struct pn_str piece);
} LISTS[] = {
    { "--models", "tiny,base", take_model },
    { "--precision", "int8,f32", take_precision },
    { "--threads", "1,2", take_threads },
    { "--batch", "1,4,16", take_batch },
};

static const char *value_of(int argc, char **argv, const char *flag, const char *otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (strcmp(argv[i], flag) == 0)
            return argv[i + 1];
    }
    return otherwise;
}

int main(int argc, char **argv)
{
    struct bench b = { .dir = value_of(argc, argv, "--dir", "/tmp") };
    for (int i = 1; i < argc; i++)
        b.torch |= strcmp(argv[i], "--torch") == 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(LISTS); i++)
        each_piece(&b, value_of(argc, argv, LISTS[i].flag, LISTS[i].otherwise), LISTS[i].take);
    b.machine = bench_machine_measure();
    (void)printf("kernels: %s; one thread: int8 %.0f GOP/s, f32 %.0f GFLOP/s, memory %.1f GB/s\n",
                 pn_cpu_name(pn_kern()->cpu), b.machine.int8_gops, b.machine.f32_gflops, b.machine.read_gbps);
    for (int i = 0; i < b.n_models; i++)
        measure_model(&b, b.models[i]);
    return 0;
}
