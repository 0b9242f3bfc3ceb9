/* cross_vnni.c - attention of a few queries over s8 keys and values that stream from memory (AVX-512 VNNI).
 *
 * Keys and values take a byte a number, so everything else may cost two products: queries are 15 bits and
 * weights 16, each as two bytes. What is rounded to a byte is a number's distance from its channel's mean (a
 * mean key adds the same to all scores, a mean value is added to the result) over the channel's largest, with
 * a scale per position. Keys are stored as u8 with zero at 128, since VPDPBUSD wants one factor unsigned;
 * what that adds is the query's sum times 128.
 *
 * Packed: largest distances of keys and values [2][d], means [2][d], position scales [2][padded n], keys
 * [padded n / 64][d / 4][64][4], values [padded n / 4][d][4]. n is padded to 64. */
#include "nn/precision.h"
#include "nn/x86/cross.h"
#include "nn/x86/softmax_avx512.h"

#include <string.h>

enum {
    PANEL = 64,
    CHUNK = 256, /* positions of values that stay in the first cache while rows take turns */
    MAX_D = 128,
};

struct packed {
    float *key_channel, *value_channel; /* [d] */
    float *key_mean, *value_mean;       /* [d] */
    float *key_scale, *value_scale;     /* [padded] */
    uint8_t *keys;
    int8_t *values;
    int padded;
};

/* A query's share of the scratch. */
struct row {
    float *s;            /* [padded] scores, then weights */
    int32_t *sum;        /* [2][d] upper and lower sums over values */
    uint8_t *high, *low; /* [padded] weights */
    int8_t *q;           /* [2][d] upper and lower halves of the query */
};

static struct packed packed_views(const void *block, int n, int d)
{
    struct packed p;
    p.padded = (n + PANEL - 1) / PANEL * PANEL;
    p.key_channel = (float *)(uintptr_t)block;
    p.value_channel = p.key_channel + d;
    p.key_mean = p.value_channel + d;
    p.value_mean = p.key_mean + d;
    p.key_scale = p.value_mean + d;
    p.value_scale = p.key_scale + p.padded;
    p.keys = (uint8_t *)(p.value_scale + p.padded);
    p.values = (int8_t *)p.keys + (size_t)p.padded * (size_t)d;
    return p;
}

static struct row row_views(void *scratch, int i, int padded, int d)
{
    size_t n = (size_t)padded, width = (size_t)d;
    struct row r;
    char *at = (char *)scratch + (size_t)i * (6 * n + 10 * width);
    r.s = (float *)(void *)at;
    r.sum = (int32_t *)(void *)(at + 4 * n);
    r.high = (uint8_t *)at + 4 * n + 8 * width;
    r.low = r.high + n;
    r.q = (int8_t *)r.low + n;
    return r;
}

/* Each channel's mean over positions, and its largest distance from it (1 for none). */
static void measure_channels(int n, int d, const float *x, size_t ld, float *mean, float *channel)
{
    for (int c = 0; c < d; c += 16) {
        __m512 sum = _mm512_setzero_ps(), max = sum;
        for (int j = 0; j < n; j++)
            sum = _mm512_add_ps(sum, _mm512_loadu_ps(x + (size_t)j * ld + c));
        sum = _mm512_div_ps(sum, _mm512_set1_ps((float)n));
        for (int j = 0; j < n; j++) {
            __m512 off = _mm512_sub_ps(_mm512_loadu_ps(x + (size_t)j * ld + c), sum);
            max = _mm512_max_ps(max, _mm512_abs_ps(off));
        }
        __mmask16 some = _mm512_cmp_ps_mask(max, _mm512_setzero_ps(), _CMP_GT_OQ);
        _mm512_storeu_ps(mean + c, sum);
        _mm512_storeu_ps(channel + c, _mm512_mask_mov_ps(_mm512_set1_ps(1), some, max));
    }
}

/* d numbers, in units of their channels, as s8 against the largest of them; returns the step. */
static float quantize_s8(int d, const float *x, const float *mean, const float *channel, int8_t *q)
{
    __m512 unit[MAX_D / 16], max = _mm512_setzero_ps();
    for (int c = 0; c < d; c += 16) {
        __m512 off = _mm512_sub_ps(_mm512_loadu_ps(x + c), _mm512_loadu_ps(mean + c));
        unit[c / 16] = _mm512_div_ps(off, _mm512_loadu_ps(channel + c));
        max = _mm512_max_ps(max, _mm512_abs_ps(unit[c / 16]));
    }
    float top = _mm512_reduce_max_ps(max), step = top > 0 ? top / 127 : 1;
    for (int c = 0; c < d; c += 16) {
        __m512i i = _mm512_cvtps_epi32(_mm512_div_ps(unit[c / 16], _mm512_set1_ps(step)));
        _mm_storeu_si128((__m128i *)(q + c), _mm512_cvtsepi32_epi8(i));
    }
    return step;
}

