/* check_layers.c - packed layers: close to the product that they stand for, in pieces as in one, and on a
 * pool as alone, bit for bit. */
#include "check.h"

#include "nn/linear.h"

#include <math.h>
#include <string.h>

struct layer {
    enum pn_precision p;
    int n, k;
    float *w, *bias;
    struct pn_linear packed;
};

static struct layer layer(struct pn_check *c, enum pn_precision p, int n, int k, bool bias)
{
    struct layer l = { .p = p, .n = n, .k = k };
    l.w = pn_check_alloc(c, (size_t)n * (size_t)k * sizeof(float), 4);
    pn_check_floats(c, l.w, (size_t)n * (size_t)k, 0.5f);
    l.bias = bias ? pn_check_alloc(c, (size_t)n * sizeof(float), 4) : NULL;
    if (bias)
        pn_check_floats(c, l.bias, (size_t)n, 1);
    void *block = pn_check_alloc(c, pn_linear_packed_size(p, n, k), 0);
    pn_linear_pack(p, n, k, l.w, l.bias, block);
    l.packed = pn_linear_view(p, n, k, block);
    return l;
}

static void check_pieces(struct pn_check *c, const struct layer *l)
{
    size_t size = pn_linear_packed_size(l->p, l->n, l->k);
    void *block = pn_check_alloc(c, size, 0);
    for (int from = 0, rows; from < l->n; from += rows) {
        rows = 64 * pn_check_int(c, 1, 2);
        rows = PN_MIN(l->n - from, rows);
        pn_linear_pack_rows(l->p, l->n, l->k, from, rows, l->w + from * l->k, l->bias ? l->bias + from : NULL,
                            block);
    }
    CHECK(c, memcmp(block, l->packed.w, size) == 0, "%s n=%d k=%d: packed in pieces", pn_precision_name(l->p),
          l->n, l->k);
}

static void check_rows(struct pn_check *c, const struct layer *l)
{
    float *row = pn_check_alloc(c, (size_t)l->k * sizeof(float), 4);
    for (int j = 0; j < l->n; j += 7) {
        float step = l->p == PN_INT8 ? l->packed.scale[j] : 0;
        pn_linear_row(&l->packed, j, row);
        bool right = true;
        for (int i = 0; i < l->k; i++)
            right = right && fabsf(row[i] - l->w[j * l->k + i]) <= 0.501f * step;
        CHECK(c, right, "%s n=%d k=%d: row %d", pn_precision_name(l->p), l->n, l->k, j);
    }
}

/* What kern.h promises of groups of weights, of which AVX2 adds the products in 16 bits. */
static void check_groups(struct pn_check *c, const struct layer *l)
{
    const int8_t *panels = l->packed.w;
    const int k4 = (l->k + 3) / 4 * 4;
    int worst = 0;
    for (int j = 0; l->p == PN_INT8 && j < l->n; j++) {
        const int8_t *w = panels + j / PN_PANEL * PN_PANEL * k4 + j % PN_PANEL * 4;
        for (int i = 0; i < k4; i += 8)
            for (int h = 0; h < 4; h += 2) {
                int up = 0, down = 0;
                for (int b = 0; b < 4; b++) {
                    int at = i + h + b / 2 * 4 + b % 2, v = at < k4 ? w[at / 4 * PN_PANEL * 4 + at % 4] : 0;
                    up += PN_MAX(v, 0);
                    down += PN_MAX(-v, 0);
                }
                worst = PN_MAX(worst, PN_MAX(up, down));
            }
    }
    CHECK(c, worst <= PN_MAX_GROUP, "n=%d k=%d: a group sums to %d", l->n, l->k, worst);
}

/* x W^T + b in double; the error that int8 may have is bounded by half a step of each factor. */
static void check_values(struct pn_check *c, const struct layer *l, int m, const float *x, const float *y)
{
    double worst = 0, limit = l->p == PN_INT8 ? 0.02 * sqrt(l->k) : 2e-6 * l->k;
    for (int i = 0; i < m; i++)
        for (int j = 0; j < l->n; j++) {
            double sum = l->bias ? l->bias[j] : 0;
            for (int k = 0; k < l->k; k++)
                sum += (double)x[i * l->k + k] * (double)l->w[j * l->k + k];
            worst = fmax(worst, fabs(sum - (double)y[i * l->n + j]));
        }
    CHECK(c, worst < limit, "%s m=%d n=%d k=%d: off by %g", pn_precision_name(l->p), m, l->n, l->k, worst);
}

/* Of `fine` layers the weights alone are rounded in a way that shows. */
static void check_fine(struct pn_check *c, const struct layer *l, int m, const float *x, const float *y)
{
    double worst = 0, limit = pn_kern()->activation_top < 255 ? 5e-4 * sqrt(l->k) : HUGE_VAL;
    float *w = pn_check_alloc(c, (size_t)l->k * sizeof(float), 4);
    for (int j = 0; l->packed.fine && j < l->n; j++) {
        pn_linear_row(&l->packed, j, w);
        for (int i = 0; i < m; i++) {
            double sum = l->bias ? l->bias[j] : 0;
            for (int k = 0; k < l->k; k++)
                sum += (double)x[i * l->k + k] * (double)w[k];
            worst = fmax(worst, fabs(sum - (double)y[i * l->n + j]));
        }
    }
    CHECK(c, worst < limit, "fine, m=%d n=%d k=%d: off by %g", m, l->n, l->k, worst);
}

