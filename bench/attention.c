/* attention.c - speed and accuracy of the attention kernels, level by level.
 *
 * One head is timed, by CPU time of the process, medians of samples; a layer is as many of them as the model
 * has heads. "hot" reads one packed head again and again, "rotated" goes through 72 MB of them, as decoding
 * goes through layers and streams. Accuracy is against double on normal queries and keys whose scores have
 * the deviation stated. `attention LEVEL...` takes these levels instead of all that the CPU has. */
#include "machine.h"
#include "timing.h"

#include "base/splitmix.h"
#include "base/str.h"
#include "nn/attention.h"
#include "nn/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    N = 1500,
    D = 64,
    MAX_LEVELS = 8,
    SAMPLES = 9,
    ROTATED_BYTES = 72 << 20,
    ACCURACY_ROWS = 200,
    BEAMS = 5,
};

/* One head's numbers and the memory to work in. */
struct bench {
    float *q, *k, *v, *out;
    void *packed, *scratch;
    size_t packed_size;
};

struct model {
    const char *name;
    int layers, heads;
};

static const struct model MODELS[] = { { "tiny", 4, 6 }, { "base", 6, 8 }, { "small", 12, 12 } };
static const char *const LEVELS[] = { "c", "avx2", "avx512", "vnni", "fp16", "neon", "dotprod" };

static double uniform(void)
{
    static uint64_t state = 1;
    return (double)(pn_splitmix64(&state) >> 11) * 0x1p-53 + 1e-18;
}

static float normal(void)
{
    return (float)(sqrt(-2 * log(uniform())) * cos(2 * M_PI * uniform()));
}

static void fill(float *x, double deviation)
{
    for (int i = 0; i < N * D; i++)
        x[i] = (float)deviation * normal();
}

static struct bench bench_new(void)
{
    size_t floats = (size_t)N * D * sizeof(float);
    struct bench b = {
        bench_alloc(floats), bench_alloc(floats), bench_alloc(floats), bench_alloc(floats), NULL, NULL, 0
    };
    b.packed_size = PN_MAX(pn_attention_packed_size(PN_F32, N, D), pn_cross_packed_size(PN_F32, N, D));
    b.packed = bench_alloc(PN_MAX(b.packed_size, (size_t)ROTATED_BYTES));
    b.scratch =
        bench_alloc(PN_MAX(pn_attention_scratch(PN_F32, N, N, D), pn_cross_scratch(PN_INT8, N, N, D)));
    fill(b.q, 2);
    fill(b.k, 1);
    fill(b.v, 1);
    return b;
}

static void bench_free(struct bench *b)
{
    free(b->q);
    free(b->k);
    free(b->v);
    free(b->out);
    free(b->packed);
    free(b->scratch);
}

static struct pn_attend attend(const struct bench *b, int m, const void *packed)
{
    return (struct pn_attend){ m, N, D, b->q, D, packed, b->out, D, NULL, b->scratch };
}

/* ---- encoder ---- */

static void encoder_head(const struct pn_kern *k, enum pn_precision p, const struct bench *b)
{
    struct pn_attend a = attend(b, N, b->packed);
    k->attention_pack[p](N, D, b->k, D, b->v, D, b->packed);
    k->attention[p](&a);
}

static double time_encoder(const struct pn_kern *k, enum pn_precision p, const struct bench *b)
{
    double samples[SAMPLES];
    encoder_head(k, p, b);
    for (int i = 0; i < SAMPLES; i++) {
        double start = bench_cpu_time();
        encoder_head(k, p, b);
        samples[i] = bench_cpu_time() - start;
    }
    return bench_median(samples, SAMPLES);
}

static void encoder_line(const struct pn_kern *k, const char *level, enum pn_precision p,
                         const struct bench *b, double peak)
{
    double s = time_encoder(k, p, b), rate = 4.0 * N * N * D / s / 1e9;
    printf("%-8s %-5s %8.2f %8.0f %8.0f%%", level, pn_precision_name(p), s * 1e3, rate, 100 * rate / peak);
    for (size_t i = 0; i < PN_ARRAY_LEN(MODELS); i++)
        printf(" %8.2f %7.1f", s * 1e3 * MODELS[i].heads, s * 1e3 * MODELS[i].heads * MODELS[i].layers);
    printf("\n");
}

/* ---- cross attention ---- */

