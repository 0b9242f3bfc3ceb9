/* check_widths.c - heads of any width through attention.h: what a head of a padded width gives, scaled for
 * the true one. */
#include "check.h"

#include "nn/attention.h"

#include <math.h>
#include <string.h>

struct head {
    enum pn_precision p;
    int m, n, d;
    float *q, *k, *v; /* [m][d], [n][d] */
};

static float *numbers(struct pn_check *c, int rows, int cols, float scale)
{
    size_t n = (size_t)rows * (size_t)cols;
    float *x = pn_check_alloc(c, n * sizeof(float), 4 * (size_t)pn_check_int(c, 0, 15));
    pn_check_floats(c, x, n, scale);
    return x;
}

/* Largest difference of out[m][d] and scores[m][n] from the same in double. */
static double difference(struct pn_check *c, const struct head *h, const float *out, const float *scores)
{
    double worst = 0, *p = pn_check_alloc(c, (size_t)h->n * sizeof(double), 0);
    for (int i = 0; i < h->m; i++) {
        double sum = 0;
        for (int j = 0; j < h->n; j++) {
            double s = 0;
            for (int x = 0; x < h->d; x++)
                s += (double)h->q[i * h->d + x] * (double)h->k[j * h->d + x];
            s /= sqrt(h->d);
            worst = fmax(worst, fabs(s - (double)scores[i * h->n + j]) / 4);
            sum += p[j] = exp(s);
        }
        for (int x = 0; x < h->d; x++) {
            double o = 0;
            for (int j = 0; j < h->n; j++)
                o += p[j] / sum * (double)h->v[j * h->d + x];
            worst = fmax(worst, fabs(o - (double)out[i * h->d + x]));
        }
    }
    return worst;
}

static void check_packed(struct pn_check *c, const struct head *h)
{
    size_t width = (size_t)h->d;
    float *out = pn_check_alloc(c, (size_t)h->m * width * sizeof(float), 4);
    float *scores = pn_check_alloc(c, (size_t)h->m * (size_t)h->n * sizeof(float), 4);
    size_t size = pn_attention_packed_size(h->p, h->n, h->d),
           scratch = pn_attention_scratch(h->p, h->m, h->n, h->d);
    CHECK(c, size % 64 == 0 && scratch % 64 == 0, "sizes %zu, %zu", size, scratch);
    void *packed = pn_check_alloc(c, size, 0);
    struct pn_attend a = { h->m,   h->n, h->d,  h->q,   width,
                           packed, out,  width, scores, pn_check_alloc(c, scratch, 0) };
    pn_attention_pack(h->p, h->n, h->d, h->k, width, h->v, width, packed);
    pn_attention(h->p, &a);
    double off = difference(c, h, out, scores);
    CHECK(c, off < (h->p == PN_F32 ? 2e-5 : 4e-3), "attention %s m=%d n=%d d=%d: off by %g",
          pn_precision_name(h->p), h->m, h->n, h->d, off);
}

static void check_self(struct pn_check *c, const struct head *h)
{
    size_t width = (size_t)h->d;
    struct head one = *h;
    one.m = 1;
    float *out = pn_check_alloc(c, width * sizeof(float), 4);
    float *scores = pn_check_alloc(c, (size_t)h->n * sizeof(float), 4);
    size_t scratch = h->d % 16 ? pn_small_attention_scratch(h->n) : (size_t)h->n * sizeof(float);
    struct pn_attend a = {
        1, h->n, h->d, h->q, width, NULL, out, width, scores, pn_check_alloc(c, scratch, 0)
    };
    pn_self_attention(&a, h->k, h->v, width);
    double off = difference(c, &one, out, scores);
    CHECK(c, off < 2e-5, "self_attention n=%d d=%d: off by %g", h->n, h->d, off);
}

void pn_check_widths(struct pn_check *c)
{
    for (int d = 1; d <= 128; d += d < 20 || d == 43 ? 1 : 4)
        for (enum pn_precision p = PN_INT8; p <= PN_F32; p++) {
            struct head h = { .p = p, .m = pn_check_int(c, 1, 20), .n = pn_check_int(c, 1, 150), .d = d };
            h.q = numbers(c, h.m, d, 2);
            h.k = numbers(c, h.n, d, 1);
            h.v = numbers(c, h.n, d, 1);
            check_packed(c, &h);
            check_self(c, &h);
            pn_check_release(c, "width");
        }
}
