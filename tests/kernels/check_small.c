/* check_small.c - attention over two spans of plain rows: close to the same in double, the same bits for a
 * row alone, for another border between the spans and with other bytes in the scratch. */
#include "check.h"

#include "nn/attention.h"
#include "nn/half.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct small {
    struct pn_small_attend a;
    int n;
    float *k, *v; /* [n][d] as they are attended to: halves rounded */
    size_t scratch_size;
    char name[96];
};

static float *numbers(struct pn_check *c, size_t n, float scale)
{
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

/* The span's rows from x [n][d], with gaps; nothing behind the last row. */
static const void *span_rows(struct pn_check *c, const float *x, int n, int d, size_t ld, bool half)
{
    size_t count = n ? (size_t)(n - 1) * ld + (size_t)d : 0, each = half ? 2 : 4;
    char *rows = pn_check_alloc(c, count * each, each * (size_t)pn_check_int(c, 0, 15));
    for (int i = 0; i < n; i++)
        for (int j = 0; j < d; j++) {
            size_t at = (size_t)i * ld + (size_t)j;
            if (half)
                ((uint16_t *)(void *)rows)[at] = pn_f16_of_f32(x[i * d + j]);
            else
                ((float *)(void *)rows)[at] = x[i * d + j];
        }
    return rows;
}

static struct pn_kv_rows span(struct pn_check *c, struct small *s, int from, int n, bool half)
{
    int d = s->a.d;
    size_t ld = (size_t)d + (size_t)pn_check_int(c, 0, 20);
    float *k = s->k + from * d, *v = s->v + from * d;
    struct pn_kv_rows r = { n, half, span_rows(c, k, n, d, ld, half), span_rows(c, v, n, d, ld, half), ld };
    for (int i = 0; half && i < n * d; i++) {
        k[i] = pn_f32_of_f16(pn_f16_of_f32(k[i]));
        v[i] = pn_f32_of_f16(pn_f16_of_f32(v[i]));
    }
    return r;
}

static struct small small(struct pn_check *c, int m, int n0, int n1, int d, unsigned halves, float scale)
{
    struct small s = { .n = n0 + n1 };
    size_t width = (size_t)d;
    s.a.m = m;
    s.a.d = d;
    s.a.scale = pn_check_int(c, 0, 1) ? 0 : 0.3f;
    s.a.ldq = width + (size_t)pn_check_int(c, 0, 9);
    s.a.ldo = width + (size_t)pn_check_int(c, 0, 9);
    s.a.q = numbers(c, (size_t)(m - 1) * s.a.ldq + width, scale);
    s.k = numbers(c, (size_t)s.n * width, 1);
    s.v = numbers(c, (size_t)s.n * width, 1);
    s.a.span[0] = span(c, &s, 0, n0, halves & 1);
    s.a.span[1] = span(c, &s, n0, n1, halves & 2);
    s.scratch_size = pn_small_attention_scratch(s.n);
    s.a.scratch = pn_check_alloc(c, s.scratch_size, 0);
    snprintf(s.name, sizeof(s.name), "small_attention m=%d n=%d+%d d=%d halves=%u scale=%g", m, n0, n1, d,
             halves, (double)scale);
    return s;
}

static void exact_row(const struct small *s, int i, double *p, double *o)
{
    double scale = s->a.scale != 0 ? (double)s->a.scale : 1 / sqrt(s->a.d), max = -INFINITY, sum = 0;
    memset(o, 0, (size_t)s->a.d * sizeof(*o));
    for (int j = 0; j < s->n; j++) {
        p[j] = 0;
        for (int x = 0; x < s->a.d; x++)
            p[j] += (double)s->a.q[(size_t)i * s->a.ldq + (size_t)x] * (double)s->k[j * s->a.d + x];
        p[j] *= scale;
        max = fmax(max, p[j]);
    }
    for (int j = 0; j < s->n; j++)
        sum += exp(p[j] - max);
    for (int j = 0; j < s->n; j++)
        for (int x = 0; x < s->a.d; x++)
            o[x] += exp(p[j] - max) / sum * (double)s->v[j * s->a.d + x];
}

static void check_values(struct pn_check *c, const struct small *s)
{
    double *p = pn_check_alloc(c, (size_t)s->n * sizeof(double), 0);
    double *o = pn_check_alloc(c, (size_t)s->a.d * sizeof(double), 0);
    double worst = 0, worst_score = 0;
    for (int i = 0; i < s->a.m; i++) {
        double top = 1;
        exact_row(s, i, p, o);
        for (int x = 0; x < s->a.d; x++)
            worst = fmax(worst, fabs(o[x] - (double)s->a.out[(size_t)i * s->a.ldo + (size_t)x]));
        for (int j = 0; j < s->n; j++)
            top = fmax(top, fabs(p[j]));
        for (int j = 0; j < s->n; j++)
            worst_score = fmax(worst_score, fabs(p[j] - (double)s->a.scores[i * s->n + j]) / top);
    }
    CHECK(c, worst < 2e-5, "%s: off by %g", s->name, worst);
    CHECK(c, worst_score < 5e-6, "%s: scores off by %g", s->name, worst_score);
}

/* Each row again, alone. */
static void check_alone(struct pn_check *c, const struct small *s)
{
    struct pn_small_attend a = s->a;
    a.m = 1;
    a.scores = pn_check_alloc(c, (size_t)s->n * sizeof(float), 4);
    a.out = pn_check_alloc(c, (size_t)s->a.d * sizeof(float), 4);
    for (int i = 0; i < s->a.m; i++) {
        a.q = s->a.q + (size_t)i * a.ldq;
        memset(a.scratch, 0xff, s->scratch_size);
        c->kern->small_attention(&a);
        CHECK(c, memcmp(a.out, s->a.out + (size_t)i * s->a.ldo, (size_t)a.d * sizeof(float)) == 0,
              "%s: row %d alone", s->name, i);
        CHECK(c, memcmp(a.scores, s->a.scores + i * s->n, (size_t)s->n * sizeof(float)) == 0,
              "%s: scores of row %d alone", s->name, i);
    }
}

/* The same numbers in spans that meet elsewhere. */
static void check_border(struct pn_check *c, struct small *s)
{
    struct small other = *s;
    int n0 = pn_check_int(c, 0, s->n), width = s->a.d;
    size_t rows = (size_t)(s->a.m - 1) * s->a.ldo + (size_t)width;
    other.a.span[0] = span(c, &other, 0, n0, false);
    other.a.span[1] = span(c, &other, n0, s->n - n0, false);
    other.a.scores = NULL;
    other.a.out = pn_check_alloc(c, rows * sizeof(float), 4);
    memset(s->a.scratch, 0x3f, s->scratch_size);
    c->kern->small_attention(&other.a);
    CHECK(c, memcmp(other.a.out, s->a.out, rows * sizeof(float)) == 0, "%s: spans meet at %d", s->name, n0);
}

static void check_shape(struct pn_check *c, int m, int n0, int n1, int d, unsigned halves)
{
    struct small s = small(c, m, n0, n1, d, halves, 4);
    s.a.out = pn_check_alloc(c, ((size_t)(m - 1) * s.a.ldo + (size_t)d) * sizeof(float), 4);
    s.a.scores = pn_check_alloc(c, (size_t)m * (size_t)s.n * sizeof(float), 4);
    memset(s.a.scratch, 0, s.scratch_size);
    c->kern->small_attention(&s.a);
    check_values(c, &s);
    check_alone(c, &s);
    check_border(c, &s);
    pn_check_release(c, s.name);
}

void pn_check_small_attention(struct pn_check *c)
{
    const int lengths[] = { 0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 40, 55, 64, 65, 255, 256, 257, 300 };
    for (int d = 1; d <= 128; d += d < 20 ? 1 : pn_check_int(c, 1, 9))
        check_shape(c, pn_check_int(c, 1, 8), pn_check_int(c, 0, 20), pn_check_int(c, 1, 20), d,
                    (unsigned)d % 4);
    for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++)
        for (unsigned halves = 0; halves < 4; halves++)
            check_shape(c, pn_check_int(c, 1, 30), lengths[i], pn_check_int(c, i == 0, 30),
                        8 * pn_check_int(c, 1, 16), halves);
    for (int m = 1; m <= 64; m += m < 28 ? 1 : 9) /* every remainder of every tile of rows */
        check_shape(c, m, 40, 15, 128, (unsigned)m % 4);
    check_shape(c, 3, 3000, 11, 43, 1);
}
