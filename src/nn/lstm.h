/* lstm.h - one layer of long short-term memory over a sequence, on the calling thread.
 *
 * Gates as in PyTorch: input, forget, cell, output, stacked in this order over the outputs of both layers:
 * `input` is W_ih with b_ih, `recurrent` W_hh with b_hh, each packed by pn_linear_pack(). */
#ifndef PN_NN_LSTM_H
#define PN_NN_LSTM_H

#include "nn/linear.h"

#include <stdbool.h>

struct pn_lstm {
    struct pn_linear input;     /* 4 hidden x inputs */
    struct pn_linear recurrent; /* 4 hidden x hidden */
};

/* A sequence and its state; c and h hold `hidden` numbers each. */
struct pn_lstm_run {
    int m;          /* steps, 0 allowed */
    bool reversed;  /* from the last row to the first */
    const float *x; /* [m][ldx] */
    size_t ldx;
    float *h, *c; /* state before the first step; after the last when it returns */
    float *y;     /* [m][ldy] outputs, row t for input t; NULL: only the state is wanted */
    size_t ldy;
};

/* Bytes of scratch for any number of steps, 64-byte aligned. */
size_t pn_lstm_scratch(const struct pn_lstm *l);
void pn_lstm(const struct pn_lstm *l, const struct pn_lstm_run *r, void *scratch);

#endif
