/* attention_avx2.c - attention in f32 with AVX2 and FMA.
 *
 * Packed: keys [padded n / 16][d][16], transposed, so that 16 scores of a query are sums side by side; values
 * [d / 16][padded n][16]. n is padded to 16, with zeros. Twelve queries at a time get all their scores, their
 * softmax, and their sums over values. */
#include "nn/kern_levels.h"
#include "nn/precision.h"
#include "nn/x86/cross.h"
#include "nn/x86/softmax_avx2.h"

#include <string.h>

enum {
    TILE = 6, /* rows of a register tile: 12 sums, two numbers of y, one of x */
    ROWS = 2 * TILE,
    PANEL = 16,
    CHUNK = 256, /* positions of values that stay in the first cache while tiles take turns */
    MAX_D = 128,
};

static int padded_to_panel(int n)
{
    return (n + PANEL - 1) / PANEL * PANEL;
}

static void pack_f32(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    size_t padded = (size_t)padded_to_panel(n);
    float *keys = packed, *values = keys + padded * (size_t)d;
    memset(packed, 0, 2 * padded * (size_t)d * sizeof(float));
    for (int j = 0; j < n; j++) {
        float *key = keys + (size_t)(j / PANEL * PANEL) * (size_t)d + j % PANEL;
        for (int c = 0; c < d; c++)
            key[c * PANEL] = k[(size_t)j * ldk + (size_t)c];
        for (int c = 0; c < d; c += PANEL)
            memcpy(values + ((size_t)c * padded + (size_t)j * PANEL), v + (size_t)j * ldv + c,
                   PANEL * sizeof(float));
    }
}

/* A row's sums over 16 columns. */
struct sums {
    __m256 a, b;
};

static inline struct sums load_sums(const float *y)
{
    return (struct sums){ _mm256_loadu_ps(y), _mm256_loadu_ps(y + 8) };
}

static inline void add_scaled(struct sums *s, const float *x, const struct sums *y)
{
    __m256 f = _mm256_broadcast_ss(x);
    s->a = _mm256_fmadd_ps(f, y->a, s->a);
    s->b = _mm256_fmadd_ps(f, y->b, s->b);
}

static inline void store_sums(const struct sums *s, float *to)
{
    _mm256_storeu_ps(to, s->a);
    _mm256_storeu_ps(to + 8, s->b);
}

/* ret[r][j] += sum over i < n of x[r][i] y[i][j] for a tile of rows and 16 columns. */
static void product(int n, const float *x, size_t ldx, const float *y, float *ret, size_t ldr)
{
    struct sums r0 = load_sums(ret), r1 = load_sums(ret + ldr), r2 = load_sums(ret + 2 * ldr);
    struct sums r3 = load_sums(ret + 3 * ldr), r4 = load_sums(ret + 4 * ldr), r5 = load_sums(ret + 5 * ldr);
    for (int i = 0; i < n; i++, x++, y += PANEL) {
        struct sums in = load_sums(y);
        add_scaled(&r0, x, &in);
        add_scaled(&r1, x + ldx, &in);
        add_scaled(&r2, x + 2 * ldx, &in);
        add_scaled(&r3, x + 3 * ldx, &in);
        add_scaled(&r4, x + 4 * ldx, &in);
        add_scaled(&r5, x + 5 * ldx, &in);
    }
    store_sums(&r0, ret);
    store_sums(&r1, ret + ldr);
    store_sums(&r2, ret + 2 * ldr);
    store_sums(&r3, ret + 3 * ldr);
    store_sums(&r4, ret + 4 * ldr);
    store_sums(&r5, ret + 5 * ldr);
}

/* The same for one row; `ldy` numbers lie between rows of y. */
static void product_row(int n, const float *x, const float *y, size_t ldy, float *ret)
{
    struct sums sums = load_sums(ret);
    for (int i = 0; i < n; i++) {
        struct sums in = load_sums(y + (size_t)i * ldy);
        add_scaled(&sums, x + i, &in);
    }
    store_sums(&sums, ret);
}

static void load_query(const float *q, int d, float *to)
{
    for (int c = 0; c < d; c++)
        to[c] = q[c] * (1 / sqrtf((float)d));
}

/* Copies scores out where wanted, turns them into probabilities. */
static void finish_scores(const struct pn_attend *a, int i, float *s)
{
    if (a->scores)
        memcpy(a->scores + (size_t)i * (size_t)a->n, s, (size_t)a->n * sizeof(float));
    pn_softmax_avx2(s, (size_t)a->n);
}

