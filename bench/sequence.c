/* sequence.c - speed of what streams and sequences need, level by level: attention of few queries, memory
 * blocks, LSTM cells, rows of halves. CPU time of one core, medians of samples, beside the measured peak of
 * multiply-adds where they count. `sequence LEVEL...` takes these levels instead of all that the CPU has. */
#include "machine.h"
#include "timing.h"

#include "base/splitmix.h"
#include "base/str.h"
#include "nn/attention.h"
#include "nn/cpu.h"
#include "nn/half.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SAMPLES = 9,
    WIDTH = 512, /* of a model: 4 heads of 128 */
    TAPS = 11,
    MAX_ROWS = 2000,
    MAX_LEVELS = 8,
    SAMPLE_US = 4000,
};

static const char *const LEVELS[] = { "c", "avx2", "avx512", "vnni", "neon", "dotprod" };

/* What is timed: one level's kernels over these numbers. */
struct bench {
    struct pn_kern kern;
    const char *level;
    double peak; /* 10^9 operations a second; 0: the level's is not known */
    float *qkv;  /* [MAX_ROWS][3 WIDTH] */
    float *cache, *out, *w;
    uint16_t *halves; /* as cache */
    void *packed, *scratch;
    int m, n, rows; /* queries, positions, rows of the case that runs */
    enum pn_precision p;
    bool half;
};

static void fill(float *x, size_t n)
{
    static uint64_t state = 1;
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(pn_splitmix64(&state) >> 40) * 0x1p-23f - 1;
}

static struct bench bench_new(void)
{
    size_t rows = MAX_ROWS, size = rows * WIDTH * sizeof(float);
    struct bench b = { .qkv = bench_alloc(3 * size),
                       .cache = bench_alloc(2 * size),
                       .out = bench_alloc(size) };
    b.halves = bench_alloc(size);
    b.w = bench_alloc(TAPS * WIDTH * sizeof(float));
    b.packed = bench_alloc(pn_attention_packed_size(PN_F32, MAX_ROWS, 128));
    b.scratch = bench_alloc(PN_MAX(pn_attention_scratch(PN_F32, MAX_ROWS, MAX_ROWS, 128),
                                   pn_small_attention_scratch(2 * MAX_ROWS)));
    fill(b.qkv, 3 * rows * WIDTH);
    fill(b.cache, 2 * rows * WIDTH);
    fill(b.w, (size_t)TAPS * WIDTH);
    for (size_t i = 0; i < 2 * rows * WIDTH; i++)
        b.halves[i % (rows * WIDTH)] = pn_f16_of_f32(b.cache[i]);
    return b;
}

static void bench_free(struct bench *b)
{
    free(b->qkv);
    free(b->cache);
    free(b->out);
    free(b->w);
    free(b->halves);
    free(b->packed);
    free(b->scratch);
}

/* Seconds of one call. */
static double time_of(void (*run)(const struct bench *b), const struct bench *b)
{
    double samples[SAMPLES], start = bench_cpu_time();
    run(b);
    run(b);
    int calls = 1 + (int)(SAMPLE_US * 2e-6 / (bench_cpu_time() - start + 1e-8));
    for (int i = 0; i < SAMPLES; i++) {
        start = bench_cpu_time();
        for (int j = 0; j < calls; j++)
            run(b);
        samples[i] = (bench_cpu_time() - start) / calls;
    }
    return bench_median(samples, SAMPLES);
}

/* A line: microseconds, operations as a share of the peak, bytes read and written a second. */
static void line(const struct bench *b, const char *what, double seconds, double operations, double bytes)
{
    printf("%-7s %-44s %9.2f us", b->level, what, seconds * 1e6);
    if (operations > 0) {
        printf(" %7.1f GFLOP/s", operations / seconds / 1e9);
        if (b->peak > 0)
            printf(" %4.0f%%", 100 * operations / seconds / 1e9 / b->peak);
    }
    if (bytes > 0)
        printf(" %6.1f GB/s", bytes / seconds / 1e9);
    printf("\n");
    fflush(stdout);
}

/* ---- attention ---- */

/* All new rows but for the cache, which holds what is left of n. */
static void small_attention(const struct bench *b)
{
    int fresh = PN_MIN(b->m, b->n);
    const void *cache = b->half ? (const void *)b->halves : (const void *)b->cache;
    const struct pn_small_attend a = {
        .m = b->m,
        .d = 128,
        .q = b->qkv,
        .ldq = 3 * (size_t)WIDTH,
        .span = { { .n = b->n - fresh, .half = b->half, .k = cache, .v = cache, .ld = WIDTH },
                  { .n = fresh, .k = b->qkv + WIDTH, .v = b->qkv + 2 * WIDTH, .ld = 3 * (size_t)WIDTH } },
        .out = b->out,
        .ldo = WIDTH,
        .scratch = b->scratch,
    };
    b->kern.small_attention(&a);
}

