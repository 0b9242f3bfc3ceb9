/* check_lstm.c - an LSTM layer against the recurrence in double, both ways, and in pieces as in one. */
#include "check.h"

#include "nn/lstm.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct layer {
    int inputs, hidden;
    float *w_ih, *w_hh, *b_ih, *b_hh;
    struct pn_lstm packed;
    void *scratch;
};

static float *numbers(struct pn_check *c, int rows, int cols, float scale)
{
    size_t n = (size_t)rows * (size_t)cols;
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

static struct pn_linear packed(struct pn_check *c, enum pn_precision p, int n, int k, const float *w,
                               const float *bias)
{
    void *block = pn_check_alloc(c, pn_linear_packed_size(p, n, k), 0);
    pn_linear_pack(p, n, k, w, bias, block);
    return pn_linear_view(p, n, k, block);
}

static struct layer layer(struct pn_check *c, enum pn_precision p, int inputs, int hidden)
{
    struct layer l = { .inputs = inputs, .hidden = hidden };
    l.w_ih = numbers(c, 4 * hidden, inputs, 0.4f);
    l.w_hh = numbers(c, 4 * hidden, hidden, 0.3f);
    l.b_ih = numbers(c, 4, hidden, 1);
    l.b_hh = numbers(c, 4, hidden, 1);
    l.packed = (struct pn_lstm){ packed(c, p, 4 * hidden, inputs, l.w_ih, l.b_ih),
                                 packed(c, p, 4 * hidden, hidden, l.w_hh, l.b_hh) };
    l.scratch = pn_check_alloc(c, pn_lstm_scratch(&l.packed), 0);
    return l;
}

static double gate(const struct layer *l, int j, const float *x, const double *h)
{
    double sum = (double)l->b_ih[j] + (double)l->b_hh[j];
    for (int i = 0; i < l->inputs; i++)
        sum += (double)l->w_ih[j * l->inputs + i] * (double)x[i];
    for (int i = 0; i < l->hidden; i++)
        sum += (double)l->w_hh[j * l->hidden + i] * h[i];
    return sum;
}

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void exact_step(const struct layer *l, const float *x, double *h, double *c)
{
    double old[128];
    int n = l->hidden;
    memcpy(old, h, (size_t)n * sizeof(*h));
    for (int i = 0; i < n; i++) {
        double in = sigmoid(gate(l, i, x, old)), forget = sigmoid(gate(l, n + i, x, old));
        c[i] = forget * c[i] + in * tanh(gate(l, 2 * n + i, x, old));
        h[i] = sigmoid(gate(l, 3 * n + i, x, old)) * tanh(c[i]);
    }
}

/* Largest difference of y, the state included, from the recurrence in double, begun with `state` (h, c). */
static double difference(const struct layer *l, const struct pn_lstm_run *r, const float *state)
{
    double h[128], c[128], worst = 0;
    for (int i = 0; i < l->hidden; i++) {
        h[i] = (double)state[i];
        c[i] = (double)state[l->hidden + i];
    }
    for (int i = 0; i < r->m; i++) {
        size_t t = (size_t)(r->reversed ? r->m - 1 - i : i);
        exact_step(l, r->x + t * r->ldx, h, c);
        for (int j = 0; j < l->hidden; j++)
            worst = fmax(worst, fabs(h[j] - (double)r->y[t * r->ldy + (size_t)j]));
    }
    for (int i = 0; i < l->hidden; i++)
        worst = fmax(worst, fmax(fabs(h[i] - (double)r->h[i]), fabs(c[i] - (double)r->c[i])));
    return worst;
}

/* In two calls, the first without outputs: the same state. */
static void check_pieces(struct pn_check *c, const struct layer *l, const struct pn_lstm_run *whole,
                         const float *state)
{
    int n = l->hidden, first = whole->m / 3;
    size_t size = (size_t)n * sizeof(float);
    float *h = numbers(c, 1, n, 1), *cell = numbers(c, 1, n, 1);
    memcpy(h, state, size);
    memcpy(cell, state + n, size);
    for (int piece = 0; piece < 2; piece++) {
        int from = piece ? first : 0, m = piece ? whole->m - first : first;
        size_t row = (size_t)(whole->reversed ? whole->m - from - m : from);
        struct pn_lstm_run r = {
            m, whole->reversed, whole->x + row * whole->ldx, whole->ldx, h, cell, NULL, 0
        };
        pn_lstm(&l->packed, &r, l->scratch);
    }
    CHECK(c, memcmp(h, whole->h, size) == 0 && memcmp(cell, whole->c, size) == 0, "lstm m=%d in pieces",
          whole->m);
}

static void check_run(struct pn_check *c, enum pn_precision p, int m, int inputs, int hidden, bool reversed)
{
    struct layer l = layer(c, p, inputs, hidden);
    struct pn_lstm_run r = { .m = m, .reversed = reversed };
    r.ldx = (size_t)inputs + (size_t)pn_check_int(c, 0, 9);
    r.ldy = (size_t)hidden + (size_t)pn_check_int(c, 0, 9);
    r.x = numbers(c, m, (int)r.ldx, 1);
    r.y = numbers(c, m, (int)r.ldy, 1);
    float *state = numbers(c, 2, hidden, 1);
    r.h = numbers(c, 1, hidden, 1);
    r.c = numbers(c, 1, hidden, 1);
    memcpy(r.h, state, (size_t)hidden * sizeof(float));
    memcpy(r.c, state + hidden, (size_t)hidden * sizeof(float));
    pn_lstm(&l.packed, &r, l.scratch);
    double off = difference(&l, &r, state);
    CHECK(c, off < (p == PN_F32 ? 5e-6 : 0.1), "lstm %s m=%d inputs=%d hidden=%d reversed=%d: off by %g",
          pn_precision_name(p), m, inputs, hidden, reversed, off);
    check_pieces(c, &l, &r, state);
    pn_check_release(c, "lstm");
}

void pn_check_lstm(struct pn_check *c)
{
    const int steps[] = { 1, 2, 17, 47, 48, 49, 150 };
    for (size_t i = 0; i < PN_ARRAY_LEN(steps); i++)
        for (int reversed = 0; reversed < 2; reversed++) {
            check_run(c, PN_F32, steps[i], pn_check_int(c, 1, 70), pn_check_int(c, 1, 70), reversed);
            check_run(c, PN_INT8, steps[i], pn_check_int(c, 1, 70), pn_check_int(c, 1, 70), reversed);
        }
    check_run(c, PN_F32, 20, 128, 128, false);
}
