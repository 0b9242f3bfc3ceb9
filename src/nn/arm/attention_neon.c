/* attention_neon.c - attention with the base instructions of aarch64, in f32.
 *
 * Packed f32: keys in blocks of 16 positions as [block][d][16], so that a query's number meets 16 keys at
 * once, zeros behind the last; then values [n][d]. Up to four queries share a pass over either. Packed int8
 * (for few queries, read at every token): a scale per channel and per position, then bytes [n][d]. */
#include "nn/arm/math_neon.h"
#include "nn/attention.h"
#include "nn/kern_levels.h"

#include <math.h>

#define INLINE static inline __attribute__((always_inline))

enum { BLOCK = 16, ROWS = 4, MAX_D = 128 };

static size_t padded(int n)
{
    return ((size_t)n + BLOCK - 1) / BLOCK * BLOCK;
}

static void pack(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    float *keys = packed, *values = keys + padded(n) * (size_t)d;
    for (size_t j = 0; j < padded(n); j++)
        for (size_t c = 0; c < (size_t)d; c++)
            keys[(j / BLOCK * (size_t)d + c) * BLOCK + j % BLOCK] = j < (size_t)n ? k[j * ldk + c] : 0;
    for (size_t j = 0; j < (size_t)n; j++)
        memcpy(values + j * (size_t)d, v + j * ldv, (size_t)d * sizeof(float));
}

/* p[r][j] = scale * q[r] . k[j] for all keys; p's rows are padded(n) long. */
INLINE void score_rows(const int rows, const struct pn_attend *a, const float *q, float *p)
{
    const float *k = a->packed;
    float scale = 1 / sqrtf((float)a->d);
    size_t ldp = padded(a->n);
    for (size_t j = 0; j < ldp; j += BLOCK) {
        float32x4_t sum[ROWS][4];
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < 4; v++)
                sum[r][v] = vdupq_n_f32(0);
        for (int c = 0; c < a->d; c++, k += BLOCK) {
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < 4; v++)
                    sum[r][v] =
                        vfmaq_n_f32(sum[r][v], vld1q_f32(k + 4 * v), q[(size_t)r * a->ldq + (size_t)c]);
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < 4; v++)
                vst1q_f32(p + (size_t)r * ldp + j + 4 * (size_t)v, vmulq_n_f32(sum[r][v], scale));
    }
}

/* out[r] = sum over j of p[r][j] v[j], sixteen channels at a time. */
INLINE void mix_rows(const int rows, int n, int d, const float *p, size_t ldp, const float *values,
                     size_t ldv, float *out, size_t ldo)
{
    for (int c = 0; c < d; c += 16) {
        float32x4_t sum[ROWS][4];
        const float *x = values + c;
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < 4; v++)
                sum[r][v] = vdupq_n_f32(0);
        for (int j = 0; j < n; j++, x += ldv) {
#pragma GCC unroll 4
            for (int r = 0; r < rows; r++)
                for (int v = 0; v < 4; v++)
                    sum[r][v] = vfmaq_n_f32(sum[r][v], vld1q_f32(x + 4 * v), p[(size_t)r * ldp + (size_t)j]);
        }
#pragma GCC unroll 4
        for (int r = 0; r < rows; r++)
            for (int v = 0; v < 4; v++)
                vst1q_f32(out + (size_t)r * ldo + c + 4 * v, sum[r][v]);
    }
}

/* Scores of row i to where the caller wants them, then their softmax. */
static void settle(const struct pn_attend *a, int i, float *p)
{
    if (a->scores)
        memcpy(a->scores + (size_t)i * (size_t)a->n, p, (size_t)a->n * sizeof(float));
    pn_softmax_neon(p, (size_t)a->n);
}

INLINE void attend_rows(const int rows, const struct pn_attend *a, int i)
{
    size_t ldp = padded(a->n);
    float *p = a->scratch;
    score_rows(rows, a, a->q + (size_t)i * a->ldq, p);
    for (int r = 0; r < rows; r++)
        settle(a, i + r, p + (size_t)r * ldp);
    mix_rows(rows, a->n, a->d, p, ldp, (const float *)a->packed + ldp * (size_t)a->d, (size_t)a->d,
             a->out + (size_t)i * a->ldo, a->ldo);
}

/* Scratch has room for one row of scores at any n, for four up to n = 8000. */
static void attention(const struct pn_attend *a)
{
    int i = 0;
    for (; a->n <= 8000 && i + ROWS <= a->m; i += ROWS)
        attend_rows(ROWS, a, i);
    for (; i < a->m; i++)
        attend_rows(1, a, i);
}

