/* attention_avx512.c - attention in f32 with AVX-512.
 *
 * Packed: keys [padded n / 64][d][64], transposed, so that 64 scores of a query are sums side by side; values
 * [padded n][d]. Padding is zeros. The encoder's pads n to 128, the decoder's to 64. */
#include "nn/kern_levels.h"
#include "nn/precision.h"
#include "nn/x86/flash_avx512.h"

#include <math.h>

enum { TILE = PN_FLASH_TILE, KEYS = PN_FLASH_KEYS, PANEL = 64 };

/* What a block of rows works on; lies in the caller's scratch. */
struct work {
    struct pn_flash_tile tile[PN_FLASH_TILES];
    float q[PN_FLASH_ROWS][PN_FLASH_MAX_D]; /* scaled by 1 / sqrt(d) */
};

static int padded_to(int n, int to)
{
    return (n + to - 1) / to * to;
}

static void pack_f32(int n, int padded, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                     float *packed)
{
    float *values = packed + (size_t)padded * (size_t)d;
    for (int j = 0; j < padded; j++) {
        float *at = packed + (size_t)(j / PANEL * PANEL) * (size_t)d + j % PANEL;
        for (int c = 0; c < d; c++)
            at[c * PANEL] = j < n ? k[(size_t)j * ldk + (size_t)c] : 0;
    }
    for (int j = 0; j < n; j++)
        memcpy(values + (size_t)j * (size_t)d, v + (size_t)j * ldv, (size_t)d * sizeof(float));
    memset(values + (size_t)n * (size_t)d, 0, (size_t)(padded - n) * (size_t)d * sizeof(float));
}

static void attention_pack_f32(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                               void *packed)
{
    pack_f32(n, padded_to(n, KEYS), d, k, ldk, v, ldv, packed);
}

/* A row's sums over four registers of 16 columns. */
struct sums {
    __m512 a, b, c, d;
};

static inline struct sums load_sums(const float *y)
{
    return (struct sums){ _mm512_loadu_ps(y), _mm512_loadu_ps(y + 16), _mm512_loadu_ps(y + 32),
                          _mm512_loadu_ps(y + 48) };
}

static inline void add_scaled(struct sums *s, const float *x, const struct sums *y)
{
    __m512 f = _mm512_set1_ps(*x);
    s->a = _mm512_fmadd_ps(f, y->a, s->a);
    s->b = _mm512_fmadd_ps(f, y->b, s->b);
    s->c = _mm512_fmadd_ps(f, y->c, s->c);
    s->d = _mm512_fmadd_ps(f, y->d, s->d);
}

static inline void store_sums(const struct sums *s, float *to)
{
    _mm512_storeu_ps(to, s->a);
    _mm512_storeu_ps(to + 16, s->b);
    _mm512_storeu_ps(to + 32, s->c);
    _mm512_storeu_ps(to + 48, s->d);
}

/* ret[r][j] += sum over i < n of x[r][i] y[i][j] for a tile of rows and 64 columns. Rows are variables of
 * their own, not an array, because gcc would keep an array of sums in memory. */
