/* check_linear.c - products and row quantisation: each level against C, and the promise that a row's result
 * depends on nothing but the row. */
#include "check.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- quantize_row ---- */

enum row_kind {
    ROW_RANDOM,
    ROW_ZERO,
    ROW_NAN,
    ROW_INF,
    ROW_NEGATIVE,
    ROW_POSITIVE,
    ROW_TINY,
    ROW_HUGE,
    ROWS
};

static void fill_row(struct pn_check *c, enum row_kind kind, float *x, int k)
{
    const float scales[ROWS] = { 3, 0, 1, 1, -1, 1, 1e-37f, 1.7e38f };
    for (int i = 0; i < k; i++) {
        float v = pn_check_float(c);
        x[i] = scales[kind] * (kind == ROW_NEGATIVE || kind == ROW_POSITIVE ? fabsf(v) : v);
    }
    if (kind == ROW_NAN)
        x[pn_check_int(c, 0, k - 1)] = NAN;
    if (kind == ROW_INF)
        x[pn_check_int(c, 0, k - 1)] = pn_check_int(c, 0, 1) ? INFINITY : -INFINITY;
}

static bool same_scale(struct pn_quant_row a, struct pn_quant_row b)
{
    return a.zero == b.zero && (a.scale == b.scale || (isnan(a.scale) && isnan(b.scale)));
}

/* What quantize_row is for: a number comes back within half a step, and zero comes back as zero. */
static bool close_to_row(const float *x, const uint8_t *q, int k, int top, struct pn_quant_row row)
{
    for (int i = 0; i < k; i++)
        if (q[i] > top ||
            fabs((double)x[i] - (double)row.scale * (q[i] - row.zero)) > 1.001 * (double)row.scale)
            return false;
    return row.zero >= 0 && row.zero <= top;
}

