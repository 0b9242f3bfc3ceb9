/* check_sequence.c - memory blocks and LSTM cells: close to the same in double, a row's result the same bits
 * whatever is computed with it. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static float *numbers(struct pn_check *c, size_t n, float scale)
{
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

/* ---- memory ---- */

static double exact_memory(const struct pn_memory *a, int t, int channel, double old)
{
    double sum = old + (double)a->x[(ptrdiff_t)t * (ptrdiff_t)a->ldx + channel];
    for (int j = 0; j < a->taps; j++) {
        int row = t + j - a->left;
        if (row >= -a->before && row < a->m + a->after)
            sum +=
                (double)a->w[j * a->n + channel] * (double)a->x[(ptrdiff_t)row * (ptrdiff_t)a->ldx + channel];
    }
    return sum;
}

/* Row t as the only one: all others are before or after it. */
static void check_memory_alone(struct pn_check *c, const struct pn_memory *a, const float *old,
                               const char *name)
{
    float *y = pn_check_alloc(c, (size_t)a->n * sizeof(float), 4);
    for (int t = 0; t < a->m; t++) {
        struct pn_memory one = *a;
        one.m = 1;
        one.before = a->before + t;
        one.after = a->after + a->m - 1 - t;
        one.x = a->x + (size_t)t * a->ldx;
        one.y = y;
        memcpy(y, old + (size_t)t * a->ldy, (size_t)a->n * sizeof(float));
        c->kern->memory(&one);
        CHECK(c, memcmp(y, a->y + (size_t)t * a->ldy, (size_t)a->n * sizeof(float)) == 0, "%s: row %d alone",
              name, t);
    }
}

static void check_memory(struct pn_check *c, int m, int n, int taps, int left, int before, int after)
{
    char name[96];
    snprintf(name, sizeof(name), "memory m=%d n=%d taps=%d left=%d before=%d after=%d", m, n, taps, left,
             before, after);
    struct pn_memory a = { .m = m, .n = n, .taps = taps, .left = left, .before = before, .after = after };
    a.ldx = (size_t)n + (size_t)pn_check_int(c, 0, 9);
    a.ldy = (size_t)n + (size_t)pn_check_int(c, 0, 9);
    a.x = numbers(c, (size_t)(before + m + after - 1) * a.ldx + (size_t)n, 2) + (size_t)before * a.ldx;
    a.w = numbers(c, (size_t)taps * (size_t)n, 1);
    size_t size = (size_t)(m - 1) * a.ldy + (size_t)n;
    float *old = numbers(c, size, 1);
    a.y = numbers(c, size, 1);
    memcpy(a.y, old, size * sizeof(float));
    c->kern->memory(&a);
    double worst = 0;
    bool kept = true;
    for (size_t i = 0; i < size; i++) {
        int t = (int)(i / a.ldy), channel = (int)(i % a.ldy);
        if (channel < n)
            worst = fmax(worst, fabs(exact_memory(&a, t, channel, (double)old[i]) - (double)a.y[i]));
        else
            kept = kept && a.y[i] == old[i];
    }
    CHECK(c, worst < 2e-6 * (taps + 4), "%s: off by %g", name, worst);
    CHECK(c, kept, "%s: wrote between rows", name);
    check_memory_alone(c, &a, old, name);
    pn_check_release(c, name);
}

static void check_memories(struct pn_check *c)
{
    for (int n = 1; n <= 70; n++) {
        int taps = pn_check_int(c, 1, 20);
        check_memory(c, pn_check_int(c, 1, 30), n, taps, pn_check_int(c, 0, taps - 1), pn_check_int(c, 0, 12),
                     pn_check_int(c, 0, 12));
    }
    for (int m = 1; m <= 40; m++) /* shorter than the taps, and every remainder of every block of rows */
        check_memory(c, m, 24 + m % 9, 11, 5, 0, 0);
    check_memory(c, 15, 512, 11, 5, 10, 5);
    check_memory(c, 15, 512, 11, 10, 3, 0);
    check_memory(c, 130, 512, 11, 5, 0, 0);
    check_memory(c, 9, 320, PN_MAX_TAPS, 40, 2, 60);
    check_memory(c, 4, 33, 7, 0, 0, 2);
    check_memory(c, 4, 33, 7, 6, 9, 0);
    check_memory(c, 5, 40, 1, 0, 0, 0);
}

/* ---- cells ---- */

static double sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static void check_cells(struct pn_check *c, size_t n, float scale)
{
    float *gates = numbers(c, 4 * n, scale), *cell = numbers(c, n, scale), *h = numbers(c, n, 1);
    float *old = numbers(c, n, 1);
    const float extremes[] = { 0, -0.0f, 1e30f, -1e30f, INFINITY, -INFINITY, 1e-30f, 100, -100 };
    for (size_t i = 0; i < PN_ARRAY_LEN(extremes) && n > 30; i++) {
        gates[i] = gates[n + i + 1] = gates[3 * n + i + 2] = extremes[i];
        gates[2 * n + i + 3] = extremes[i];
    }
    memcpy(old, cell, n * sizeof(float));
    c->kern->lstm_cell(n, gates, cell, h);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double in = sigmoid((double)gates[i]), forget = sigmoid((double)gates[n + i]);
        double want = forget * (double)old[i] + in * tanh((double)gates[2 * n + i]);
        double out = sigmoid((double)gates[3 * n + i]) * tanh((double)cell[i]);
        worst = fmax(worst, fabs(want - (double)cell[i]) / fmax(1, fabs((double)old[i])));
        worst = fmax(worst, fabs(out - (double)h[i]));
        if (!isfinite(cell[i]) || !isfinite(h[i]))
            worst = INFINITY;
    }
    CHECK(c, worst < 1e-6, "lstm_cell n=%zu scale=%g: off by %g", n, (double)scale, worst);
    pn_check_release(c, "lstm_cell");
}

void pn_check_sequence(struct pn_check *c)
{
    check_memories(c);
    for (size_t n = 1; n <= 70; n++)
        check_cells(c, n, n % 2 ? 2 : 30);
    check_cells(c, 512, 1);
    check_cells(c, 20000, 10);
}