static void product(int n, const float *x, size_t ldx, const float *y, size_t ldy, float *ret, size_t ldr)
{
    struct sums r0 = load_sums(ret), r1 = load_sums(ret + ldr), r2 = load_sums(ret + 2 * ldr);
    struct sums r3 = load_sums(ret + 3 * ldr), r4 = load_sums(ret + 4 * ldr), r5 = load_sums(ret + 5 * ldr);
    for (int i = 0; i < n; i++, x++, y += ldy) {
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

/* The same for one row. */
static void product_row(int n, const float *x, const float *y, size_t ldy, float *ret)
{
    struct sums sums = load_sums(ret);
    for (int i = 0; i < n; i++) {
        struct sums in = load_sums(y + (size_t)i * ldy);
        add_scaled(&sums, x + i, &in);
    }
    store_sums(&sums, ret);
}

/* One row and 16 columns: head widths that are no multiple of 64. */
static void product_row16(int n, const float *x, const float *y, size_t ldy, float *ret)
{
    __m512 sum = _mm512_loadu_ps(ret);
    for (int i = 0; i < n; i++)
        sum = _mm512_fmadd_ps(_mm512_set1_ps(x[i]), _mm512_loadu_ps(y + (size_t)i * ldy), sum);
    _mm512_storeu_ps(ret, sum);
}

/* Scores to probabilities against the largest score so far; sums so far are scaled down to it. */
static void probabilities(struct pn_flash_tile *t, int d)
{
    for (int r = 0; r < TILE; r++) {
        __m512 max = _mm512_set1_ps(t->max[r]), shrink = _mm512_set1_ps(t->shrink[r]);
        __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(t->sum[r]), shrink);
        for (int j = 0; j < KEYS; j += 16) {
            __m512 p = pn_exp_below_avx512(_mm512_loadu_ps(t->s[r] + j), max);
            _mm512_storeu_ps(t->s[r] + j, p);
            sum = _mm512_add_ps(sum, p);
        }
        _mm512_storeu_ps(t->sum[r], sum);
        for (int c = 0; c < d; c += 16)
            _mm512_storeu_ps(t->out[r] + c, _mm512_mul_ps(_mm512_loadu_ps(t->out[r] + c), shrink));
    }
}

static void add_values(struct pn_flash_tile *t, int d, const float *values)
{
    int c = 0;
    for (; c + PANEL <= d; c += PANEL)
        product(KEYS, t->s[0], KEYS, values + c, (size_t)d, t->out[0] + c, PN_FLASH_MAX_D);
    for (; c < d; c += 16)
        for (int r = 0; r < TILE; r++)
            product_row16(KEYS, t->s[r], values + c, (size_t)d, t->out[r] + c);
}

static void load_query(const float *q, int d, float *to)
{
    for (int c = 0; c < d; c++)
        to[c] = q[c] * (1 / sqrtf((float)d));
}

/* One tile against one block of keys. */
static void attend_block(const struct pn_attend *a, struct work *w, int tile, int from, int block, int rows)
{
    struct pn_flash_tile *t = &w->tile[tile];
    size_t at = (size_t)block * KEYS, d = (size_t)a->d;
    const float *keys = a->packed, *values = keys + (size_t)padded_to(a->n, KEYS) * d;
    memset(t->s, 0, sizeof(t->s));
    for (int j = 0; j < KEYS; j += PANEL)
        product(a->d, w->q[tile * TILE], PN_FLASH_MAX_D, keys + (at + (size_t)j) * d, PANEL, t->s[0] + j,
                KEYS);
    float *scores = a->scores ? a->scores + (size_t)(from + tile * TILE) * (size_t)a->n + at : NULL;
    pn_flash_scan(t, PN_MIN(KEYS, a->n - (int)at), scores, a->n, rows);
    probabilities(t, a->d);
    add_values(t, a->d, values + at * d);
}

static void attention_f32(const struct pn_attend *a)
{
    struct work *w = a->scratch;
    for (int i = 0; i < a->m; i += PN_FLASH_ROWS) {
        int rows = PN_MIN(PN_FLASH_ROWS, a->m - i), tiles = (rows + TILE - 1) / TILE;
        memset(w->q, 0, sizeof(w->q));
        for (int r = 0; r < rows; r++)
            load_query(a->q + (size_t)(i + r) * a->ldq, a->d, w->q[r]);
        for (int t = 0; t < tiles; t++)
            pn_flash_start(&w->tile[t]);
        for (int block = 0; block < padded_to(a->n, KEYS) / KEYS; block++)
            for (int t = 0; t < tiles; t++)
                attend_block(a, w, t, i, block, rows - t * TILE);
        for (int t = 0; t < tiles; t++)
            pn_flash_finish(&w->tile[t], PN_MIN(TILE, rows - t * TILE), a->d, NULL,
                            a->out + (size_t)(i + t * TILE) * a->ldo, a->ldo);
    }
}

static void cross_pack_f32(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv, void *packed)
{
    pack_f32(n, padded_to(n, PANEL), d, k, ldk, v, ldv, packed);
}

/* Rows take turns at each panel, which is read from memory once; s is [m][padded]. */
static void cross_scores(const struct pn_attend *a, int padded, float *s)
{
    float q[PN_FLASH_MAX_D];
    memset(s, 0, (size_t)a->m * (size_t)padded * sizeof(*s));
    for (int j = 0; j < padded; j += PANEL)
        for (int i = 0; i < a->m; i++) {
            load_query(a->q + (size_t)i * a->ldq, a->d, q);
            product_row(a->d, q, (const float *)a->packed + (size_t)j * (size_t)a->d, PANEL,
                        s + (size_t)i * (size_t)padded + j);
        }
}

static void cross_values(const struct pn_attend *a, int padded, const float *p)
{
    const float *values = (const float *)a->packed + (size_t)padded * (size_t)a->d;
    for (int i = 0; i < a->m; i++)
        memset(a->out + (size_t)i * a->ldo, 0, (size_t)a->d * sizeof(float));
    for (int j = 0; j < a->n; j += PANEL)
        for (int i = 0; i < a->m; i++) {
            const float *row = p + (size_t)i * (size_t)padded + j, *v = values + (size_t)j * (size_t)a->d;
            int count = PN_MIN(PANEL, a->n - j), c = 0;
            for (; c + PANEL <= a->d; c += PANEL)
                product_row(count, row, v + c, (size_t)a->d, a->out + (size_t)i * a->ldo + c);
            for (; c < a->d; c += 16)
                product_row16(count, row, v + c, (size_t)a->d, a->out + (size_t)i * a->ldo + c);
        }
}

static void cross_attention_f32(const struct pn_attend *a)
{
    int padded = padded_to(a->n, PANEL);
    float *s = a->scratch;
    cross_scores(a, padded, s);
    for (int i = 0; i < a->m; i++) {
        float *row = s + (size_t)i * (size_t)padded;
        if (a->scores)
            memcpy(a->scores + (size_t)i * (size_t)a->n, row, (size_t)a->n * sizeof(float));
        pn_softmax_avx512(row, (size_t)a->n);
    }
    cross_values(a, padded, s);
}

static void self_attention_avx512(const struct pn_attend *a, const float *k, const float *v, size_t ldkv)
{
    float q[PN_FLASH_MAX_D], *s = a->scratch;
    load_query(a->q, a->d, q);
    for (int j = 0; j < a->n; j++) {
        __m512 sum = _mm512_setzero_ps();
        for (int c = 0; c < a->d; c += 16)
            sum = _mm512_fmadd_ps(_mm512_loadu_ps(q + c), _mm512_loadu_ps(k + (size_t)j * ldkv + c), sum);
        s[j] = _mm512_reduce_add_ps(sum);
    }
    if (a->scores)
        memcpy(a->scores, s, (size_t)a->n * sizeof(float));
    pn_softmax_avx512(s, (size_t)a->n);
    memset(a->out, 0, (size_t)a->d * sizeof(float));
    int c = 0;
    for (; c + PANEL <= a->d; c += PANEL)
        product_row(a->n, s, v + c, ldkv, a->out + c);
    for (; c < a->d; c += 16)
        product_row16(a->n, s, v + c, ldkv, a->out + c);
}

void pn_kern_attention_avx512(struct pn_kern *k)
{
    k->attention_pack[PN_F32] = k->attention_pack[PN_INT8] = attention_pack_f32;
    k->attention[PN_F32] = k->attention[PN_INT8] = attention_f32;
    k->cross_pack[PN_F32] = cross_pack_f32;
    k->cross_attention[PN_F32] = cross_attention_f32;
    k->self_attention = self_attention_avx512;
}