static void self_attention(const struct pn_attend *a, const float *k, const float *v, size_t ldkv)
{
    float *p = a->scratch, scale = 1 / sqrtf((float)a->d);
    for (int j = 0; j < a->n; j++) {
        const float *row = k + (size_t)j * ldkv;
        float32x4_t sum[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
        for (int c = 0; c < a->d; c += 16)
            for (int b = 0; b < 4; b++)
                sum[b] = vfmaq_f32(sum[b], vld1q_f32(a->q + c + 4 * b), vld1q_f32(row + c + 4 * b));
        p[j] = scale * vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    }
    settle(a, 0, p);
    mix_rows(1, a->n, a->d, p, 0, v, ldkv, a->out, 0);
}

/* ---- int8 ---- */

/* x[j][c] is about channel[c] * scale[j] * q[j][c]. */
struct rows_s8 {
    float *channel; /* [d] */
    float *scale;   /* [n] */
    int8_t *q;      /* [n][d] */
};

static void views(void *packed, int n, int d, struct rows_s8 *keys, struct rows_s8 *values)
{
    float *f = packed;
    int8_t *bytes = (int8_t *)(f + 2 * (n + d));
    *keys = (struct rows_s8){ f, f + 2 * d, bytes };
    *values = (struct rows_s8){ f + d, f + 2 * d + n, bytes + (size_t)n * (size_t)d };
}

static void channel_scales(int n, int d, const float *x, size_t ld, float *ret)
{
    memset(ret, 0, (size_t)d * sizeof(float));
    for (int j = 0; j < n; j++)
        for (int c = 0; c < d; c++)
            ret[c] = fmaxf(ret[c], fabsf(x[(size_t)j * ld + (size_t)c]));
    for (int c = 0; c < d; c++)
        ret[c] = ret[c] > 0 ? ret[c] : 1;
}

static void pack_rows_s8(int n, int d, const float *x, size_t ld, struct rows_s8 *ret)
{
    channel_scales(n, d, x, ld, ret->channel);
    for (int j = 0; j < n; j++) {
        float unit[MAX_D], max = 0;
        for (int c = 0; c < d; c++) {
            unit[c] = x[(size_t)j * ld + (size_t)c] / ret->channel[c];
            max = fmaxf(max, fabsf(unit[c]));
        }
        ret->scale[j] = max > 0 ? max / 127 : 1;
        for (int c = 0; c < d; c++)
            ret->q[(size_t)j * (size_t)d + (size_t)c] = (int8_t)lrintf(unit[c] / ret->scale[j]);
    }
}

static void cross_pack_s8(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    struct rows_s8 keys, values;
    views(packed, n, d, &keys, &values);
    pack_rows_s8(n, d, k, ldk, &keys);
    pack_rows_s8(n, d, v, ldv, &values);
}

/* Sixteen bytes as floats. */
INLINE void widen(const int8_t *q, float32x4_t ret[4])
{
    int8x16_t b = vld1q_s8(q);
    int16x8_t low = vmovl_s8(vget_low_s8(b)), high = vmovl_high_s8(b);
    ret[0] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(low)));
    ret[1] = vcvtq_f32_s32(vmovl_high_s16(low));
    ret[2] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(high)));
    ret[3] = vcvtq_f32_s32(vmovl_high_s16(high));
}

static void scores_s8(int n, int d, const float *q, const struct rows_s8 *keys, float *p)
{
    float query[MAX_D], scale = 1 / sqrtf((float)d);
    for (int c = 0; c < d; c++)
        query[c] = q[c] * keys->channel[c] * scale;
    for (int j = 0; j < n; j++) {
        float32x4_t sum[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
        for (int c = 0; c < d; c += 16) {
            float32x4_t x[4];
            widen(keys->q + (size_t)j * (size_t)d + c, x);
            for (int b = 0; b < 4; b++)
                sum[b] = vfmaq_f32(sum[b], x[b], vld1q_f32(query + c + 4 * b));
        }
        p[j] = keys->scale[j] * vaddvq_f32(vaddq_f32(vaddq_f32(sum[0], sum[1]), vaddq_f32(sum[2], sum[3])));
    }
}

static void values_s8(int n, int d, float *p, const struct rows_s8 *values, float *out)
{
    for (int j = 0; j < n; j++)
        p[j] *= values->scale[j];
    for (int c = 0; c < d; c += 16) {
        float32x4_t sum[4] = { vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0), vdupq_n_f32(0) };
        for (int j = 0; j < n; j++) {
            float32x4_t x[4];
            widen(values->q + (size_t)j * (size_t)d + c, x);
            for (int b = 0; b < 4; b++)
                sum[b] = vfmaq_n_f32(sum[b], x[b], p[j]);
        }
        for (int b = 0; b < 4; b++)
            vst1q_f32(out + c + 4 * b, vmulq_f32(sum[b], vld1q_f32(values->channel + c + 4 * b)));
    }
}

static void cross_attention_s8(const struct pn_attend *a)
{
    struct rows_s8 keys, values;
    float *p = a->scratch;
    views((void *)(uintptr_t)a->packed, a->n, a->d, &keys, &values);
    for (int i = 0; i < a->m; i++) {
        scores_s8(a->n, a->d, a->q + (size_t)i * a->ldq, &keys, p);
        settle(a, i, p);
        values_s8(a->n, a->d, p, &values, a->out + (size_t)i * a->ldo);
    }
}

void pn_kern_attention_neon(struct pn_kern *k)
{
    k->attention_pack[PN_F32] = k->attention_pack[PN_INT8] = pack;
    k->attention[PN_F32] = k->attention[PN_INT8] = attention;
    k->cross_pack[PN_F32] = pack;
    k->cross_attention[PN_F32] = attention;
    k->cross_pack[PN_INT8] = cross_pack_s8;
    k->cross_attention[PN_INT8] = cross_attention_s8;
    k->self_attention = self_attention;
}