/* Queries [from, from + rows), rows <= ROWS; s is [ROWS][padded]. Missing rows are computed as zeros. */
static void attend_rows(const struct pn_attend *a, int from, int rows, float *s)
{
    float q[ROWS][MAX_D] = { 0 }, out[ROWS][MAX_D] = { 0 };
    size_t padded = (size_t)padded_to_panel(a->n), d = (size_t)a->d;
    const float *keys = a->packed, *values = keys + padded * d;
    for (int r = 0; r < rows; r++)
        load_query(a->q + (size_t)(from + r) * a->ldq, a->d, q[r]);
    memset(s, 0, ROWS * padded * sizeof(*s));
    for (size_t j = 0; j < padded; j += PANEL)
        for (size_t r = 0; r < (size_t)rows; r += TILE)
            product(a->d, q[r], MAX_D, keys + j * d, s + r * padded + j, padded);
    for (int r = 0; r < rows; r++)
        finish_scores(a, from + r, s + (size_t)r * padded);
    for (int c = 0; c < a->d; c += PANEL)
        for (int j = 0; j < a->n; j += CHUNK)
            for (size_t r = 0; r < (size_t)rows; r += TILE)
                product(PN_MIN(CHUNK, a->n - j), s + r * padded + j, padded,
                        values + (size_t)c * padded + (size_t)j * PANEL, out[r] + c, MAX_D);
    for (int r = 0; r < rows; r++)
        memcpy(a->out + (size_t)(from + r) * a->ldo, out[r], d * sizeof(float));
}

static void attention_f32(const struct pn_attend *a)
{
    for (int i = 0; i < a->m; i += ROWS)
        attend_rows(a, i, PN_MIN(ROWS, a->m - i), a->scratch);
}

/* Rows take turns at each panel, which is read from memory once; s is [m][padded]. */
static void cross_attention_f32(const struct pn_attend *a)
{
    size_t padded = (size_t)padded_to_panel(a->n), m = (size_t)a->m, d = (size_t)a->d;
    const float *keys = a->packed, *values = keys + padded * d;
    float q[MAX_D], *s = a->scratch;
    memset(s, 0, m * padded * sizeof(*s));
    for (size_t j = 0; j < padded; j += PANEL)
        for (size_t i = 0; i < m; i++) {
            load_query(a->q + i * a->ldq, a->d, q);
            product_row(a->d, q, keys + j * d, PANEL, s + i * padded + j);
        }
    for (size_t i = 0; i < m; i++) {
        finish_scores(a, (int)i, s + i * padded);
        memset(a->out + i * a->ldo, 0, d * sizeof(float));
    }
    for (size_t c = 0; c < d; c += PANEL)
        for (int j = 0; j < a->n; j += CHUNK)
            for (size_t i = 0; i < m; i++)
                product_row(PN_MIN(CHUNK, a->n - j), s + i * padded + j,
                            values + c * padded + (size_t)j * PANEL, PANEL, a->out + i * a->ldo + c);
}

static void self_attention_avx2(const struct pn_attend *a, const float *k, const float *v, size_t ldkv)
{
    float q[MAX_D], *s = a->scratch;
    load_query(a->q, a->d, q);
    for (int j = 0; j < a->n; j++) {
        __m256 x = _mm256_setzero_ps(), y = x;
        for (int c = 0; c < a->d; c += 16) {
            const float *key = k + (size_t)j * ldkv + c;
            x = _mm256_fmadd_ps(_mm256_loadu_ps(q + c), _mm256_loadu_ps(key), x);
            y = _mm256_fmadd_ps(_mm256_loadu_ps(q + c + 8), _mm256_loadu_ps(key + 8), y);
        }
        s[j] = pn_sum_avx2(_mm256_add_ps(x, y));
    }
    finish_scores(a, 0, s);
    memset(a->out, 0, (size_t)a->d * sizeof(float));
    for (int c = 0; c < a->d; c += PANEL)
        product_row(a->n, s, v + c, ldkv, a->out + c);
}

void pn_kern_attention_avx2(struct pn_kern *k)
{
    k->attention_pack[PN_F32] = k->attention_pack[PN_INT8] = pack_f32;
    k->attention[PN_F32] = k->attention[PN_INT8] = attention_f32;
    k->cross_pack[PN_F32] = pack_f32;
    k->cross_attention[PN_F32] = cross_attention_f32;
    k->self_attention = self_attention_avx2;
    pn_kern_cross_avx2(k);
}