static void packed_attention(const struct bench *b)
{
    const struct pn_attend a = {
        .m = b->m,
        .n = b->n,
        .d = 128,
        .q = b->qkv,
        .ldq = 3 * (size_t)WIDTH,
        .packed = b->packed,
        .out = b->out,
        .ldo = WIDTH,
        .scratch = b->scratch,
    };
    b->kern.attention_pack[b->p](b->n, 128, b->cache, WIDTH, b->cache, WIDTH, b->packed);
    b->kern.attention[b->p](&a);
}

static void attention_lines(struct bench *b, int m, int n)
{
    char what[64];
    double operations = 4.0 * m * n * 128;
    b->m = m;
    b->n = n;
    for (int half = 0; half < 2; half++) {
        b->half = half;
        snprintf(what, sizeof(what), "small attention m=%d n=%d d=128%s", m, n, half ? ", halves" : "");
        line(b, what, time_of(small_attention, b), operations, 0);
    }
    for (b->p = PN_INT8; b->p <= PN_F32; b->p++) {
        snprintf(what, sizeof(what), "pack and attention m=%d n=%d d=128 %s", m, n, pn_precision_name(b->p));
        line(b, what, time_of(packed_attention, b), operations, 0);
    }
}

/* ---- rows ---- */

static void memory(const struct bench *b)
{
    const struct pn_memory a = { .m = b->rows,
                                 .n = WIDTH,
                                 .taps = TAPS,
                                 .left = TAPS / 2,
                                 .x = b->cache,
                                 .ldx = WIDTH,
                                 .w = b->w,
                                 .y = b->out,
                                 .ldy = WIDTH };
    b->kern.memory(&a);
}

static void lstm_cell(const struct bench *b)
{
    b->kern.lstm_cell(WIDTH, b->qkv, b->cache, b->out);
}

static void to_half(const struct bench *b)
{
    b->kern.to_half(b->cache, b->halves, (size_t)b->rows * WIDTH);
}

static void from_half(const struct bench *b)
{
    b->kern.from_half(b->halves, b->out, (size_t)b->rows * WIDTH);
}

static void rows_lines(struct bench *b)
{
    const int rows[] = { 15, 100, 1000 };
    char what[64];
    for (size_t i = 0; i < PN_ARRAY_LEN(rows); i++) {
        double numbers = (double)rows[i] * WIDTH;
        b->rows = rows[i];
        snprintf(what, sizeof(what), "memory %d x %d, %d taps", rows[i], WIDTH, TAPS);
        line(b, what, time_of(memory, b), numbers * (2 * TAPS + 2), numbers * 3 * sizeof(float));
    }
    b->rows = 40;
    line(b, "to halves, 40 x 512", time_of(to_half, b), 0, 40.0 * WIDTH * 6);
    line(b, "from halves, 40 x 512", time_of(from_half, b), 0, 40.0 * WIDTH * 6);
    line(b, "LSTM cells, 512", time_of(lstm_cell, b), 0, 0);
}

static void level_lines(struct bench *b, const char *level, double peak)
{
    unsigned bits;
    if (pn_cpu_parse(pn_str(level), &bits, NULL) < 0 || (bits & pn_cpu_detect()) != bits)
        return;
    pn_kern_init(&b->kern, bits);
    b->level = level;
    b->peak = bits == pn_kern()->cpu ? peak : 0;
    attention_lines(b, 15, 55);
    attention_lines(b, 20, 60);
    attention_lines(b, 1, 55);
    attention_lines(b, 64, 1000);
    attention_lines(b, 300, 300);
    rows_lines(b);
}

int main(int argc, char **argv)
{
    struct bench_machine machine = bench_machine_measure();
    printf("peak %.0f GFLOP/s at level %s; memory %.1f GB/s\n", machine.f32_gflops,
           pn_cpu_name(pn_kern()->cpu), machine.read_gbps);
    struct bench b = bench_new();
    for (int i = 1; i < argc; i++)
        level_lines(&b, argv[i], machine.f32_gflops);
    for (size_t i = 0; argc < 2 && i < PN_ARRAY_LEN(LEVELS); i++)
        level_lines(&b, LEVELS[i], machine.f32_gflops);
    bench_free(&b);
    return 0;
}
