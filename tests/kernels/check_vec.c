/* check_vec.c - rows of numbers: each level against C (and C against double), all tail lengths, and entries
 * that are -inf, which the decoder's filters leave in most places. */
#include "check.h"

#include <math.h>
#include <string.h>

static float *numbers(struct pn_check *c, size_t n, float scale)
{
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

static float *copy(struct pn_check *c, const float *x, size_t n)
{
    float *y = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    memcpy(y, x, n * sizeof(float));
    return y;
}

static void check_layer_norm(struct pn_check *c, int m, int n, float offset)
{
    float eps = n % 2 ? 1e-5f : 1e-12f;
    size_t ldx = (size_t)n + (size_t)pn_check_int(c, 0, 9), ldy = (size_t)n + (size_t)pn_check_int(c, 0, 9);
    size_t rows = (size_t)m;
    float *x = numbers(c, rows * ldx, 3), *gamma = numbers(c, (size_t)n, 2), *beta = numbers(c, (size_t)n, 1);
    for (size_t i = 0; i < rows * ldx; i++)
        x[i] += offset;
    float *want = numbers(c, rows * ldy, 1), *got = copy(c, want, rows * ldy),
          *in_place = copy(c, x, rows * ldx);
    c->ref->layer_norm(m, n, x, ldx, gamma, beta, eps, want, ldy);
    c->kern->layer_norm(m, n, x, ldx, gamma, beta, eps, got, ldy);
    c->kern->layer_norm(m, n, in_place, ldx, gamma, beta, eps, in_place, ldx);
    CHECK(c, pn_check_close(c, want, got, rows * ldy, 1e-5 + 1e-6 * fabs((double)offset)),
          "layer_norm m=%d n=%d offset=%g", m, n, (double)offset);
    for (size_t i = 0; i < rows; i++)
        CHECK(c, memcmp(got + i * ldy, in_place + i * ldx, (size_t)n * sizeof(float)) == 0,
              "layer_norm in place m=%d n=%d", m, n);
    float *alone = numbers(c, (size_t)n, 1);
    c->kern->layer_norm(1, n, x + (rows - 1) * ldx, ldx, gamma, beta, eps, alone, ldy);
    CHECK(c, memcmp(alone, got + (rows - 1) * ldy, (size_t)n * sizeof(float)) == 0,
          "layer_norm of one row n=%d", n);
    pn_check_release(c, "layer_norm");
}

/* The variance is 0, or what rounding the mean left of it: the result is beta, or close to it. */
static void check_constant_rows(struct pn_check *c)
{
    const float values[] = { 0, 1, -3, 0.1f, 1e-20f };
    const int n = 67;
    float *x = numbers(c, (size_t)n, 1), *y = numbers(c, (size_t)n, 1);
    float *gamma = numbers(c, (size_t)n, 1), *beta = numbers(c, (size_t)n, 1);
    for (size_t v = 0; v < PN_ARRAY_LEN(values); v++) {
        for (int i = 0; i < n; i++)
            x[i] = values[v];
        c->kern->layer_norm(1, n, x, (size_t)n, gamma, beta, 1e-12f, y, (size_t)n);
        float worst = 0;
        for (int i = 0; i < n; i++)
            worst = fmaxf(worst, isfinite(y[i]) ? fabsf(y[i] - beta[i]) : INFINITY);
        CHECK(c, worst <= 1, "layer_norm of %g everywhere: off by %g", (double)values[v], (double)worst);
    }
    pn_check_release(c, "layer_norm of one value");
}

static void check_gelu(struct pn_check *c, size_t n)
{
    float *x = numbers(c, n, 8), *got;
    if (n > 2) {
        x[0] = 0;
        x[1] = -100;
        x[2] = 100;
    }
    got = copy(c, x, n);
    c->kern->gelu(got, n);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double want = 0.5 * (double)x[i] * (1 + erf((double)x[i] * M_SQRT1_2));
        worst = fmax(worst, fabs(want - (double)got[i]) - 6e-8 * fabs((double)x[i]));
    }
    CHECK(c, worst < 1e-6, "gelu n=%zu: off by %g", n, worst);
    pn_check_release(c, "gelu");
}

/* Part of the entries, but not the one at `keep`, become -inf. */
static void hide(struct pn_check *c, float *x, size_t n, size_t keep, int of_four)
{
    for (size_t i = 0; i < n; i++)
        if (i != keep && pn_check_int(c, 0, 3) < of_four)
            x[i] = -INFINITY;
}

static void check_softmax(struct pn_check *c, size_t n, float scale, int hidden)
{
    float *x = numbers(c, n, scale);
    hide(c, x, n, (size_t)pn_check_int(c, 0, (int)n - 1), hidden);
    float *want = copy(c, x, n), *got = copy(c, x, n);
    c->ref->softmax(want, n);
    c->kern->softmax(got, n);
    double sum = 0;
    bool zeros = true;
    for (size_t i = 0; i < n; i++) {
        sum += (double)got[i];
        zeros = zeros && (x[i] != -INFINITY || got[i] == 0);
    }
    CHECK(c, pn_check_close(c, want, got, n, 1e-6), "softmax n=%zu scale=%g", n, (double)scale);
    CHECK(c, fabs(sum - 1) < 1e-5 && zeros, "softmax n=%zu: sum %.9g", n, sum);
    pn_check_release(c, "softmax");
}