static void pack_key(int j, int d, const int8_t *row, struct packed *p)
{
    uint8_t *to = p->keys + (size_t)(j / PANEL * PANEL) * (size_t)d + j % PANEL * 4;
    for (int c = 0; c < d; c++)
        to[c / 4 * 4 * PANEL + c % 4] = (uint8_t)(row[c] + 128);
}

static void pack_value(int j, int d, const int8_t *row, struct packed *p)
{
    int8_t *to = p->values + (size_t)(j / 4 * 4) * (size_t)d + j % 4;
    for (int c = 0; c < d; c++)
        to[c * 4] = row[c];
}

static void cross_pack_vnni(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                            void *packed)
{
    struct packed p = packed_views(packed, n, d);
    int8_t row[MAX_D] = { 0 };
    measure_channels(n, d, k, ldk, p.key_mean, p.key_channel);
    measure_channels(n, d, v, ldv, p.value_mean, p.value_channel);
    for (int j = 0; j < n; j++) {
        p.key_scale[j] = quantize_s8(d, k + (size_t)j * ldk, p.key_mean, p.key_channel, row);
        pack_key(j, d, row, &p);
        p.value_scale[j] = quantize_s8(d, v + (size_t)j * ldv, p.value_mean, p.value_channel, row);
        pack_value(j, d, row, &p);
    }
    memset(row, 0, sizeof(row));
    for (int j = n; j < p.padded; j++) {
        p.key_scale[j] = p.value_scale[j] = 0;
        pack_key(j, d, row, &p);
        pack_value(j, d, row, &p);
    }
}

/* Four registers of sums, upper or lower. */
struct sums {
    __m512i a, b, c, d;
};

static inline struct sums load_sums(const int32_t *x)
{
    return (struct sums){ _mm512_loadu_si512(x), _mm512_loadu_si512(x + 16), _mm512_loadu_si512(x + 32),
                          _mm512_loadu_si512(x + 48) };
}

static inline void store_sums(int32_t *x, const struct sums *s)
{
    _mm512_storeu_si512(x, s->a);
    _mm512_storeu_si512(x + 16, s->b);
    _mm512_storeu_si512(x + 32, s->c);
    _mm512_storeu_si512(x + 48, s->d);
}

static inline __m512i four_of(const void *bytes)
{
    int32_t four;
    memcpy(&four, bytes, sizeof(four));
    return _mm512_set1_epi32(four);
}

static inline void add_key(struct sums *s, const struct sums *k, const int8_t *q)
{
    __m512i x = four_of(q);
    s->a = _mm512_dpbusd_epi32(s->a, k->a, x);
    s->b = _mm512_dpbusd_epi32(s->b, k->b, x);
    s->c = _mm512_dpbusd_epi32(s->c, k->c, x);
    s->d = _mm512_dpbusd_epi32(s->d, k->d, x);
}

static inline void add_value(struct sums *s, const struct sums *v, const uint8_t *weights)
{
    __m512i x = four_of(weights);
    s->a = _mm512_dpbusd_epi32(s->a, x, v->a);
    s->b = _mm512_dpbusd_epi32(s->b, x, v->b);
    s->c = _mm512_dpbusd_epi32(s->c, x, v->c);
    s->d = _mm512_dpbusd_epi32(s->d, x, v->d);
}

/* What turns a row's sums into scores. */
struct query {
    float scale;
    float shift;    /* its product with the keys' mean */
    int32_t excess; /* 128 times the sum of its numbers: what the keys' zero point adds */
};

enum { TOP = 127 * 128 }; /* of a query's numbers */

