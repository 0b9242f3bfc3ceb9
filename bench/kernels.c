/* kernels.c - the speed of the matrix products, level by level, with oneDNN's beside it from the same run.
 *
 * Pinned to one core; times are CPU time of the process, medians of samples that alternate between the sides.
 * "hot" multiplies by one matrix again and again; "rot" goes through copies of 64 MB and more in all, as the
 * layers of a model do. "of peak" is against a loop of nothing but multiply-adds, timed in the same run. */
#include "kernels.h"
#include "machine.h"
#include "timing.h"

#include "base/str.h"
#include "nn/cpu.h"
#include "nn/linear.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_SHAPES = 32, MAX_ROWS = 32, MAX_LEVELS = 8, MAX_SAMPLES = 101, ROTATED_BYTES = 72 << 20 };

struct options {
    struct bench_shape shapes[MAX_SHAPES];
    int n_shapes;
    int rows[MAX_ROWS];
    int n_rows;
    unsigned levels[MAX_LEVELS];
    int n_levels;
    bool int8, f32, rotate;
    int samples;
    double sample_ms;
};

/* The linear layers of tiny, base and small: attention, then the two of the feed-forward part. The usual run
 * takes those of base with five numbers of rows, without portable C: a minute. */
static const char ALL_SHAPES[] = "384x384,384x1152,384x1536,1536x384,512x512,512x1536,512x2048,2048x512,"
                                 "768x768,768x2304,768x3072,3072x768";
static const char ALL_ROWS[] = "1,2,4,5,8,10,16,20,50,100,200,400,1500";
static const char ALL_LEVELS[] = "c,avx2,avx512,vnni,neon,dotprod";

static void pin(void)
{
    cpu_set_t all, one;
    if (sched_getaffinity(0, sizeof(all), &all) < 0)
        return;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
}

/* ---- our side ---- */

struct ours {
    struct pn_kern kern;
    enum pn_precision precision;
    int m;
    size_t block_size;
    char *blocks; /* [copies][block_size] */
    struct bench_shape shape;
    void *x;
    float *y;
    struct pn_quant_row *rows;
};

static void fill(struct ours *o, int copies)
{
    enum pn_precision p = o->precision;
    size_t n = (size_t)o->shape.n * (size_t)o->shape.k;
    float *w = bench_alloc(n * sizeof(float));
    for (size_t i = 0; i < n; i++)
        w[i] = (float)((uint32_t)i * 2654435761u >> 24) / 255.0f - 0.5f;
    o->block_size = pn_linear_packed_size(p, o->shape.n, o->shape.k);
    o->blocks = bench_alloc(o->block_size * (size_t)copies);
    pn_linear_pack(p, o->shape.n, o->shape.k, w, NULL, o->blocks);
    for (int i = 1; i < copies; i++)
        memcpy(o->blocks + (size_t)i * o->block_size, o->blocks, o->block_size);
    free(w);
}

static struct ours ours_new(enum pn_precision p, struct bench_shape s, int max_m, int copies)
{
    struct ours o = { .precision = p, .shape = s };
    fill(&o, copies);
    size_t item = p == PN_INT8 ? 1 : sizeof(float);
    o.x = bench_alloc((size_t)max_m * (size_t)s.k * item);
    o.y = bench_alloc((size_t)max_m * (size_t)s.n * sizeof(float));
    o.rows = bench_alloc((size_t)max_m * sizeof(*o.rows));
    for (int i = 0; i < max_m; i++)
        o.rows[i] = (struct pn_quant_row){ .scale = 0.01f, .zero = 64 };
    return o;
}

static void ours_free(struct ours *o)
{
    free(o->blocks);
    free(o->x);
    free(o->y);
    free(o->rows);
}

static void ours_run(void *ctx, int i)
{
    struct ours *o = ctx;
    struct pn_linear l =
        pn_linear_view(o->precision, o->shape.n, o->shape.k, o->blocks + (size_t)i * o->block_size);
    if (o->precision == PN_INT8) {
        struct pn_gemm_u8s8 g = { .m = o->m,
                                  .k = l.k,
                                  .n_to = l.n,
                                  .a = o->x,
                                  .lda = (size_t)l.k,
                                  .rows = o->rows,
                                  .w = l.w,
                                  .w_scale = l.scale,
                                  .w_sum = l.sum,
                                  .bias = l.bias,
                                  .y = o->y,
                                  .ldy = (size_t)l.n,
                                  .epilogue = PN_STORE };
        o->kern.gemm_u8s8(&g);
    } else {
        struct pn_gemm_f32 g = { .m = o->m,
                                 .k = l.k,
                                 .n_to = l.n,
                                 .a = o->x,
                                 .lda = (size_t)l.k,
                                 .w = l.w,
                                 .bias = l.bias,
                                 .y = o->y,
                                 .ldy = (size_t)l.n,
                                 .epilogue = PN_STORE };
        o->kern.gemm_f32(&g);
    }
}

/* ---- sampling ---- */

