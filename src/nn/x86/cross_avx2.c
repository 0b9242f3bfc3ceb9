/* cross_avx2.c - attention of a few queries over s8 keys and values that stream from memory (AVX2).
 *
 * What is rounded to a byte is a number's distance from its channel's mean (a mean key adds the same to all
 * scores, a mean value is added to the result) over the channel's largest, with a scale per position. Bytes
 * are widened to 16 bits as they are read; queries and weights are 15 bits, so the products are exact.
 *
 * Packed: largest distances of keys and values [2][d], means [2][d], position scales [2][padded n], keys
 * [padded n / 16][d / 2][16][2], values [padded n / 2][d][2]. n is padded to 16. */
#include "nn/precision.h"
#include "nn/x86/cross.h"
#include "nn/x86/softmax_avx2.h"

#include <string.h>

enum {
    PANEL = 16,
    CHUNK = 256, /* positions after which sums go to f32: 256 * 127 * 32767 < 2^31 */
    MAX_D = 128,
    TOP = 32767,
    QUERY_TOP = 16383, /* 128 * 127 * 16383 < 2^31 */
};

/* Keys or values. */
struct rows_s8 {
    float *channel, *mean; /* [d] */
    float *scale;          /* [padded] */
    int8_t *q;
};

struct packed {
    struct rows_s8 keys, values;
    int padded;
};

/* A query's share of the scratch. */
struct row {
    float *s;     /* [padded] scores, then weights */
    float *sum;   /* [d] */
    int16_t *w;   /* [padded] weights over `step` */
    int16_t *q;   /* [d] */
    float *query; /* scale, shift */
};

static struct packed packed_views(const void *block, int n, int d)
{
    struct packed p;
    p.padded = (n + PANEL - 1) / PANEL * PANEL;
    p.keys.channel = (float *)(uintptr_t)block;
    p.values.channel = p.keys.channel + d;
    p.keys.mean = p.values.channel + d;
    p.values.mean = p.keys.mean + d;
    p.keys.scale = p.values.mean + d;
    p.values.scale = p.keys.scale + p.padded;
    p.keys.q = (int8_t *)(p.values.scale + p.padded);
    p.values.q = p.keys.q + (size_t)p.padded * (size_t)d;
    return p;
}

static struct row row_views(void *scratch, int i, int padded, int d)
{
    size_t n = (size_t)padded, width = (size_t)d;
    char *at = (char *)scratch + (size_t)i * (6 * n + 6 * width + 8);
    struct row r;
    r.s = (float *)(void *)at;
    r.sum = r.s + n;
    r.query = r.sum + width;
    r.w = (int16_t *)(void *)(r.query + 2);
    r.q = r.w + n;
    return r;
}

/* Each channel's mean over positions, and its largest distance from it (1 for none). */
static void measure_channels(int n, int d, const float *x, size_t ld, struct rows_s8 *ret)
{
    for (int c = 0; c < d; c += 8) {
        __m256 sum = _mm256_setzero_ps(), max = sum;
        for (int j = 0; j < n; j++)
            sum = _mm256_add_ps(sum, _mm256_loadu_ps(x + (size_t)j * ld + c));
        sum = _mm256_div_ps(sum, _mm256_set1_ps((float)n));
        for (int j = 0; j < n; j++) {
            __m256 off = _mm256_sub_ps(_mm256_loadu_ps(x + (size_t)j * ld + c), sum);
            max = _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), off));
        }
        __m256 none = _mm256_cmp_ps(max, _mm256_setzero_ps(), _CMP_LE_OQ);
        _mm256_storeu_ps(ret->mean + c, sum);
        _mm256_storeu_ps(ret->channel + c, _mm256_blendv_ps(max, _mm256_set1_ps(1), none));
    }
}

/* Eight numbers over `step` as s16. */
static inline __m128i round_s16(__m256 x, float step)
{
    __m256i i = _mm256_cvtps_epi32(_mm256_div_ps(x, _mm256_set1_ps(step)));
    return _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
}

/* d numbers, in units of their channels, as s8 against the largest of them; returns the step. */
static float quantize_s8(int d, const float *x, const struct rows_s8 *rows, int8_t *q)
{
    __m256 unit[MAX_D / 8], max = _mm256_setzero_ps();
    for (int c = 0; c < d; c += 8) {
        __m256 off = _mm256_sub_ps(_mm256_loadu_ps(x + c), _mm256_loadu_ps(rows->mean + c));
        unit[c / 8] = _mm256_div_ps(off, _mm256_loadu_ps(rows->channel + c));
        max = _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), unit[c / 8]));
    }
    float top = pn_top_avx2(max), step = top > 0 ? top / 127 : 1;
    for (int c = 0; c < d; c += 8) {
        __m128i s16 = round_s16(unit[c / 8], step);
        _mm_storel_epi64((__m128i *)(void *)(q + c), _mm_packs_epi16(s16, s16));
    }
    return step;
}