static void check_logsumexp(struct pn_check *c, size_t n, int hidden)
{
    float *x = numbers(c, n, 20);
    hide(c, x, n, hidden == 4 ? n : n / 2, hidden);
    double sum = 0;
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) {
        sum += exp((double)x[i]);
        max = fmaxf(max, x[i]);
    }
    float want = (float)log(sum), got = c->kern->logsumexp(x, n), top = c->kern->max(x, n);
    CHECK(c, pn_check_close(c, &want, &got, 1, 2e-6), "logsumexp n=%zu hidden=%d: %g not %g", n, hidden,
          (double)got, (double)want);
    CHECK(c, top == max, "max n=%zu hidden=%d: %g not %g", n, hidden, (double)top, (double)max);
    pn_check_release(c, "logsumexp");
}

static void check_add(struct pn_check *c, size_t n)
{
    float *x = numbers(c, n, 1), *want = numbers(c, n, 1), *got = copy(c, want, n);
    c->ref->add(want, x, n);
    c->kern->add(got, x, n);
    CHECK(c, memcmp(want, got, n * sizeof(float)) == 0, "add n=%zu", n);
    pn_check_release(c, "add");
}

/* Through double, as the format is defined; -0 and NaN aside. */
static double nearest_half(double x)
{
    double step = x == 0 ? 1 : ldexp(1, PN_MAX(ilogb(x), -14) - 10), r = nearbyint(x / step) * step;
    return fabs(r) > 65504 ? copysign(INFINITY, x) : r;
}

static void check_halves(struct pn_check *c, size_t n, float scale)
{
    float *x = numbers(c, n, scale), *back = numbers(c, n, 1);
    uint16_t *h = pn_check_alloc(c, n * sizeof(*h), 2 * (size_t)pn_check_int(c, 0, 15));
    c->kern->to_half(x, h, n);
    c->kern->from_half(h, back, n);
    bool right = true;
    for (size_t i = 0; i < n; i++)
        right = right && (double)back[i] == nearest_half((double)x[i]) && signbit(back[i]) == signbit(x[i]);
    CHECK(c, right, "halves n=%zu scale=%g", n, (double)scale);
    pn_check_release(c, "halves");
}

/* There and back again; what is not a number becomes quiet. Ties go to even. */
static void check_all_halves(struct pn_check *c)
{
    enum { ALL = 1 << 16 };
    uint16_t *h = pn_check_alloc(c, ALL * sizeof(*h), 2), *got = pn_check_alloc(c, ALL * sizeof(*h), 6);
    float *x = pn_check_alloc(c, ALL * sizeof(*x), 4);
    for (int i = 0; i < ALL; i++)
        h[i] = (uint16_t)i;
    c->kern->from_half(h, x, ALL);
    c->kern->to_half(x, got, ALL);
    int wrong = 0;
    for (int i = 0; i < ALL; i++)
        wrong += got[i] != (isnan(x[i]) ? h[i] | 0x200 : h[i]);
    CHECK(c, wrong == 0, "%d halves do not come back", wrong);
    wrong = 0;
    for (int i = 0; i < 0x7bff; i++)
        x[i] = (x[i] + x[i + 1]) / 2;
    c->kern->to_half(x, got, 0x7bff);
    for (int i = 0; i < 0x7bff; i++)
        wrong += got[i] != (i + 1) / 2 * 2;
    CHECK(c, wrong == 0, "%d ties do not go to even", wrong);
    pn_check_release(c, "all halves");
}

static void check_length(struct pn_check *c, size_t n)
{
    check_layer_norm(c, pn_check_int(c, 1, 4), (int)n, 0);
    check_gelu(c, n);
    check_softmax(c, n, 5, 0);
    check_softmax(c, n, 200, 2);
    check_softmax(c, n, 1, 3);
    for (int hidden = 0; hidden <= 4; hidden += 2)
        check_logsumexp(c, n, hidden);
    check_add(c, n);
    check_halves(c, n, n % 3 == 0 ? 1e-5f : n % 3 == 1 ? 3 : 1e5f);
}

void pn_check_vec(struct pn_check *c)
{
    const size_t long_ones[] = { 384, 512, 768, 1280, 1500, 5120, 51865 };
    for (size_t n = 1; n <= 130; n++) /* every tail of every vector width */
        check_length(c, n);
    for (size_t i = 0; i < PN_ARRAY_LEN(long_ones); i++)
        check_length(c, long_ones[i]);
    check_layer_norm(c, 3, 512, 300); /* a residual stream far from zero */
    check_constant_rows(c);
    check_gelu(c, 100000);
    check_all_halves(c);
    CHECK(c, c->kern->max(NULL, 0) == -INFINITY, "max of nothing");
}
