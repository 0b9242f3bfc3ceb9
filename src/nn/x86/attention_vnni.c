/* attention_vnni.c - the encoder's attention in 16-bit integers (AVX-512 VNNI).
 *
 * VPDPWSSD multiplies twice as many numbers as an f32 FMA and adds them exactly
 * in 32 bits, as fast as AVX-512 FP16 and without its roundings. Queries and
 * keys are s16 with a scale per position, values with a scale per channel,
 * probabilities are 2^12 times their value against the largest of their block
 * of 128. No sum can overflow: 128 * 4096 * 4095 < 2^31, over channels as over
 * keys.
 *
 * Packed: [padded n] key scales, [d] value scales, keys [padded n / 64][d /
 * 2][64][2], values [padded n / 2][d][2], pairs of positions in the order in
 * which VPACKSSDW leaves probabilities. */
#include "nn/kern_levels.h"
#include "nn/precision.h"
#include "nn/x86/cross.h"
#include "nn/x86/flash_avx512.h"

#include <math.h>

enum {
    TILE = PN_FLASH_TILE,
    KEYS = PN_FLASH_KEYS,
    PANEL = 64,
    LIMIT = 4095,
    ONE = 12 /* bits */
};

struct packed {
    float *key_scale;   /* [padded] */
    float *value_scale; /* [d] */
    int16_t *keys, *values;
    int padded;
};

/* What a block of rows works on; lies in the caller's scratch. */
struct work {
    struct pn_flash_tile tile[PN_FLASH_TILES];
    int16_t q[PN_FLASH_ROWS][PN_FLASH_MAX_D];
    float q_scale[PN_FLASH_ROWS];
    int16_t p[TILE][KEYS];
};

static struct packed packed_views(const void *block, int n, int d)
{
    struct packed p;
    p.padded = (n + KEYS - 1) / KEYS * KEYS;
    p.key_scale = (float *)(uintptr_t)block;
    p.value_scale = p.key_scale + p.padded;
    p.keys = (int16_t *)(p.value_scale + PN_FLASH_MAX_D);
    p.values = p.keys + (size_t)p.padded * (size_t)d;
    return p;
}

static float step_for(float max)
{
    return max > 0 ? max / LIMIT : 1;
}

static __m512 absmax16(__m512 max, const float *x)
{
    return _mm512_max_ps(max, _mm512_abs_ps(_mm512_loadu_ps(x)));
}

/* Rounds d numbers to s16 against their largest magnitude; returns the step. */
static float quantize_s16(int d, const float *x, int16_t *q)
{
    __m512 max = _mm512_setzero_ps();
    for (int c = 0; c < d; c += 16)
        max = absmax16(max, x + c);
    float step = step_for(_mm512_reduce_max_ps(max));
    for (int c = 0; c < d; c += 16) {
        __m512i i = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x + c), _mm512_set1_ps(1 / step)));
        _mm256_storeu_si256((__m256i *)(q + c), _mm512_cvtsepi32_epi16(i));
    }
    return step;
}

static void pack_keys(int n, int d, const float *k, size_t ldk, struct packed *p)
{
    int16_t row[PN_FLASH_MAX_D];
    for (int j = 0; j < p->padded; j++) {
        int16_t *at = p->keys + (size_t)(j / PANEL * PANEL) * (size_t)d + j % PANEL * 2;
        memset(row, 0, sizeof(row));
        p->key_scale[j] = j < n ? quantize_s16(d, k + (size_t)j * ldk, row) : 0;
        for (int c = 0; c < d; c += 2)
            memcpy(at + (size_t)c * PANEL, row + c, 2 * sizeof(*row));
    }
}

/* Which key of a group of 32 stands first in pair i: VPACKSSDW of keys 0-15 and
 * 16-31 takes four of each by turns. */
static int pair_key(int i)
{
    return (i >> 1 & 1) * 16 + (i >> 2) * 4 + (i & 1) * 2;
}

/* 16 channels of a pair of positions; one that is not there is zeros. */
static void pack_value_pair(const float *v0, const float *v1, const float *inverse, int16_t *to)
{
    __m512 scale = _mm512_loadu_ps(inverse);
    __m512i a = _mm512_setzero_si512(), b = a;
    if (v0)
        a = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(v0), scale));
    if (v1)
        b = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(v1), scale));
    a = _mm512_and_si512(a, _mm512_set1_epi32(0xffff));
    _mm512_storeu_si512(to, _mm512_or_si512(a, _mm512_slli_epi32(b, 16)));
}

static void pack_values(int n, int d, const float *v, size_t ldv, struct packed *p)
{
    float inverse[PN_FLASH_MAX_D];
    for (int c = 0; c < d; c += 16) {
        __m512 max = _mm512_setzero_ps();
        for (int j = 0; j < n; j++)
            max = absmax16(max, v + (size_t)j * ldv + c);
        _mm512_storeu_ps(inverse + c, max);
    }
    for (int c = 0; c < d; c++) {
        p->value_scale[c] = step_for(inverse[c]);
        inverse[c] = 1 / p->value_scale[c];
    }
    for (int pair = 0; pair < p->padded / 2; pair++) {
        int j = pair / 16 * 32 + pair_key(pair % 16);
        const float *v0 = j < n ? v + (size_t)j * ldv : NULL,
                    *v1 = j + 1 < n ? v + (size_t)(j + 1) * ldv : NULL;
        for (int c = 0; c < d; c += 16)
            pack_value_pair(v0 ? v0 + c : NULL, v1 ? v1 + c : NULL, inverse + c,
                            p->values + ((size_t)pair * (size_t)d + (size_t)c) * 2);
    }
}

