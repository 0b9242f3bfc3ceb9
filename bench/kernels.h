/* kernels.h - what the parts of the kernel benchmark share: one product to be timed, and the other side. */
#ifndef PN_BENCH_KERNELS_H
#define PN_BENCH_KERNELS_H

#include "base/attr.h"
#include "nn/precision.h"

struct bench_shape {
    int k, n;
};

/* One side of a comparison: multiplies `m` rows by the `i`-th of its copies of the weights. */
struct bench_side {
    void (*run)(void *ctx, int i);
    void *ctx;
};

/* oneDNN's inner product with weights in the layout that it asks for. NULL when it is not in the build or
 * refuses. */
struct bench_onednn;
const char *bench_onednn_version(void); /* NULL: not in this build */
struct bench_onednn *bench_onednn_new(enum pn_precision p, struct bench_shape s, int m, int copies);
void bench_onednn_run(void *onednn, int i);
void bench_onednn_free(struct bench_onednn *d);

#endif
