/* head.c - see head.h. */
#include "asr/paraformer/head.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct directions {
    const struct pn_paraformer *p;
    const float *up; /* [steps][size] */
    int steps;
    float *out;    /* [steps][2 size]: forward, backward */
    float *state;  /* [2][h, c][size] zeros */
    char *scratch; /* two of them */
    size_t scratch_size;
};

static void run_direction(void *ctx, int i, int thread)
{
    (void)thread;
    const struct directions *d = ctx;
    const size_t size = (size_t)d->p->encoder.size;
    const struct pn_lstm_run run = { .m = d->steps,
                                     .reversed = i == 1,
                                     .x = d->up,
                                     .ldx = size,
                                     .h = d->state + 2 * (size_t)i * size,
                                     .c = d->state + (2 * (size_t)i + 1) * size,
                                     .y = d->out + (size_t)i * size,
                                     .ldy = 2 * size };
    pn_lstm(i == 1 ? &d->p->head.backward : &d->p->head.forward, &run,
            d->scratch + (size_t)i * d->scratch_size);
}

/* Sigmoids of the outputs, scaled so that they sum up to the number of tokens. */
static void weigh(const struct directions *d, int tokens, float *alpha)
{
    const struct pn_pf_head *head = &d->p->head;
    const size_t width = 2 * (size_t)d->p->encoder.size;
    double sum = 0;
    for (int t = 0; t < d->steps; t++) {
        double z = (double)head->bias[0];
        for (size_t i = 0; i < width; i++)
            z += (double)(d->out[(size_t)t * width + i] * head->weight[i]);
        alpha[t] = (float)fmax(d->p->dims.smooth2 / (1 + exp(-z)) - d->p->dims.noise2, 0);
        sum += (double)alpha[t];
    }
    for (int t = 0; t < d->steps && sum > 0; t++)
        alpha[t] = (float)((double)alpha[t] * tokens / sum);
}

int pn_pf_head_run(const struct pn_paraformer *p, struct pn_pool *pool, const float *x, int rows, int tokens,
                   float *alpha)
{
    const size_t size = (size_t)p->encoder.size, steps = (size_t)rows * (size_t)p->dims.upsample;
    const size_t linear = pn_linear_scratch(&p->head.up, rows);
    struct directions d = { .p = p, .steps = (int)steps };
    d.scratch_size =
        pn_round_up(PN_MAX(pn_lstm_scratch(&p->head.forward), pn_lstm_scratch(&p->head.backward)), 64);
    void *scratch = NULL;
    float *up = malloc(steps * size * sizeof(*up));
    d.out = malloc(steps * 2 * size * sizeof(*d.out));
    d.state = calloc(4 * size, sizeof(*d.state));
    int r = posix_memalign(&scratch, 64, PN_MAX(linear, 2 * d.scratch_size)) == 0 && up && d.out && d.state
                ? 0
                : -PN_ENOMEM;
    if (r == 0) {
        pn_linear_pool(pool, &p->head.up, rows, x, (size_t)pn_sanm_ld(&p->encoder), up,
                       (size_t)p->dims.upsample * size, PN_STORE, scratch);
        d.up = up;
        d.scratch = scratch;
        pn_pool_run(pool, 2, run_direction, &d);
        weigh(&d, tokens, alpha);
    }
    free(scratch);
    free(up);
    free(d.out);
    free(d.state);
    return r;
}
