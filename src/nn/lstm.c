/* lstm.c - see lstm.h. The inputs' share of the gates is one product for a block of rows; the state's is one
 * a step. */
#include "nn/lstm.h"

#include <string.h>

enum { ROW_BLOCK = 48 };

static size_t gates_size(const struct pn_lstm *l)
{
    return pn_round_up((size_t)ROW_BLOCK * (size_t)l->input.n * sizeof(float), 64);
}

size_t pn_lstm_scratch(const struct pn_lstm *l)
{
    size_t input = pn_linear_scratch(&l->input, ROW_BLOCK), step = pn_linear_scratch(&l->recurrent, 1);
    return gates_size(l) + PN_MAX(input, step);
}

static void step(const struct pn_lstm *l, const struct pn_lstm_run *r, int t, float *gates, void *scratch)
{
    size_t hidden = (size_t)l->recurrent.k;
    pn_linear(&l->recurrent, 1, r->h, hidden, gates, 4 * hidden, PN_ADD, scratch);
    pn_kern()->lstm_cell(hidden, gates, r->c, r->h);
    if (r->y)
        memcpy(r->y + (size_t)t * r->ldy, r->h, hidden * sizeof(float));
}

/* Rows [from, from + m), in the run's direction. */
static void block(const struct pn_lstm *l, const struct pn_lstm_run *r, int from, int m, float *gates,
                  void *scratch)
{
    size_t width = (size_t)l->input.n;
    pn_linear(&l->input, m, r->x + (size_t)from * r->ldx, r->ldx, gates, width, PN_STORE, scratch);
    for (int i = 0; i < m; i++) {
        int row = r->reversed ? m - 1 - i : i;
        step(l, r, from + row, gates + (size_t)row * width, scratch);
    }
}

void pn_lstm(const struct pn_lstm *l, const struct pn_lstm_run *r, void *scratch)
{
    void *products = (char *)scratch + gates_size(l);
    for (int done = 0; done < r->m; done += ROW_BLOCK) {
        int m = PN_MIN(ROW_BLOCK, r->m - done);
        block(l, r, r->reversed ? r->m - done - m : done, m, scratch, products);
    }
}