static void pack_key(int j, int d, const int8_t *row, int8_t *keys)
{
    int8_t *to = keys + (size_t)(j / PANEL * PANEL) * (size_t)d + j % PANEL * 2;
    for (int c = 0; c < d; c += 2)
        memcpy(to + c * PANEL, row + c, 2);
}

static void pack_value(int j, int d, const int8_t *row, int8_t *values)
{
    int8_t *to = values + (size_t)(j / 2 * 2) * (size_t)d + j % 2;
    for (int c = 0; c < d; c++)
        to[c * 2] = row[c];
}

static void cross_pack_avx2(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                            void *packed)
{
    struct packed p = packed_views(packed, n, d);
    int8_t row[MAX_D] = { 0 };
    measure_channels(n, d, k, ldk, &p.keys);
    measure_channels(n, d, v, ldv, &p.values);
    for (int j = 0; j < n; j++) {
        p.keys.scale[j] = quantize_s8(d, k + (size_t)j * ldk, &p.keys, row);
        pack_key(j, d, row, p.keys.q);
        p.values.scale[j] = quantize_s8(d, v + (size_t)j * ldv, &p.values, row);
        pack_value(j, d, row, p.values.q);
    }
    memset(row, 0, sizeof(row));
    for (int j = n; j < p.padded; j++) {
        p.keys.scale[j] = p.values.scale[j] = 0;
        pack_key(j, d, row, p.keys.q);
        pack_value(j, d, row, p.values.q);
    }
}

/* q / sqrt(d) with the keys' channels taken in. */
static void quantize_query(int d, const float *q, const struct rows_s8 *keys, struct row *ret)
{
    __m256 x[MAX_D / 8], max = _mm256_setzero_ps(), shift = max;
    for (int c = 0; c < d; c += 8) {
        x[c / 8] = _mm256_mul_ps(_mm256_loadu_ps(q + c), _mm256_loadu_ps(keys->channel + c));
        shift = _mm256_fmadd_ps(_mm256_loadu_ps(q + c), _mm256_loadu_ps(keys->mean + c), shift);
        max = _mm256_max_ps(max, _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x[c / 8]));
    }
    float top = pn_top_avx2(max), step = top > 0 ? top / QUERY_TOP : 1;
    for (int c = 0; c < d; c += 8)
        _mm_storeu_si128((__m128i *)(void *)(ret->q + c), round_s16(x[c / 8], step));
    ret->query[0] = step / sqrtf((float)d);
    ret->query[1] = pn_sum_avx2(shift) / sqrtf((float)d);
}

/* 16 bytes times a pair of 16-bit numbers: eight sums of two products. */
static inline __m256i multiply(const int8_t *bytes, __m256i pair)
{
    return _mm256_madd_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)bytes)),
                             pair);
}

static inline __m256i pair_of(const int16_t *x)
{
    int32_t pair;
    memcpy(&pair, x, sizeof(pair));
    return _mm256_set1_epi32(pair);
}

static void score_panel(int d, const int8_t *keys, const float *key_scale, const struct row *r, float *s)
{
    __m256i a = _mm256_setzero_si256(), b = a;
    for (int c = 0; c < d; c += 2) {
        __m256i pair = pair_of(r->q + c);
        a = _mm256_add_epi32(a, multiply(keys + c * PANEL, pair));
        b = _mm256_add_epi32(b, multiply(keys + c * PANEL + 16, pair));
    }
    __m256 scale = _mm256_set1_ps(r->query[0]), shift = _mm256_set1_ps(r->query[1]);
    __m256 first = _mm256_mul_ps(_mm256_loadu_ps(key_scale), scale);
    __m256 second = _mm256_mul_ps(_mm256_loadu_ps(key_scale + 8), scale);
    _mm256_storeu_ps(s, _mm256_fmadd_ps(_mm256_cvtepi32_ps(a), first, shift));
    _mm256_storeu_ps(s + 8, _mm256_fmadd_ps(_mm256_cvtepi32_ps(b), second, shift));
}