/* q / sqrt(d), with the keys' channel scales taken in, as 128 * q[c] + q[d + c]. */
static struct query quantize_query(int d, const float *q, const struct packed *p, int8_t *ret)
{
    __m512 x[MAX_D / 16], max = _mm512_setzero_ps(), shift = max;
    __m512i total = _mm512_setzero_si512();
    for (int c = 0; c < d; c += 16) {
        x[c / 16] = _mm512_mul_ps(_mm512_loadu_ps(q + c), _mm512_loadu_ps(p->key_channel + c));
        shift = _mm512_fmadd_ps(_mm512_loadu_ps(q + c), _mm512_loadu_ps(p->key_mean + c), shift);
        max = _mm512_max_ps(max, _mm512_abs_ps(x[c / 16]));
    }
    float top = _mm512_reduce_max_ps(max), step = top > 0 ? top / TOP : 1;
    for (int c = 0; c < d; c += 16) {
        __m512i all = _mm512_cvtps_epi32(_mm512_div_ps(x[c / 16], _mm512_set1_ps(step)));
        all = _mm512_max_epi32(all, _mm512_set1_epi32(-TOP)); /* what is not a number became INT32_MIN */
        __m512i high = _mm512_srai_epi32(_mm512_add_epi32(all, _mm512_set1_epi32(64)), 7);
        total = _mm512_add_epi32(total, all);
        _mm_storeu_si128((__m128i *)(ret + c), _mm512_cvtsepi32_epi8(high));
        __m512i low = _mm512_sub_epi32(all, _mm512_slli_epi32(high, 7));
        _mm_storeu_si128((__m128i *)(ret + d + c), _mm512_cvtsepi32_epi8(low));
    }
    float scale = 1 / sqrtf((float)d);
    return (struct query){ step * scale, _mm512_reduce_add_ps(shift) * scale,
                           128 * _mm512_reduce_add_epi32(total) };
}

static inline void store_scores(float *s, __m512i high, __m512i low, const float *key_scale, struct query q)
{
    __m512i dot = _mm512_add_epi32(_mm512_slli_epi32(high, 7), low);
    __m512 x = _mm512_cvtepi32_ps(_mm512_sub_epi32(dot, _mm512_set1_epi32(q.excess)));
    __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(key_scale), _mm512_set1_ps(q.scale));
    _mm512_storeu_ps(s, _mm512_fmadd_ps(x, scale, _mm512_set1_ps(q.shift)));
}

static void score_panel(int d, const uint8_t *keys, const float *key_scale, const int8_t *q,
                        struct query query, float *s)
{
    const __m512i zero = _mm512_setzero_si512();
    struct sums high = { zero, zero, zero, zero }, low = high;
    for (int c = 0; c < d; c += 4) {
        struct sums k = load_sums((const int32_t *)(const void *)(keys + c * PANEL));
        add_key(&high, &k, q + c);
        add_key(&low, &k, q + d + c);
    }
    store_scores(s, high.a, low.a, key_scale, query);
    store_scores(s + 16, high.b, low.b, key_scale + 16, query);
    store_scores(s + 32, high.c, low.c, key_scale + 32, query);
    store_scores(s + 48, high.d, low.d, key_scale + 48, query);
}

/* A panel's values, which are wanted next: memory goes on working during the softmax. */
static inline void prefetch_values(int d, const int8_t *values)
{
    for (int i = 0; i < PANEL * d; i += 64)
        _mm_prefetch((const char *)values + i, _MM_HINT_T1);
}

/* Rows are scored panel by panel, in turns, so that keys come from memory once. */
static void all_scores(const struct pn_attend *a, const struct packed *p)
{
    struct query query[16];
    for (int from = 0; from < a->m; from += 16) {
        int to = PN_MIN(a->m, from + 16);
        for (int i = from; i < to; i++)
            query[i - from] = quantize_query(a->d, a->q + (size_t)i * a->ldq, p,
                                             row_views(a->scratch, i, p->padded, a->d).q);
        for (int j = 0; j < p->padded; j += PANEL) {
            prefetch_values(a->d, p->values + (size_t)j * (size_t)a->d);
            for (int i = from; i < to; i++) {
                struct row r = row_views(a->scratch, i, p->padded, a->d);
                score_panel(a->d, p->keys + (size_t)j * (size_t)a->d, p->key_scale + j, r.q, query[i - from],
                            r.s + j);
            }
        }
    }
}

/* Probabilities times the values' position scales, as 256 * high + low against the largest, whose step is
 * returned. */