static void attention_pack_s16(int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                               void *packed)
{
    struct packed p = packed_views(packed, n, d);
    pack_keys(n, d, k, ldk, &p);
    pack_values(n, d, v, ldv, &p);
}

/* A row's sums over four registers of 16 columns. */
struct sums {
    __m512i a, b, c, d;
};

static inline void add_pair(struct sums *s, const int16_t *pair, const struct sums *y)
{
    int32_t both;
    memcpy(&both, pair, sizeof(both));
    __m512i x = _mm512_set1_epi32(both);
    s->a = _mm512_dpwssd_epi32(s->a, x, y->a);
    s->b = _mm512_dpwssd_epi32(s->b, x, y->b);
    s->c = _mm512_dpwssd_epi32(s->c, x, y->c);
    s->d = _mm512_dpwssd_epi32(s->d, x, y->d);
}

static inline void store_sums(const struct sums *s, int32_t *to)
{
    _mm512_storeu_si512(to, s->a);
    _mm512_storeu_si512(to + 16, s->b);
    _mm512_storeu_si512(to + 32, s->c);
    _mm512_storeu_si512(to + 48, s->d);
}

/* ret[r][j] = sum over i < n of x[r][i] y[i / 2][j][i % 2] for a tile of rows and 64 columns; `step` numbers
 * lie between one pair of y and the next. Rows are variables of their own, not an array, because gcc would
 * keep an array of sums in memory. */
static __attribute__((noinline)) void product(int n, const int16_t *x, size_t ldx, const int16_t *y,
                                              size_t step, int32_t (*ret)[PANEL])
{
    struct sums z = { _mm512_setzero_si512(), _mm512_setzero_si512(), _mm512_setzero_si512(),
                      _mm512_setzero_si512() };
    struct sums r0 = z, r1 = z, r2 = z, r3 = z, r4 = z, r5 = z;
    for (int i = 0; i < n; i += 2, x += 2, y += step) {
        struct sums in = { _mm512_loadu_si512(y), _mm512_loadu_si512(y + 32), _mm512_loadu_si512(y + 64),
                           _mm512_loadu_si512(y + 96) };
        add_pair(&r0, x, &in);
        add_pair(&r1, x + ldx, &in);
        add_pair(&r2, x + 2 * ldx, &in);
        add_pair(&r3, x + 3 * ldx, &in);
        add_pair(&r4, x + 4 * ldx, &in);
        add_pair(&r5, x + 5 * ldx, &in);
    }
    store_sums(&r0, ret[0]);
    store_sums(&r1, ret[1]);
    store_sums(&r2, ret[2]);
    store_sums(&r3, ret[3]);
    store_sums(&r4, ret[4]);
    store_sums(&r5, ret[5]);
}

/* The same for 16 columns: head widths that are no multiple of 64. */
static void product16(int n, const int16_t *x, size_t ldx, const int16_t *y, size_t step,
                      int32_t (*ret)[PANEL])
{
    for (int r = 0; r < TILE; r++) {
        __m512i sum = _mm512_setzero_si512();
        for (int i = 0; i < n; i += 2) {
            int32_t both;
            memcpy(&both, x + (size_t)r * ldx + i, sizeof(both));
            sum = _mm512_dpwssd_epi32(sum, _mm512_set1_epi32(both),
                                      _mm512_loadu_si512(y + (size_t)(i / 2) * step));
        }
        _mm512_storeu_si512(ret[r], sum);
    }
}

/* Scores of a tile with one panel of 64 keys, into columns [at, at + 64) of its scores. */
static void score_panel(int d, const struct work *w, int tile, const int16_t *keys, const float *key_scale,
                        float *s)
{
    int32_t sums[TILE][PANEL];
    product(d, w->q[tile * TILE], PN_FLASH_MAX_D, keys, 2 * PANEL, sums);
    for (int r = 0; r < TILE; r++) {
        __m512 q_scale = _mm512_set1_ps(w->q_scale[tile * TILE + r]);
        for (int j = 0; j < PANEL; j += 16) {
            __m512 scale = _mm512_mul_ps(q_scale, _mm512_loadu_ps(key_scale + j));
            __m512 dot = _mm512_cvtepi32_ps(_mm512_loadu_si512(&sums[r][j]));
            _mm512_storeu_ps(s + r * KEYS + j, _mm512_mul_ps(dot, scale));
        }
    }
}

static inline __m512i probability(const float *s, __m512 bias)
{
    __m512 t = _mm512_fmadd_ps(_mm512_loadu_ps(s), _mm512_set1_ps(1.44269504f), bias);
    return _mm512_cvtps_epi32(pn_exp2_12bit_avx512(t));
}