/* Probabilities times the values' position scales, in 15 bits; returns their step. */
static float weigh(const struct row *r, int n, const struct packed *p)
{
    __m256 max = _mm256_setzero_ps();
    memset(r->s + n, 0, (size_t)(p->padded - n) * sizeof(float));
    for (int j = 0; j < p->padded; j += 8) {
        __m256 w = _mm256_mul_ps(_mm256_loadu_ps(r->s + j), _mm256_loadu_ps(p->values.scale + j));
        _mm256_storeu_ps(r->s + j, w);
        max = _mm256_max_ps(max, w);
    }
    float top = pn_top_avx2(max), step = top > 0 ? top / TOP : 1;
    for (int j = 0; j < p->padded; j += 8)
        _mm_storeu_si128((__m128i *)(void *)(r->w + j), round_s16(_mm256_loadu_ps(r->s + j), step));
    return step;
}

/* Adds positions [from, to) to the sums of 32 channels, or of the last 16. */
static void add_values(const struct row *r, int from, int to, int d, int c, const int8_t *values)
{
    __m256i a = _mm256_setzero_si256(), b = a, e = a, f = a;
    const int wide = c + 32 <= d;
    for (int j = from; j < to; j += 2) {
        const int8_t *v = values + (size_t)j * (size_t)d + c * 2;
        __m256i pair = pair_of(r->w + j);
        a = _mm256_add_epi32(a, multiply(v, pair));
        b = _mm256_add_epi32(b, multiply(v + 16, pair));
        if (wide) {
            e = _mm256_add_epi32(e, multiply(v + 32, pair));
            f = _mm256_add_epi32(f, multiply(v + 48, pair));
        }
    }
    const __m256i sums[4] = { a, b, e, f };
    for (int i = 0; i < (wide ? 4 : 2); i++) {
        float *sum = r->sum + c + i * 8;
        _mm256_storeu_ps(sum, _mm256_add_ps(_mm256_loadu_ps(sum), _mm256_cvtepi32_ps(sums[i])));
    }
}

static void store_result(const struct row *r, int d, float step, const struct rows_s8 *values, float *out)
{
    for (int c = 0; c < d; c += 8) {
        __m256 scale = _mm256_mul_ps(_mm256_loadu_ps(values->channel + c), _mm256_set1_ps(step));
        __m256 mean = _mm256_loadu_ps(values->mean + c);
        _mm256_storeu_ps(out + c, _mm256_fmadd_ps(_mm256_loadu_ps(r->sum + c), scale, mean));
    }
}

/* Rows take turns at each panel and chunk, so that keys and values come from memory once. */
static void all_scores(const struct pn_attend *a, const struct packed *p)
{
    for (int i = 0; i < a->m; i++) {
        struct row r = row_views(a->scratch, i, p->padded, a->d);
        quantize_query(a->d, a->q + (size_t)i * a->ldq, &p->keys, &r);
    }
    for (int j = 0; j < p->padded; j += PANEL)
        for (int i = 0; i < a->m; i++) {
            struct row r = row_views(a->scratch, i, p->padded, a->d);
            score_panel(a->d, p->keys.q + (size_t)j * (size_t)a->d, p->keys.scale + j, &r, r.s + j);
        }
}

static void all_values(const struct pn_attend *a, const struct packed *p)
{
    for (int j = 0; j < p->padded; j += CHUNK)
        for (int i = 0; i < a->m; i++) {
            struct row r = row_views(a->scratch, i, p->padded, a->d);
            for (int c = 0; c < a->d; c += 32)
                add_values(&r, j, PN_MIN(j + CHUNK, p->padded), a->d, c, p->values.q);
        }
}

/* Steps wait in the place of the queries' scales until the sums are complete. */
static void cross_attention_avx2(const struct pn_attend *a)
{
    struct packed p = packed_views(a->packed, a->n, a->d);
    all_scores(a, &p);
    for (int i = 0; i < a->m; i++) {
        struct row r = row_views(a->scratch, i, p.padded, a->d);
        if (a->scores)
            memcpy(a->scores + (size_t)i * (size_t)a->n, r.s, (size_t)a->n * sizeof(float));
        pn_softmax_avx2(r.s, (size_t)a->n);
        r.query[0] = weigh(&r, a->n, &p);
        memset(r.sum, 0, (size_t)a->d * sizeof(*r.sum));
    }
    all_values(a, &p);
    for (int i = 0; i < a->m; i++) {
        struct row r = row_views(a->scratch, i, p.padded, a->d);
        store_result(&r, a->d, r.query[0], &p.values, a->out + (size_t)i * a->ldo);
    }
}

void pn_kern_cross_avx2(struct pn_kern *k)
{
    k->cross_pack[PN_INT8] = cross_pack_avx2;
    k->cross_attention[PN_INT8] = cross_attention_avx2;
}