static float weigh(const struct row *r, int n, const struct packed *p)
{
    __m512 max = _mm512_setzero_ps();
    memset(r->s + n, 0, (size_t)(p->padded - n) * sizeof(float));
    for (int j = 0; j < p->padded; j += 16) {
        __m512 w = _mm512_mul_ps(_mm512_loadu_ps(r->s + j), _mm512_loadu_ps(p->value_scale + j));
        _mm512_storeu_ps(r->s + j, w);
        max = _mm512_max_ps(max, w);
    }
    float top = _mm512_reduce_max_ps(max), step = top > 0 ? top / 65535 : 1;
    __m512 per_step = _mm512_set1_ps(1 / step);
    for (int j = 0; j < p->padded; j += 16) {
        __m512i w = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(r->s + j), per_step));
        w = _mm512_min_epi32(w, _mm512_set1_epi32(65535));
        _mm_storeu_si128((__m128i *)(r->high + j), _mm512_cvtepi32_epi8(_mm512_srli_epi32(w, 8)));
        _mm_storeu_si128((__m128i *)(r->low + j), _mm512_cvtepi32_epi8(w));
    }
    return step;
}

/* Adds positions [from, to) to 64 channels' sums: the uppers at `sum`, the lowers at `sum + d`. */
static void add_values(const struct row *r, int from, int to, int d, const int8_t *values, int32_t *sum)
{
    struct sums high = load_sums(sum), low = load_sums(sum + d);
    for (int j = from; j < to; j += 4) {
        struct sums v = load_sums((const int32_t *)(const void *)(values + (size_t)j * (size_t)d));
        add_value(&high, &v, r->high + j);
        add_value(&low, &v, r->low + j);
    }
    store_sums(sum, &high);
    store_sums(sum + d, &low);
}

/* The same for 16 channels: head widths that are no multiple of 64. */
static void add_values16(const struct row *r, int from, int to, int d, const int8_t *values, int32_t *sum)
{
    __m512i high = _mm512_loadu_si512(sum), low = _mm512_loadu_si512(sum + d);
    for (int j = from; j < to; j += 4) {
        __m512i v = _mm512_loadu_si512(values + (size_t)j * (size_t)d);
        high = _mm512_dpbusd_epi32(high, four_of(r->high + j), v);
        low = _mm512_dpbusd_epi32(low, four_of(r->low + j), v);
    }
    _mm512_storeu_si512(sum, high);
    _mm512_storeu_si512(sum + d, low);
}

static void add_chunk(const struct row *r, int from, int to, int d, const int8_t *values)
{
    int c = 0;
    for (; c + PANEL <= d; c += PANEL)
        add_values(r, from, to, d, values + c * 4, r->sum + c);
    for (; c < d; c += 16)
        add_values16(r, from, to, d, values + c * 4, r->sum + c);
}

static void store_result(const struct row *r, int d, float step, const struct packed *p, float *out)
{
    for (int c = 0; c < d; c += 16) {
        __m512 high = _mm512_cvtepi32_ps(_mm512_loadu_si512(r->sum + c));
        __m512 low = _mm512_cvtepi32_ps(_mm512_loadu_si512(r->sum + d + c));
        __m512 x = _mm512_fmadd_ps(high, _mm512_set1_ps(256), low);
        __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(p->value_channel + c), _mm512_set1_ps(step));
        _mm512_storeu_ps(out + c, _mm512_fmadd_ps(x, scale, _mm512_loadu_ps(p->value_mean + c)));
    }
}

/* Steps wait in `out`, which has room for one number at least, until the sums are complete. */
static void cross_attention_vnni(const struct pn_attend *a)
{
    struct packed p = packed_views(a->packed, a->n, a->d);
    all_scores(a, &p);
    for (int i = 0; i < a->m; i++) {
        struct row r = row_views(a->scratch, i, p.padded, a->d);
        if (a->scores)
            memcpy(a->scores + (size_t)i * (size_t)a->n, r.s, (size_t)a->n * sizeof(float));
        pn_softmax_avx512(r.s, (size_t)a->n);
        a->out[(size_t)i * a->ldo] = weigh(&r, a->n, &p);
        memset(r.sum, 0, 2 * (size_t)a->d * sizeof(*r.sum));
    }
    for (int j = 0; j < p.padded; j += CHUNK)
        for (int i = 0; i < a->m; i++) {
            struct row r = row_views(a->scratch, i, p.padded, a->d);
            add_chunk(&r, j, PN_MIN(j + CHUNK, p.padded), a->d, p.values);
        }
    for (int i = 0; i < a->m; i++) {
        struct row r = row_views(a->scratch, i, p.padded, a->d);
        float *out = a->out + (size_t)i * a->ldo;
        store_result(&r, a->d, *out, &p, out);
    }
}

void pn_kern_cross_vnni(struct pn_kern *k)
{
    k->cross_pack[PN_INT8] = cross_pack_vnni;
    k->cross_attention[PN_INT8] = cross_attention_vnni;
}
