/* attention_c.c - attention, portable: the definition of what the faster levels compute.
 *
 * Packed f32 is keys [n][d], then values [n][d]. Packed int8 is `struct cross`: keys and values as s8 with a
 * scale per position, each channel divided by its own largest magnitude first, so that a few loud channels do
 * not cost the others their bits. */
#include "nn/half.h"
#include "nn/kern_levels.h"
#include "nn/precision.h"

#include <math.h>
#include <string.h>

enum { MAX_D = 128 };

/* One packed set of rows: x[j][c] is about channel[c] * scale[j] * q[j][c]. */
struct rows_s8 {
    float *channel; /* [d] */
    float *scale;   /* [n] */
    int8_t *q;      /* [n][d] */
};

/* Floats of both sets first, bytes after. */
static void cross_views(void *packed, int n, int d, struct rows_s8 *keys, struct rows_s8 *values)
{
    float *f = packed;
    int8_t *bytes = (int8_t *)(f + 2 * (n + d));
    *keys = (struct rows_s8){ f, f + 2 * d, bytes };
    *values = (struct rows_s8){ f + d, f + 2 * d + n, bytes + (size_t)n * (size_t)d };
}

static void pack_f32(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    float *keys = packed, *values = keys + (size_t)n * (size_t)d;
    for (int j = 0; j < n; j++) {
        memcpy(keys + (size_t)j * (size_t)d, k + (size_t)j * ldk, (size_t)d * sizeof(float));
        memcpy(values + (size_t)j * (size_t)d, v + (size_t)j * ldv, (size_t)d * sizeof(float));
    }
}

static void softmax(float *x, int n)
{
    float max = x[0], sum = 0;
    for (int j = 1; j < n; j++)
        max = fmaxf(max, x[j]);
    for (int j = 0; j < n; j++)
        sum += x[j] = expf(x[j] - max);
    for (int j = 0; j < n; j++)
        x[j] /= sum;
}

/* One query over plain rows; `p` holds n floats. */
static void attend_row(int n, int d, const float *q, const float *k, const float *v, size_t ld, float *p,
                       float *scores, float *out)
{
    float scale = 1 / sqrtf((float)d);
    for (int j = 0; j < n; j++) {
        float dot = 0;
        for (int c = 0; c < d; c++)
            dot += q[c] * k[(size_t)j * ld + (size_t)c];
        p[j] = dot * scale;
    }
    if (scores)
        memcpy(scores, p, (size_t)n * sizeof(float));
    softmax(p, n);
    float sum[MAX_D] = { 0 };
    for (int j = 0; j < n; j++)
        for (int c = 0; c < d; c++)
            sum[c] += p[j] * v[(size_t)j * ld + (size_t)c];
    memcpy(out, sum, (size_t)d * sizeof(float));
}

static float *row_scores(const struct pn_attend *a, int i)
{
    return a->scores ? a->scores + (size_t)i * (size_t)a->n : NULL;
}

static void attention_f32(const struct pn_attend *a)
{
    size_t d = (size_t)a->d;
    const float *k = a->packed, *v = k + (size_t)a->n * d;
    for (int i = 0; i < a->m; i++)
        attend_row(a->n, a->d, a->q + (size_t)i * a->ldq, k, v, d, a->scratch, row_scores(a, i),
                   a->out + (size_t)i * a->ldo);
}

static void self_attention_c(const struct pn_attend *a, const float *k, const float *v, size_t ldkv)
{
    attend_row(a->n, a->d, a->q, k, v, ldkv, a->scratch, a->scores, a->out);
}

static void channel_scales(int n, int d, const float *x, size_t ld, float *ret)
{
    for (int c = 0; c < d; c++) {
        float max = 0;
        for (int j = 0; j < n; j++)
            max = fmaxf(max, fabsf(x[(size_t)j * ld + (size_t)c]));
        ret[c] = max > 0 ? max : 1;
    }
}

static void pack_rows_s8(int n, int d, const float *x, size_t ld, struct rows_s8 *ret)
{
    channel_scales(n, d, x, ld, ret->channel);
    for (int j = 0; j < n; j++) {
        float max = 0;
        for (int c = 0; c < d; c++)
            max = fmaxf(max, fabsf(x[(size_t)j * ld + (size_t)c] / ret->channel[c]));
        ret->scale[j] = max > 0 ? max / 127 : 1;
        for (int c = 0; c < d; c++) {
            float unit = x[(size_t)j * ld + (size_t)c] / ret->channel[c];
            ret->q[(size_t)j * (size_t)d + (size_t)c] = (int8_t)lrintf(unit / ret->scale[j]);
        }
    }
}

