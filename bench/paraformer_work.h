/* paraformer_work.h - how much arithmetic and memory the steps of a Paraformer need, and so what the
 * machine's peaks allow at best. */
#ifndef PN_BENCH_PARAFORMER_WORK_H
#define PN_BENCH_PARAFORMER_WORK_H

#include "machine.h"

#include "nn/precision.h"

/* One step: `batch` utterances or chunks of so many rows of 60 ms and tokens; `cached` are the rows before it
 * that the encoder attends to, too. */
struct bench_paraformer_step {
    int batch, rows, tokens, cached;
};

/* The published large model: products with weights at the precision's peak, attention and the predictor's
 * convolution at f32's; or reading all weights once, if that takes longer. Norms, softmax, features free. */
double bench_paraformer_limit_ms(struct bench_paraformer_step s, enum pn_precision p,
                                 const struct bench_machine *m, int threads);

#endif
