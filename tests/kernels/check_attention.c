/* check_attention.c - attention in its three shapes: close to the same in double, the scores too; a row's
 * result the same bits in a batch as alone, wherever it stands, and again with other bytes in the scratch. */
#include "check.h"

#include "nn/attention.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum shape { ENCODER, CROSS, SELF, SHAPES };

static const char *const NAMES[SHAPES] = { "attention", "cross_attention", "self_attention" };

struct head {
    enum shape shape;
    enum pn_precision p;
    int m, n, d;
    size_t ldq, ldk, ldv, ldo;
    float *q, *k, *v;
    void *packed, *scratch;
    size_t scratch_size;
    char name[96];
};

static float *numbers(struct pn_check *c, size_t n, float scale)
{
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

static void pack(struct pn_check *c, struct head *h)
{
    if (h->shape == SELF) {
        h->scratch_size = (size_t)h->n * sizeof(float);
        h->ldv = h->ldk;
    } else {
        bool cross = h->shape == CROSS;
        size_t size = (cross ? pn_cross_packed_size : pn_attention_packed_size)(h->p, h->n, h->d);
        CHECK(c, size % 64 == 0, "%s: size %zu", h->name, size);
        h->packed = pn_check_alloc(c, size, 0);
        h->scratch_size = (cross ? pn_cross_scratch : pn_attention_scratch)(h->p, h->m, h->n, h->d);
        (cross ? c->kern->cross_pack : c->kern->attention_pack)[h->p](h->n, h->d, h->k, h->ldk, h->v, h->ldv,
                                                                      h->packed);
    }
    h->scratch = pn_check_alloc(c, h->scratch_size, 0);
}

static struct head head(struct pn_check *c, enum shape shape, enum pn_precision p, int m, int n, int d,
                        float scale)
{
    struct head h = { .shape = shape, .p = p, .m = m, .n = n, .d = d };
    size_t width = (size_t)d;
    h.ldq = width + (size_t)pn_check_int(c, 0, 40);
    h.ldk = h.ldv = width + (size_t)pn_check_int(c, 0, 40);
    h.ldo = width + (size_t)pn_check_int(c, 0, 40);
    h.q = numbers(c, (size_t)m * h.ldq, scale);
    h.k = numbers(c, (size_t)n * h.ldk, 1);
    h.v = numbers(c, (size_t)n * h.ldv, 1);
    snprintf(h.name, sizeof(h.name), "%s %s m=%d n=%d d=%d scale=%g", NAMES[shape], pn_precision_name(p), m,
             n, d, (double)scale);
    pack(c, &h);
    return h;
}

/* Rows [from, from + m). The scratch is filled with `dirt` before. */
static void attend(struct pn_check *c, const struct head *h, int from, int m, float *out, float *scores,
                   int dirt)
{
    struct pn_attend a = { m,
                           h->n,
                           h->d,
                           h->q + (size_t)from * h->ldq,
                           h->ldq,
                           h->packed,
                           out + (size_t)from * h->ldo,
                           h->ldo,
                           scores ? scores + (size_t)from * (size_t)h->n : NULL,
                           h->scratch };
    memset(h->scratch, dirt, h->scratch_size);
    if (h->shape == SELF)
        c->kern->self_attention(&a, h->k, h->v, h->ldk);
    else if (h->shape == CROSS)
        c->kern->cross_attention[h->p](&a);
    else
        c->kern->attention[h->p](&a);
}

/* One row in double: scores into s[n], result into o[d]. */
static void exact_row(const struct head *h, int i, double *s, double *o)
{
    double max = -INFINITY, sum = 0;
    memset(o, 0, (size_t)h->d * sizeof(*o));
    for (int j = 0; j < h->n; j++) {
        s[j] = 0;
        for (int x = 0; x < h->d; x++)
            s[j] +=
                (double)h->q[(size_t)i * h->ldq + (size_t)x] * (double)h->k[(size_t)j * h->ldk + (size_t)x];
        s[j] /= sqrt(h->d);
        max = fmax(max, s[j]);
    }
    for (int j = 0; j < h->n; j++)
        sum += exp(s[j] - max);
    for (int j = 0; j < h->n; j++)
        for (int x = 0; x < h->d; x++)
            o[x] += exp(s[j] - max) / sum * (double)h->v[(size_t)j * h->ldv + (size_t)x];
}

/* Values lie in [-1, 1), so errors of the result are taken as they are; those of a score grow with it and
 * must be well below. */
static void check_values(struct pn_check *c, const struct head *h, const float *out, const float *scores,
                         double tolerance)
{
    double *s = pn_check_alloc(c, (size_t)h->n * sizeof(double), 0);
    double *o = pn_check_alloc(c, (size_t)h->d * sizeof(double), 0);
    double worst = 0, worst_score = 0;
    for (int i = 0; i < h->m; i++) {
        double top = 1;
        exact_row(h, i, s, o);
        for (int x = 0; x < h->d; x++)
            worst = fmax(worst, fabs(o[x] - (double)out[(size_t)i * h->ldo + (size_t)x]));
        for (int j = 0; j < h->n; j++)
            top = fmax(top, fabs(s[j]));
        for (int j = 0; j < h->n; j++)
            worst_score = fmax(worst_score, fabs(s[j] - (double)scores[i * h->n + j]) / top);
    }
    CHECK(c, worst < tolerance, "%s: off by %g", h->name, worst);
    CHECK(c, worst_score < tolerance / 4, "%s: scores off by %g", h->name, worst_score);
}

static void check_alone(struct pn_check *c, const struct head *h, const float *out, const float *scores)
{
    size_t row = (size_t)h->d * sizeof(float), n = (size_t)h->n;
    float *got = pn_check_alloc(c, (size_t)h->m * h->ldo * sizeof(float), 4);
    float *got_scores = pn_check_alloc(c, (size_t)h->m * n * sizeof(float), 4);
    for (int i = 0; i < h->m; i++) {
        size_t at = (size_t)i;
        attend(c, h, i, 1, got, got_scores, 0xff);
        CHECK(c, memcmp(got + at * h->ldo, out + at * h->ldo, row) == 0, "%s: row %d alone", h->name, i);
        CHECK(c, memcmp(got_scores + at * n, scores + at * n, n * sizeof(float)) == 0,
              "%s: scores of row %d alone", h->name, i);
    }
    int from = h->m / 2;
    attend(c, h, from, h->m - from, got, NULL, 0x3f);
    for (size_t i = (size_t)from; i < (size_t)h->m; i++)
        CHECK(c, memcmp(got + i * h->ldo, out + i * h->ldo, row) == 0, "%s: row %zu in half a batch", h->name,
              i);
}

/* Numbers between the rows of the result stay as they were. */
static void check_gaps(struct pn_check *c, const struct head *h, const float *out)
{
    const unsigned char *bytes = (const unsigned char *)out;
    bool kept = true;
    for (size_t i = 0; i + 1 < (size_t)h->m; i++)
        for (size_t at = (i * h->ldo + (size_t)h->d) * 4; at < (i + 1) * h->ldo * 4; at++)
            kept = kept && bytes[at] == 0xa5;
    CHECK(c, kept, "%s: wrote between rows", h->name);
}

static void check_head(struct pn_check *c, enum shape shape, enum pn_precision p, int m, int n, int d)
{
    /* int8 cross: half a step of each key's 127, over scores of a few units; elsewhere 12 bits or f32 */
    const double tolerance = p == PN_F32 || shape == SELF ? 2e-5 : shape == CROSS ? 0.06 : 4e-3;
    struct head h = head(c, shape, p, m, n, d, 4);
    float *out = pn_check_alloc(c, ((size_t)(m - 1) * h.ldo + (size_t)d) * sizeof(float), 4);
    float *scores = pn_check_alloc(c, (size_t)m * (size_t)n * sizeof(float), 4);
    attend(c, &h, 0, m, out, scores, 0);
    check_values(c, &h, out, scores, tolerance);
    check_gaps(c, &h, out);
    check_alone(c, &h, out, scores);
    pn_check_release(c, h.name);
}

/* Zeros, one loud channel, scores in the hundreds: the result stays an average of the values. */
static void check_extreme(struct pn_check *c, enum shape shape, enum pn_precision p, int kind)
{
    int m = shape == SELF ? 1 : 3, n = 150, d = 64;
    struct head h = head(c, shape, p, m, n, d, kind == 2 ? 1000 : 1);
    for (size_t j = 0; j < (size_t)n * h.ldk; j++)
        h.k[j] = kind == 0 ? 0 : kind == 1 && j % h.ldk == 5 ? 500 * h.k[j] : h.k[j];
    if (kind == 0)
        memset(h.v, 0, (size_t)n * h.ldv * sizeof(float));
    pack(c, &h);
    float *out = pn_check_alloc(c, (size_t)m * h.ldo * sizeof(float), 0);
    attend(c, &h, 0, m, out, NULL, 0xff);
    float limit = kind == 0 ? 1e-6f : 1.02f;
    bool inside = true;
    for (int i = 0; i < m; i++)
        for (int x = 0; x < d; x++)
            inside = inside && fabsf(out[(size_t)i * h.ldo + (size_t)x]) <= limit;
    CHECK(c, inside, "%s kind %d: outside of its values", h.name, kind);
    pn_check_release(c, h.name);
}

void pn_check_attention(struct pn_check *c)
{
    const int lengths[] = { 1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 300, 513 };
    for (enum shape shape = ENCODER; shape < SHAPES; shape++)
        for (enum pn_precision p = PN_INT8; p <= PN_F32; p++) {
            for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++)
                for (int d = 16; d <= 128; d += i % 4 == 0 ? 16 : 48)
                    check_head(c, shape, p, shape == SELF ? 1 : pn_check_int(c, 1, shape == CROSS ? 6 : 14),
                               lengths[i], d);
            for (int kind = 0; kind < 3; kind++)
                check_extreme(c, shape, p, kind);
        }
    check_head(c, ENCODER, PN_INT8, 53, 140, 64); /* more rows than any block of queries */
    check_head(c, ENCODER, PN_F32, 53, 140, 64);
    check_head(c, CROSS, PN_INT8, 40, 140, 64);
}
