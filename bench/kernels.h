/* kernels.h - what the parts of the kernel benchmark share: one product to be timed, and the peaks. */
#ifndef PN_BENCH_KERNELS_H
#define PN_BENCH_KERNELS_H

#include "base/attr.h"
#include "nn/precision.h"

#include <stdbool.h>
#include <stddef.h>

struct bench_shape {
    int k, n;
};

/* One side of a comparison: multiplies `m` rows by the `i`-th of its copies of the weights. */
struct bench_side {
    void (*run)(void *ctx, int i);
    void *ctx;
};

/* Memory for weights: on 2 MB pages where the system gives them. Ends the program when there is none. */
void *bench_alloc(size_t size);
void bench_free(void *p, size_t size);

/* CPU time of this process in seconds. */
double bench_cpu_time(void);

/* Peaks of one core in 10^9 operations a second (a multiply-add is two), 0 where the CPU lacks them. */
double bench_peak(enum pn_precision p);

/* oneDNN's inner product with weights in the layout that it asks for. NULL when it is not in the build or
 * refuses. */
struct bench_onednn;
const char *bench_onednn_version(void); /* NULL: not in this build */
struct bench_onednn *bench_onednn_new(enum pn_precision p, struct bench_shape s, int m, int copies);
void bench_onednn_run(void *onednn, int i);
void bench_onednn_free(struct bench_onednn *d);

#endif