static void cross_pack_s8(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    struct rows_s8 keys, values;
    cross_views(packed, n, d, &keys, &values);
    pack_rows_s8(n, d, k, ldk, &keys);
    pack_rows_s8(n, d, v, ldv, &values);
}

static void scores_s8(int n, int d, const float *q, const struct rows_s8 *keys, float *p)
{
    float scale = 1 / sqrtf((float)d);
    for (int j = 0; j < n; j++) {
        float dot = 0;
        for (int c = 0; c < d; c++)
            dot += q[c] * keys->channel[c] * (float)keys->q[(size_t)j * (size_t)d + (size_t)c];
        p[j] = dot * keys->scale[j] * scale;
    }
}

static void values_s8(int n, int d, const float *p, const struct rows_s8 *values, float *out)
{
    float sum[MAX_D] = { 0 };
    for (int j = 0; j < n; j++)
        for (int c = 0; c < d; c++)
            sum[c] += p[j] * values->scale[j] * (float)values->q[(size_t)j * (size_t)d + (size_t)c];
    for (int c = 0; c < d; c++)
        out[c] = sum[c] * values->channel[c];
}

static void cross_attention_s8(const struct pn_attend *a)
{
    struct rows_s8 keys, values;
    float *p = a->scratch;
    cross_views((void *)(uintptr_t)a->packed, a->n, a->d, &keys, &values);
    for (int i = 0; i < a->m; i++) {
        scores_s8(a->n, a->d, a->q + (size_t)i * a->ldq, &keys, p);
        if (a->scores)
            memcpy(row_scores(a, i), p, (size_t)a->n * sizeof(float));
        softmax(p, a->n);
        values_s8(a->n, a->d, p, &values, a->out + (size_t)i * a->ldo);
    }
}

/* Number c of position j of a span's keys or values. */
static float span_at(const struct pn_kv_rows *s, const void *rows, int j, int c)
{
    size_t at = (size_t)j * s->ld + (size_t)c;
    return s->half ? pn_f32_of_f16(((const uint16_t *)rows)[at]) : ((const float *)rows)[at];
}

static void small_scores(const struct pn_kv_rows *s, int d, const float *q, float scale, float *p)
{
    for (int j = 0; j < s->n; j++) {
        float dot = 0;
        for (int c = 0; c < d; c++)
            dot += q[c] * span_at(s, s->k, j, c);
        p[j] = dot * scale;
    }
}

static void small_values(const struct pn_kv_rows *s, int d, const float *p, float *sum)
{
    for (int j = 0; j < s->n; j++)
        for (int c = 0; c < d; c++)
            sum[c] += p[j] * span_at(s, s->v, j, c);
}

static void small_attention_c(const struct pn_small_attend *a)
{
    const struct pn_kv_rows *s = a->span;
    float *p = a->scratch, scale = a->scale != 0 ? a->scale : 1 / sqrtf((float)a->d);
    int n = s[0].n + s[1].n;
    for (size_t i = 0; i < (size_t)a->m; i++) {
        small_scores(&s[0], a->d, a->q + i * a->ldq, scale, p);
        small_scores(&s[1], a->d, a->q + i * a->ldq, scale, p + s[0].n);
        if (a->scores)
            memcpy(a->scores + i * (size_t)n, p, (size_t)n * sizeof(float));
        softmax(p, n);
        float sum[MAX_D] = { 0 };
        small_values(&s[0], a->d, p, sum);
        small_values(&s[1], a->d, p + s[0].n, sum);
        memcpy(a->out + i * a->ldo, sum, (size_t)a->d * sizeof(float));
    }
}

void pn_kern_attention_c(struct pn_kern *k)
{
    k->attention_pack[PN_F32] = k->attention_pack[PN_INT8] = pack_f32;
    k->attention[PN_F32] = k->attention[PN_INT8] = attention_f32;
    k->cross_pack[PN_F32] = pack_f32;
    k->cross_attention[PN_F32] = attention_f32;
    k->cross_pack[PN_INT8] = cross_pack_s8;
    k->cross_attention[PN_INT8] = cross_attention_s8;
    k->self_attention = self_attention_c;
    k->small_attention = small_attention_c;
}