struct side {
    struct bench_side call;
    int at, calls; /* copy whose turn is next; calls a sample */
    double seconds[MAX_SAMPLES];
};

static double time_calls(struct side *s, int copies)
{
    double from = bench_cpu_time();
    for (int i = 0; i < s->calls; i++) {
        s->call.run(s->call.ctx, s->at);
        s->at = s->at + 1 < copies ? s->at + 1 : 0;
    }
    return (bench_cpu_time() - from) / s->calls;
}

/* Seconds of one call of each side: the medians of samples taken in turn. */
static void compare(const struct options *o, struct side *sides, int n, int copies, double *ret_seconds)
{
    for (int i = 0; i < n; i++) {
        sides[i].calls = copies > 1 ? copies : 1;
        sides[i].at = 0;
        double one = time_calls(&sides[i], copies);
        one = copies > 1 ? one : time_calls(&sides[i], copies);
        sides[i].calls = PN_MAX(1, (int)(o->sample_ms / 1e3 / PN_MAX(one, 1e-8)));
    }
    for (int s = 0; s < o->samples; s++)
        for (int i = 0; i < n; i++)
            sides[i].seconds[s] = time_calls(&sides[i], copies);
    for (int i = 0; i < n; i++)
        ret_seconds[i] = bench_median(sides[i].seconds, o->samples);
}

/* ---- the table ---- */

static bool same_kernel(const struct pn_kern *a, const struct pn_kern *b, enum pn_precision p)
{
    return p == PN_INT8 ? a->gemm_u8s8 == b->gemm_u8s8 : a->gemm_f32 == b->gemm_f32;
}

/* The tables that differ in this product, from the lowest; the number of them. */
static int kernels(const struct options *o, enum pn_precision p, struct pn_kern *ret)
{
    int n = 0;
    for (int i = 0; i < o->n_levels; i++) {
        pn_kern_init(&ret[n], o->levels[i]);
        if (n == 0 || !same_kernel(&ret[n], &ret[n - 1], p))
            n++;
    }
    return n;
}

static void print_rate(double rate)
{
    if (rate > 0)
        printf(" %8.1f", rate);
    else
        printf(" %8s", "-");
}

static void print_ratio(double ours, double theirs)
{
    if (ours > 0 && theirs > 0)
        printf(" %6.2f", ours / theirs);
    else
        printf(" %6s", "-");
}

/* One row of the table: our rates and oneDNN's, hot and rotated. */
static void print_line(struct bench_shape s, int m, const char *level, const double ours[2],
                       const double theirs[2], double peak)
{
    printf("%5dx%-5d %5d %-7s", s.k, s.n, m, level);
    for (int r = 0; r < 2; r++) {
        print_rate(ours[r]);
        print_rate(theirs[r]);
        print_ratio(ours[r], theirs[r]);
    }
    printf(" %6.0f%%\n", 100 * ours[0] / peak);
    fflush(stdout);
}

static void bench_rows(const struct options *o, enum pn_precision p, struct ours *ours, int m, int copies,
                       double peak)
{
    struct pn_kern kern[MAX_LEVELS];
    struct side sides[MAX_LEVELS + 1];
    struct ours each[MAX_LEVELS];
    int n = kernels(o, p, kern);
    double rate[2][MAX_LEVELS + 1] = { 0 };
    struct bench_onednn *d = bench_onednn_new(p, ours->shape, m, copies);
    for (int i = 0; i < n; i++) {
        each[i] = *ours;
        each[i].m = m;
        each[i].kern = kern[i];
        sides[i].call = (struct bench_side){ ours_run, &each[i] };
    }
    sides[n].call = (struct bench_side){ bench_onednn_run, d };
    for (int r = 0; r < (o->rotate && copies > 1 ? 2 : 1); r++) {
        double seconds[MAX_LEVELS + 1];
        compare(o, sides, n + (d ? 1 : 0), r ? copies : 1, seconds);
        for (int i = 0; i < n + (d ? 1 : 0); i++)
            rate[r][i] = 2e-9 * m * ours->shape.k * ours->shape.n / seconds[i];
    }
    bench_onednn_free(d);
    for (int i = 0; i < n; i++)
        print_line(ours->shape, m, pn_cpu_name(kern[i].cpu), (double[]){ rate[0][i], rate[1][i] },
                   (double[]){ rate[0][n], rate[1][n] }, peak);
}

static void bench_precision(const struct options *o, enum pn_precision p, double peak)
{
    printf("\n%s, 10^9 operations a second on one core; peak %.0f\n", pn_precision_name(p), peak);
    printf("%5s %-5s %5s %-7s %8s %8s %6s %8s %8s %6s %7s\n", "k", "n", "m", "level", "hot", "oneDNN",
           "ratio", "rot", "oneDNN", "ratio", "of peak");
    for (int s = 0; s < o->n_shapes; s++) {
        int max_m = 0;
        for (int i = 0; i < o->n_rows; i++)
            max_m = PN_MAX(max_m, o->rows[i]);
        size_t size = pn_linear_packed_size(p, o->shapes[s].n, o->shapes[s].k);
        int copies = o->rotate ? (int)(ROTATED_BYTES / size) + 1 : 1;
        struct ours ours = ours_new(p, o->shapes[s], max_m, copies);
        for (int i = 0; i < o->n_rows; i++)
            bench_rows(o, p, &ours, o->rows[i], copies, peak);
        ours_free(&ours);
    }
}