/* Seconds a call over `copies` packed heads in turn. */
static double time_cross(const struct pn_kern *k, enum pn_precision p, const struct bench *b, int m,
                         size_t copies)
{
    double samples[SAMPLES];
    size_t size = pn_cross_packed_size(p, N, D), calls = PN_MAX(copies, (size_t)100);
    for (size_t i = 0; i < copies; i++)
        k->cross_pack[p](N, D, b->k, D, b->v, D, (char *)b->packed + i * size);
    for (int i = 0; i < SAMPLES; i++) {
        double start = bench_cpu_time();
        for (size_t j = 0; j < calls; j++) {
            struct pn_attend a = attend(b, m, (char *)b->packed + j % copies * size);
            k->cross_attention[p](&a);
        }
        samples[i] = (bench_cpu_time() - start) / (double)calls;
    }
    return bench_median(samples, SAMPLES);
}

static void cross_line(const struct pn_kern *k, const char *level, enum pn_precision p, const struct bench *b,
                       double read_gbps)
{
    size_t size = pn_cross_packed_size(p, N, D);
    printf("%-8s %-5s %8zu", level, pn_precision_name(p), size);
    for (int m = 1; m <= BEAMS; m += BEAMS - 1) {
        double hot = time_cross(k, p, b, m, 1), rotated = time_cross(k, p, b, m, ROTATED_BYTES / size);
        double rate = (double)size / rotated / 1e9;
        printf(" %9.0f %9.0f %6.1f %5.0f%%", hot * 1e9, rotated * 1e9, rate, 100 * rate / read_gbps);
    }
    printf("\n");
}

/* ---- accuracy ---- */

struct error {
    double worst, all; /* 1 - cosine of the worst row, and of all rows together */
    double max;        /* largest error over the row's largest magnitude */
};

/* Row i in double. */
static void exact_row(const struct bench *b, int i, double *o)
{
    double s[N], max = -INFINITY, sum = 0;
    for (int j = 0; j < N; j++) {
        s[j] = 0;
        for (int x = 0; x < D; x++)
            s[j] += (double)b->q[i * D + x] * (double)b->k[j * D + x];
        s[j] /= sqrt(D);
        max = fmax(max, s[j]);
    }
    memset(o, 0, D * sizeof(*o));
    for (int j = 0; j < N; j++)
        sum += exp(s[j] - max);
    for (int j = 0; j < N; j++)
        for (int x = 0; x < D; x++)
            o[x] += exp(s[j] - max) / sum * (double)b->v[j * D + x];
}

static struct error compare(const struct bench *b, const double *want)
{
    struct error e = { 0, 0, 0 };
    double all_xy = 0, all_xx = 0, all_yy = 0;
    for (int i = 0; i < ACCURACY_ROWS; i++) {
        double xy = 0, xx = 0, yy = 0, off = 0, top = 0;
        for (int c = 0; c < D; c++) {
            double x = want[i * D + c], y = (double)b->out[i * D + c];
            xy += x * y;
            xx += x * x;
            yy += y * y;
            off = fmax(off, fabs(x - y));
            top = fmax(top, fabs(x));
        }
        e.worst = fmax(e.worst, 1 - xy / sqrt(xx * yy));
        e.max = fmax(e.max, off / top);
        all_xy += xy;
        all_xx += xx;
        all_yy += yy;
    }
    e.all = 1 - all_xy / sqrt(all_xx * all_yy);
    return e;
}

/* Two loud channels with means of their own, as trained keys have them. */
static void add_outliers(struct bench *b)
{
    for (int i = 0; i < N; i++)
        for (int c = 3; c <= 17; c += 14) {
            b->k[i * D + c] = 3 * b->k[i * D + c] + 10;
            b->q[i * D + c] = 0.3F * b->q[i * D + c] + 6;
        }
}

static void mix_values(struct bench *b)
{
    for (int i = 0; i < N * D; i++)
        b->v[i] *= expf((float)(i % D % 7 - 3));
}

static const struct {
    const char *name;
    double deviation;
    void (*change)(struct bench *b);
} INPUTS[] = {
    { "1", 1, NULL },
    { "2", 2, NULL },
    { "4", 4, NULL },
    { "6", 6, NULL },
    { "2 loud", 2, add_outliers },
    { "2 mixed v", 2, mix_values },
};

static void accuracy_line(const char *input, const char *what, const char *level, enum pn_precision p,
                          const struct bench *b, const double *want)
{
    struct error e = compare(b, want);
    printf("%-10s %-8s %-8s %-5s %9.1e %9.1e %9.1e\n", input, what, level, pn_precision_name(p), e.worst,
           e.all, e.max);
}

