/* ort.h - ONNX Runtime as a child process (paraformer_ort.js), which measures the layer stack of a large
 * Paraformer when it is told to and waits in between. */
#ifndef PN_BENCH_ORT_H
#define PN_BENCH_ORT_H

struct bench_ort;

struct bench_ort_case {
    int batch, rows, tokens; /* rows of 60 ms and tokens of each */
};

/* `folder` as paraformer_prepare.sh leaves it. NULL when it cannot run, said once on stderr. */
struct bench_ort *bench_ort_open(const char *folder, int threads);
struct bench_ort *bench_ort_close(struct bench_ort *o); /* accepts NULL, returns NULL */
const char *bench_ort_version(const struct bench_ort *o);
double bench_ort_load_ms(const struct bench_ort *o);
double bench_ort_resident_mb(const struct bench_ort *o); /* after the last run */
/* Milliseconds of `n` runs, of CPU time with one thread, by the wall with several. */
void bench_ort_run(struct bench_ort *o, struct bench_ort_case c, int n, double *ret_ms);

#endif