static void check_pools(struct pn_check *c, const struct layer *l, int m, const float *x, const float *y,
                        void *scratch)
{
    size_t size = (size_t)m * (size_t)l->n * sizeof(float);
    float *got = pn_check_alloc(c, size, 0);
    for (int threads = 1; threads <= 4; threads++) {
        struct pn_pool *pool = NULL;
        if (!CHECK(c, pn_pool_new(threads, &pool, NULL) == 0, "pool of %d", threads))
            return;
        memset(got, 0xa5, size);
        pn_linear_pool(pool, &l->packed, m, x, (size_t)l->k, got, (size_t)l->n, PN_STORE, scratch);
        CHECK(c, memcmp(got, y, size) == 0, "%s m=%d n=%d k=%d: %d threads differ from one",
              pn_precision_name(l->p), m, l->n, l->k, threads);
        pn_pool_free(pool);
    }
}

static void check_layer(struct pn_check *c, enum pn_precision p, bool fine, int m, int n, int k)
{
    struct layer l = layer(c, p, n, k, m % 2 == 0);
    l.packed.fine = fine;
    float *x = pn_check_alloc(c, (size_t)m * (size_t)k * sizeof(float), 4);
    float *y = pn_check_alloc(c, (size_t)m * (size_t)n * sizeof(float), 4);
    void *scratch = pn_check_alloc(c, pn_linear_scratch(&l.packed, m), 0);
    pn_check_floats(c, x, (size_t)m * (size_t)k, 2);
    pn_linear(&l.packed, m, x, (size_t)k, y, (size_t)n, PN_STORE, scratch);
    check_pieces(c, &l);
    check_rows(c, &l);
    check_groups(c, &l);
    check_values(c, &l, m, x, y);
    check_fine(c, &l, m, x, y);
    check_pools(c, &l, m, x, y, scratch);
    pn_check_release(c, "layer");
}

/* Channels whose weights strain the groups, or do not. */
static float strained(struct pn_check *c, int j, int i)
{
    const float odd[] = { 63.5f, 63.5f, 65.5f, 63.5f }; /* 256 in a group, and all round up */
    switch (j % 7) {
    case 0:
        return 0.3f;
    case 1:
        return -0.7f;
    case 2:
        return i % 2 ? 1 : -1;
    case 3:
        return i % 3 ? 0.9f : -1;
    case 4:
        return 3e38f; /* of which no four have a finite sum */
    case 5:
        return odd[i % 2 + i / 4 % 2 * 2] / 127;
    default:
        return i == 0 ? 1 : 0.3f * pn_check_float(c);
    }
}

/* Scales are what the largest weight wants, unless a group wants more: for weights of one sign twice as much.
 */
static void check_scales(struct pn_check *c, int k)
{
    struct layer l = { .p = PN_INT8, .n = 70, .k = k };
    l.w = pn_check_alloc(c, (size_t)l.n * (size_t)k * sizeof(float), 4);
    for (int j = 0; j < l.n; j++)
        for (int i = 0; i < k; i++)
            l.w[j * k + i] = strained(c, j, i);
    void *block = pn_check_alloc(c, pn_linear_packed_size(PN_INT8, l.n, k), 0);
    pn_linear_pack(PN_INT8, l.n, k, l.w, NULL, block);
    l.packed = pn_linear_view(PN_INT8, l.n, k, block);
    check_groups(c, &l);
    check_rows(c, &l);
    for (int j = 0; j < l.n; j++) {
        float step = 0, got = l.packed.scale[j];
        for (int i = 0; i < k; i++)
            step = fmaxf(step, fabsf(l.w[j * k + i]) / 127);
        float most = j % 7 == 2 || j % 7 == 6 ? step : 4 * 127.0f / (PN_MAX_GROUP - 2) * step;
        CHECK(c, isfinite(got) && got >= step && got <= 1.0001f * most,
              "k=%d: channel %d has scale %g, not up to %g", k, j, got, most);
    }
    pn_check_release(c, "scales");
}

void pn_check_layers(struct pn_check *c)
{
    const int rows[] = { 1, 2, 5, 31, 32, 33, 70, 200 };
    CHECK(c,
          pn_linear_packed_size(PN_INT8, 0, 4) == 0 && pn_linear_packed_size(PN_F32, 1, 0) == 0 &&
              pn_linear_packed_size(PN_F32, 1, PN_MAX_K + 1) == 0 &&
              pn_linear_packed_size(PN_INT8, (1 << 24) + 1, 1) == 0,
          "sizes out of range");
    for (int k = 1; k <= 40; k++)
        check_scales(c, k);
    for (size_t i = 0; i < PN_ARRAY_LEN(rows); i++) {
        check_layer(c, PN_INT8, false, rows[i], pn_check_int(c, 1, 300), pn_check_int(c, 1, 150));
        check_layer(c, PN_INT8, true, rows[i], pn_check_int(c, 1, 300), pn_check_int(c, 1, 150));
        check_layer(c, PN_F32, false, rows[i], pn_check_int(c, 1, 300), pn_check_int(c, 1, 150));
    }
}