/* Scores to probabilities; adds them to the rows' sums. */
static void probabilities(struct pn_flash_tile *t, int16_t (*p)[KEYS])
{
    for (int r = 0; r < TILE; r++) {
        __m512 bias = _mm512_set1_ps(ONE - t->now[r] * 1.44269504f);
        __m512i total = _mm512_setzero_si512();
        for (int j = 0; j < KEYS; j += 32) {
            __m512i a = probability(t->s[r] + j, bias), b = probability(t->s[r] + j + 16, bias);
            total = _mm512_add_epi32(total, _mm512_add_epi32(a, b));
            _mm512_storeu_si512(p[r] + j, _mm512_packs_epi32(a, b));
        }
        __m512 sum = _mm512_mul_ps(_mm512_loadu_ps(t->sum[r]), _mm512_set1_ps(t->shrink[r]));
        sum = _mm512_fmadd_ps(_mm512_cvtepi32_ps(total), _mm512_set1_ps(t->grow[r]), sum);
        _mm512_storeu_ps(t->sum[r], sum);
    }
}

/* Channels [from, from + count) of the block's part of the result. */
static void add_values(struct pn_flash_tile *t, int16_t (*p)[KEYS], int d, const int16_t *values, int from,
                       int count)
{
    int32_t sums[TILE][PANEL];
    (count == PANEL ? product : product16)(KEYS, p[0], KEYS, values + from * 2, 2 * (size_t)d, sums);
    for (int r = 0; r < TILE; r++)
        for (int c = 0; c < count; c += 16) {
            float *out = t->out[r] + from + c;
            __m512 old = _mm512_mul_ps(_mm512_loadu_ps(out), _mm512_set1_ps(t->shrink[r]));
            __m512 sum = _mm512_cvtepi32_ps(_mm512_loadu_si512(&sums[r][c]));
            _mm512_storeu_ps(out, _mm512_fmadd_ps(sum, _mm512_set1_ps(t->grow[r]), old));
        }
}

static void add_all_values(struct pn_flash_tile *t, int16_t (*p)[KEYS], int d, const int16_t *values)
{
    int c = 0;
    for (; c + PANEL <= d; c += PANEL)
        add_values(t, p, d, values, c, PANEL);
    for (; c < d; c += 16)
        add_values(t, p, d, values, c, 16);
}

/* Rows [from, from + rows) of the queries; rows of the last tile that do not
 * exist are zeros. */
static void load_queries(const struct pn_attend *a, int from, int rows, struct work *w)
{
    float scale = 1 / sqrtf((float)a->d);
    memset(w->q, 0, sizeof(w->q));
    for (int i = 0; i < rows; i++)
        w->q_scale[i] = scale * quantize_s16(a->d, a->q + (size_t)(from + i) * a->ldq, w->q[i]);
    for (int i = rows; i < PN_FLASH_ROWS; i++)
        w->q_scale[i] = 0;
}

/* One tile against one block of keys, `keys` of which exist. */
static void attend_block(const struct pn_attend *a, const struct packed *p, struct work *w, int tile,
                         int from, int block, int rows)
{
    struct pn_flash_tile *t = &w->tile[tile];
    size_t at = (size_t)block * KEYS;
    for (int j = 0; j < KEYS; j += PANEL)
        score_panel(a->d, w, tile, p->keys + (at + (size_t)j) * (size_t)a->d, p->key_scale + at + (size_t)j,
                    t->s[0] + j);
    float *scores = a->scores ? a->scores + (size_t)(from + tile * TILE) * (size_t)a->n + at : NULL;
    pn_flash_scan(t, PN_MIN(KEYS, a->n - (int)at), scores, a->n, rows);
    probabilities(t, w->p);
    add_all_values(t, w->p, a->d, p->values + at * (size_t)a->d);
}

static void attention_s16(const struct pn_attend *a)
{
    struct packed p = packed_views(a->packed, a->n, a->d);
    struct work *w = a->scratch;
    for (int i = 0; i < a->m; i += PN_FLASH_ROWS) {
        int rows = PN_MIN(PN_FLASH_ROWS, a->m - i), tiles = (rows + TILE - 1) / TILE;
        load_queries(a, i, rows, w);
        for (int t = 0; t < tiles; t++)
            pn_flash_start(&w->tile[t]);
        for (int block = 0; block < p.padded / KEYS; block++)
            for (int t = 0; t < tiles; t++)
                attend_block(a, &p, w, t, i, block, rows - t * TILE);
        for (int t = 0; t < tiles; t++)
            pn_flash_finish(&w->tile[t], PN_MIN(TILE, rows - t * TILE), a->d, p.value_scale,
                            a->out + (size_t)(i + t * TILE) * a->ldo, a->ldo);
    }
}

void pn_kern_attention_vnni(struct pn_kern *k)
{
    k->attention_pack[PN_INT8] = attention_pack_s16;
    k->attention[PN_INT8] = attention_s16;
    pn_kern_cross_vnni(k);
}