static void check_quantize(struct pn_check *c, int k, int top, enum row_kind kind)
{
    size_t k4 = (size_t)(k + 3) / 4 * 4;
    float *x = pn_check_alloc(c, (size_t)k * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    uint8_t *want = pn_check_alloc(c, k4, 0), *got = pn_check_alloc(c, k4, (size_t)pn_check_int(c, 0, 63));
    struct pn_quant_row want_row = { 0 }, got_row = { 0 };
    fill_row(c, kind, x, k);
    c->ref->quantize_row(x, k, top, want, &want_row);
    c->kern->quantize_row(x, k, top, got, &got_row);
    CHECK(c, same_scale(want_row, got_row), "quantize_row k=%d top=%d kind=%d: scale %g zero %d, got %g %d",
          k, top, kind, want_row.scale, want_row.zero, got_row.scale, got_row.zero);
    CHECK(c, memcmp(want, got, k4) == 0, "quantize_row k=%d top=%d kind=%d: bytes differ", k, top, kind);
    bool finite = kind != ROW_NAN && kind != ROW_INF;
    CHECK(c, finite == !isnan(got_row.scale), "quantize_row k=%d top=%d kind=%d: scale %g", k, top, kind,
          got_row.scale);
    if (finite && kind != ROW_TINY)
        CHECK(c, close_to_row(x, got, k, top, got_row), "quantize_row k=%d top=%d kind=%d: far from the row",
              k, top, kind);
    pn_check_release(c, "quantize_row");
}

/* ---- products ---- */

/* Both products in one shape: `item` sizes tell them apart. */
struct product {
    bool int8;
    int parts; /* rows of `a` that add up to one */
    int m, k, n;
    size_t lda, ldy;
    void *a, *w;
    struct pn_quant_row *rows;
    float *w_scale, *bias;
    int32_t *w_sum;
    enum pn_epilogue epilogue;
};

static void call(const struct pn_kern *kern, const struct product *p, int row, int m, int from, int to,
                 float *y)
{
    if (p->int8) {
        struct pn_gemm_u8s8 g = {
            m,
            p->k,
            from,
            to,
            (const uint8_t *)p->a + row * p->parts * (int)p->lda,
            p->lda,
            p->rows + row * p->parts,
            p->w,
            p->w_scale,
            p->w_sum,
            p->bias,
            y + row * p->ldy,
            p->ldy,
            p->epilogue,
            p->parts == 2,
        };
        kern->gemm_u8s8(&g);
    } else {
        struct pn_gemm_f32 g = {
            m,
            p->k,
            from,
            to,
            (const float *)p->a + row * p->lda,
            p->lda,
            p->w,
            p->bias,
            y + row * p->ldy,
            p->ldy,
            p->epilogue,
        };
        kern->gemm_f32(&g);
    }
}

/* Weights as a packed layer may hold them (kern.h): the largest that the rest of their group leaves room for.
 */
enum weight_kind { WEIGHTS_RANDOM, WEIGHTS_UP, WEIGHTS_DOWN, WEIGHTS_ALTERNATE, WEIGHTS_EVEN, WEIGHTS };

static int wanted_weight(struct pn_check *c, enum weight_kind kind, int i)
{
    switch (kind) {
    case WEIGHTS_UP:
        return 127;
    case WEIGHTS_DOWN:
        return -127;
    case WEIGHTS_ALTERNATE:
        return i % 2 ? -127 : 127;
    case WEIGHTS_EVEN:
        return PN_MAX_GROUP / 4 + i % 2;
    case WEIGHTS_RANDOM:
    case WEIGHTS:
        break;
    }
    return pn_check_int(c, -127, 127);
}

/* Column j of the panels. */
static void fill_weights(struct pn_check *c, struct product *p, int j, enum weight_kind kind)
{
    int8_t *w = (int8_t *)p->w + j / 64 * 64 * p->k + j % 64 * 4;
    int up[2] = { 0 }, down[2] = { 0 }; /* what is left for both groups of eight inputs */
    p->w_sum[j] = 0;
    for (int k = 0; k < p->k; k++) {
        if (k % 8 == 0)
            up[0] = up[1] = down[0] = down[1] = PN_MAX_GROUP;
        int group = k % 4 / 2, v = j < p->n ? wanted_weight(c, kind, k) : 0;
        v = PN_MAX(-down[group], PN_MIN(up[group], v));
        up[group] -= PN_MAX(v, 0);
        down[group] += PN_MIN(v, 0);
        w[k / 4 * 256 + k % 4] = (int8_t)v;
        p->w_sum[j] += v;
    }
}

static void fill_activations(struct pn_check *c, const struct product *p, bool extreme)
{
    const int top = c->kern->activation_top;
    for (int i = 0; i < p->m * p->parts; i++) {
        uint8_t *a = (uint8_t *)p->a + i * p->lda;
        p->rows[i] = (struct pn_quant_row){ 0.02f * (1.5f + pn_check_float(c)),
                                            extreme ? top * pn_check_int(c, 0, 1) : pn_check_int(c, 0, top) };
        for (int k = 0; k < p->k; k++)
            a[k] = (uint8_t)(!extreme ? pn_check_int(c, 0, top) : i == 0 ? top : top * pn_check_int(c, 0, 1));
    }
}

static void fill_int8(struct pn_check *c, struct product *p, bool extreme)
{
    size_t padded = (size_t)(p->n + 63) / 64 * 64;
    size_t n_rows = (size_t)(p->m * p->parts), n_a = (n_rows - 1) * p->lda + (size_t)p->k;
    p->a = pn_check_alloc(c, n_a, (size_t)pn_check_int(c, 0, 63));
    p->w = pn_check_alloc(c, padded * (size_t)p->k, 0);
    p->rows = pn_check_alloc(c, n_rows * sizeof(*p->rows), 0);
    p->w_scale = pn_check_alloc(c, padded * sizeof(float), 0);
    p->w_sum = pn_check_alloc(c, padded * sizeof(int32_t), 0);
    fill_activations(c, p, extreme);
    for (int j = 0; j < (int)padded; j++) {
        p->w_scale[j] = 0.001f * (1.5f + pn_check_float(c));
        fill_weights(c, p, j, extreme ? (enum weight_kind)(1 + j % (WEIGHTS - 1)) : WEIGHTS_RANDOM);
    }
}

static void fill_f32(struct pn_check *c, struct product *p)
{
    size_t padded = (size_t)(p->n + 63) / 64 * 64, n_a = (size_t)(p->m - 1) * p->lda + (size_t)p->k;
    p->a = pn_check_alloc(c, n_a * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    p->w = pn_check_alloc(c, padded * (size_t)p->k * sizeof(float), 0);
    pn_check_floats(c, p->a, n_a, 1);
    pn_check_floats(c, p->w, padded * (size_t)p->k, 1);
}

static struct product product(struct pn_check *c, bool int8, int m, int k, int n, bool extreme)
{
    size_t padded = (size_t)(n + 63) / 64 * 64;
    struct product p = { .int8 = int8, .parts = 1, .m = m, .k = k, .n = n };
    p.lda = (size_t)k + (size_t)pn_check_int(c, 0, 70);
    if (!int8 && pn_check_int(c, 0, 3) == 0)
        p.lda = (size_t)(k + 2) / 3; /* rows that overlap, as a convolution's */
    if (int8 && c->kern->activation_top < 255)
        p.parts = pn_check_int(c, 1, 2);
    p.ldy = (size_t)n + (size_t)pn_check_int(c, 0, 20);
    p.epilogue = (enum pn_epilogue)pn_check_int(c, PN_STORE, PN_ADD);
    p.bias = pn_check_alloc(c, padded * sizeof(float), 0);
    pn_check_floats(c, p.bias, padded, 1);
    if (int8)
        fill_int8(c, &p, extreme);
    else
        fill_f32(c, &p);
    return p;
}

/* A result with something in it: what the residual stream holds, and what gaps between rows must keep. */
static float *result(struct pn_check *c, const struct product *p, const float *like)
{
    size_t n = (size_t)(p->m - 1) * p->ldy + (size_t)p->n;
    float *y = pn_check_alloc(c, n * sizeof(float), like ? 4 * (size_t)pn_check_int(c, 0, 15) : 0);
    if (like)
        memcpy(y, like, n * sizeof(float));
    else
        pn_check_floats(c, y, n, 1);
    return y;
}

static const char *name(const struct product *p)
{
    return p->int8 ? "gemm_u8s8" : "gemm_f32";
}

static void check_against_c(struct pn_check *c, const struct product *p, const float *before, float *ret)
{
    size_t n = (size_t)(p->m - 1) * p->ldy + (size_t)p->n;
    float *want = result(c, p, before);
    call(c->ref, p, 0, p->m, 0, p->n, want);
    call(c->kern, p, 0, p->m, 0, p->n, ret);
    /* f32: two orders of summing k products of numbers below 1 */
    double tolerance = p->int8 ? 2e-6 : 2e-6 + 4e-7 * p->k;
    CHECK(c, pn_check_close(c, want, ret, n, tolerance), "%s m=%d k=%d n=%d lda=%zu epilogue=%d", name(p),
          p->m, p->k, p->n, p->lda, p->epilogue);
}

/* The same product in pieces of rows and of panels must give the same bits. */
static void check_pieces(struct pn_check *c, const struct product *p, const float *before, const float *whole)
{
    size_t n = (size_t)(p->m - 1) * p->ldy + (size_t)p->n;
    float *y = result(c, p, before);
    for (int row = 0, m; row < p->m; row += m) {
        m = pn_check_int(c, 1, PN_MIN(p->m - row, 30));
        for (int from = 0, to; from < p->n; from = to) {
            to = from + 64 * pn_check_int(c, 1, 3);
            to = PN_MIN(p->n, to);
            call(c->kern, p, row, m, from, to, y);
        }
    }
    CHECK(c, memcmp(y, whole, n * sizeof(float)) == 0, "%s m=%d k=%d n=%d epilogue=%d: pieces differ",
          name(p), p->m, p->k, p->n, p->epilogue);
}

static void check_product(struct pn_check *c, bool int8, int m, int k, int n, bool extreme)
{
    struct product p = product(c, int8, m, k, n, extreme);
    float *before = result(c, &p, NULL), *y = result(c, &p, before);
    check_against_c(c, &p, before, y);
    check_pieces(c, &p, before, y);
    pn_check_release(c, name(&p));
}

void pn_check_linear(struct pn_check *c)
{
    for (int k = 1; k <= 130; k++)
        for (int top = 127; top <= 255; top += 128)
            check_quantize(c, k, top, (enum row_kind)(k % ROWS));
    for (int i = 0; i < 60; i++)
        check_quantize(c, pn_check_int(c, 1, 1600), i % 2 ? 127 : 255, (enum row_kind)(i / 2 % ROWS));
    for (int n = 1; n <= 130; n++) { /* every tail of a panel */
        check_product(c, true, pn_check_int(c, 1, 8), 4 * pn_check_int(c, 1, 9), n, false);
        check_product(c, false, pn_check_int(c, 1, 8), pn_check_int(c, 1, 33), n, false);
    }
    for (int m = 1; m <= 40; m++) { /* every way to deal rows to tiles */
        check_product(c, true, m, 4 * pn_check_int(c, 1, 40), pn_check_int(c, 1, 200), m % 4 == 0);
        check_product(c, false, m, pn_check_int(c, 1, 160), pn_check_int(c, 1, 200), false);
    }
    for (int i = 0; i < 8; i++) /* more of k than a kernel holds at a time, up to several times */
        check_product(c, true, pn_check_int(c, 1, 25), 4 * pn_check_int(c, 500, 1300), 70, i % 2 == 0);
    for (int i = 0; i < 6; i++) { /* more rows than one block has */
        check_product(c, true, pn_check_int(c, 150, 300), 4 * pn_check_int(c, 300, 600), 70, false);
        check_product(c, false, pn_check_int(c, 60, 130), pn_check_int(c, 900, 2100), 70, false);
    }
    check_product(c, true, 2, PN_MAX_K, 65, true); /* the largest sums that can be */
}