/* ---- options ---- */

static void usage(const char *what)
{
    fprintf(stderr,
            "bench_kernels: %s\n"
            "usage: bench_kernels [--quick | --full] [--no-rotate] [--shapes KxN,..] [--rows M,..] [--levels "
            "c,avx2,..]\n"
            "               [--precision int8|f32] [--samples N]\n",
            what);
    exit(2);
}

static int number(struct pn_str s, int max)
{
    int64_t v;
    if (pn_parse_i64(s, 1, max, &v) < 0)
        usage("not a number in range");
    return (int)v;
}

/* The next piece of a list with commas; false at its end. */
static bool next_item(const char **list, struct pn_str *ret)
{
    if (**list == '\0')
        return false;
    size_t len = strcspn(*list, ",");
    *ret = (struct pn_str){ *list, len };
    *list += len + ((*list)[len] == ',');
    return true;
}

static void read_shapes(struct options *o, const char *list)
{
    struct pn_str s;
    for (o->n_shapes = 0; o->n_shapes < MAX_SHAPES && next_item(&list, &s);) {
        const char *x = memchr(s.ptr, 'x', s.len);
        if (!x)
            usage("a shape is KxN");
        size_t k = (size_t)(x - s.ptr);
        o->shapes[o->n_shapes++] = (struct bench_shape){
            number((struct pn_str){ s.ptr, k }, PN_MAX_K) & ~3,
            number((struct pn_str){ x + 1, s.len - k - 1 }, 1 << 20),
        };
    }
}

static void read_rows(struct options *o, const char *list)
{
    struct pn_str s;
    for (o->n_rows = 0; o->n_rows < MAX_ROWS && next_item(&list, &s);)
        o->rows[o->n_rows++] = number(s, 1 << 16);
}

/* Levels that this CPU lacks are left out. */
static void read_levels(struct options *o, const char *list)
{
    unsigned have = pn_cpu_detect(), bits;
    struct pn_str s;
    for (o->n_levels = 0; o->n_levels < MAX_LEVELS && next_item(&list, &s);) {
        if (pn_cpu_parse(s, &bits, NULL) < 0)
            usage("no such level");
        if ((bits & have) == bits)
            o->levels[o->n_levels++] = bits;
    }
}

static void read_flag(struct options *o, const char *flag)
{
    if (strcmp(flag, "--quick") == 0) {
        read_shapes(o, "512x512,512x2048,2048x512");
        read_rows(o, "1,4,20,200");
        o->samples = 5;
        o->sample_ms = 4;
    } else if (strcmp(flag, "--full") == 0) {
        read_shapes(o, ALL_SHAPES);
        read_rows(o, ALL_ROWS);
        read_levels(o, ALL_LEVELS);
    } else if (strcmp(flag, "--no-rotate") == 0) {
        o->rotate = false;
    } else {
        usage(flag);
    }
}

static bool read_pair(struct options *o, const char *name, const char *value)
{
    if (strcmp(name, "--shapes") == 0)
        read_shapes(o, value);
    else if (strcmp(name, "--rows") == 0)
        read_rows(o, value);
    else if (strcmp(name, "--levels") == 0)
        read_levels(o, value);
    else if (strcmp(name, "--samples") == 0)
        o->samples = number(pn_str(value), MAX_SAMPLES);
    else if (strcmp(name, "--precision") == 0) {
        o->int8 = strcmp(value, "int8") == 0;
        o->f32 = strcmp(value, "f32") == 0;
    } else {
        return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    struct options o = { .int8 = true, .f32 = true, .rotate = true, .samples = 9, .sample_ms = 10 };
    read_shapes(&o, "512x512,512x1536,512x2048,2048x512");
    read_rows(&o, "1,4,20,200,1500");
    read_levels(&o, "avx2,avx512,vnni,neon,dotprod");
    for (int i = 1; i < argc; i++) {
        if (i + 1 < argc && read_pair(&o, argv[i], argv[i + 1]))
            i++;
        else
            read_flag(&o, argv[i]);
    }
    pin();
    printf("levels of this CPU: up to %s; oneDNN %s\n", pn_cpu_name(pn_cpu_detect()),
           bench_onednn_version() ? bench_onednn_version() : "not in this build");
    struct bench_machine machine = bench_machine_measure();
    if (o.int8)
        bench_precision(&o, PN_INT8, machine.int8_gops);
    if (o.f32)
        bench_precision(&o, PN_F32, machine.f32_gflops);
    return 0;
}