static void accuracy(size_t input, const struct pn_kern *kerns, const char *const *names, int n,
                     struct bench *b)
{
    double *want = bench_alloc(sizeof(double) * ACCURACY_ROWS * D);
    fill(b->q, INPUTS[input].deviation);
    fill(b->k, 1);
    fill(b->v, 1);
    if (INPUTS[input].change)
        INPUTS[input].change(b);
    for (int i = 0; i < ACCURACY_ROWS; i++)
        exact_row(b, i, want + i * D);
    for (int i = 0; i < n; i++)
        for (enum pn_precision p = PN_INT8; p <= PN_F32; p++) {
            struct pn_attend a = attend(b, ACCURACY_ROWS, b->packed);
            kerns[i].attention_pack[p](N, D, b->k, D, b->v, D, b->packed);
            kerns[i].attention[p](&a);
            accuracy_line(INPUTS[input].name, "encoder", names[i], p, b, want);
            kerns[i].cross_pack[p](N, D, b->k, D, b->v, D, b->packed);
            kerns[i].cross_attention[p](&a);
            accuracy_line(INPUTS[input].name, "cross", names[i], p, b, want);
        }
    free(want);
}

/* ---- all ---- */

static int choose_levels(int argc, char **argv, struct pn_kern *kerns, const char **names)
{
    unsigned have = pn_cpu_detect(), bits;
    const char *const *wanted = argc > 1 ? (const char *const *)argv + 1 : LEVELS;
    int n_wanted = argc > 1 ? argc - 1 : (int)PN_ARRAY_LEN(LEVELS), n = 0;
    for (int i = 0; i < n_wanted && n < MAX_LEVELS; i++) {
        struct pn_err err;
        if (pn_cpu_parse(pn_str(wanted[i]), &bits, &err) < 0) {
            fprintf(stderr, "attention: %s\n", err.text);
            exit(2);
        }
        if ((bits & have) != bits)
            continue;
        pn_kern_init(&kerns[n], bits);
        names[n++] = wanted[i];
    }
    return n;
}

static void speed_tables(const struct pn_kern *kerns, const char *const *names, int n, const struct bench *b,
                         struct bench_machine machine)
{
    printf("\nencoder, %d positions, heads of %d: ms a head, Gop/s, share of the f32 peak; ms a layer, all "
           "layers\n",
           N, D);
    printf("%-8s %-5s %8s %8s %9s", "level", "prec", "head", "Gop/s", "of peak");
    for (size_t i = 0; i < PN_ARRAY_LEN(MODELS); i++)
        printf(" %8s %7s", MODELS[i].name, "all");
    printf("\n");
    for (int i = 0; i < n; i++)
        for (enum pn_precision p = PN_INT8; p <= PN_F32; p++)
            encoder_line(&kerns[i], names[i], p, b, machine.f32_gflops);
    printf("\ncross attention, one head: ns a call hot and rotated, GB/s and share of the read rate; 1, then "
           "%d rows\n",
           BEAMS);
    printf("%-8s %-5s %8s %9s %9s %6s %6s %9s %9s %6s %6s\n", "level", "prec", "bytes", "hot", "rotated",
           "GB/s", "", "hot", "rotated", "GB/s", "");
    for (int i = 0; i < n; i++)
        for (enum pn_precision p = PN_INT8; p <= PN_F32; p++)
            cross_line(&kerns[i], names[i], p, b, machine.read_gbps);
}

int main(int argc, char **argv)
{
    struct pn_kern kerns[MAX_LEVELS];
    const char *names[MAX_LEVELS];
    int n = choose_levels(argc, argv, kerns, names);
    struct bench b = bench_new();
    struct bench_machine machine = bench_machine_measure();
    printf("one core: f32 %.0f Gop/s, int8 %.0f Gop/s, memory read %.1f GB/s\n", machine.f32_gflops,
           machine.int8_gops, machine.read_gbps);
    speed_tables(kerns, names, n, &b, machine);
    printf("\naccuracy against double: 1 - cosine of the worst row and of all rows, largest error over the "
           "row's "
           "largest value\n");
    printf("%-10s %-8s %-8s %-5s %9s %9s %9s\n", "scores", "shape", "level", "prec", "worst", "all", "max");
    for (size_t i = 0; i < PN_ARRAY_LEN(INPUTS); i++)
        accuracy(i, kerns, names, n, &b);
    bench_free(&b);
    return 0;
}
