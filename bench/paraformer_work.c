/* paraformer_work.c - operation counts by the published sizes; one multiply-add is two operations. */
#include "paraformer_work.h"

#include <math.h>

static const double INPUT = 560, SIZE = 512, FEED = 2048, BLOCKS = 50, LAYERS = 16, VOCABULARY = 8404;

/* Weights that a row passes: the blocks and the decoder's keys and values. */
static double row_weights(void)
{
    double block = SIZE * 3 * SIZE + SIZE * SIZE + 2 * SIZE * FEED;
    return BLOCKS * block + (INPUT - SIZE) * 3 * SIZE + LAYERS * 2 * SIZE * SIZE;
}

/* The last feed-forward has no attention. */
static double token_weights(void)
{
    return (LAYERS + 1) * 2 * SIZE * FEED + LAYERS * 2 * SIZE * SIZE + VOCABULARY * SIZE;
}

double bench_paraformer_limit_ms(struct bench_paraformer_step s, enum pn_precision p,
                                 const struct bench_machine *m, int threads)
{
    double b = s.batch, rows = s.rows, tokens = s.tokens;
    double linear = 2 * b * (rows * row_weights() + tokens * token_weights());
    double conv = 2 * b * rows * 3 * SIZE * SIZE;
    double attention = 4 * b * SIZE * (BLOCKS * rows * (rows + s.cached) + LAYERS * tokens * rows);
    double compute =
        linear / (p == PN_INT8 ? m->int8_gops : m->f32_gflops) + (conv + attention) / m->f32_gflops;
    double read = (p == PN_INT8 ? 1 : 4) * (row_weights() + token_weights()) / m->read_gbps;
    return fmax(compute, read) / 1e6 / threads;
}
