/* small.h - the course of a small attention, the same for every level; a level brings its tiles.
 *
 * Up to PN_SMALL_ROWS queries share a pass over the keys, four of which meet a few queries at a time, and one
 * over the values, 16 columns at a time. Keys that are halves, or no whole number of registers long, are
 * copied on their way, zeros behind them. Values always are, into strips of 16 columns: the rows of a model
 * lie whole pages apart, and a strip of those would fill few sets of the first cache again and again. */
#ifndef PN_NN_SMALL_H
#define PN_NN_SMALL_H

#include "nn/kern.h"

#include <math.h>
#include <string.h>

enum {
    PN_SMALL_MAX_D = 128,
    PN_SMALL_COLUMNS = 16, /* of a strip of values; keys are padded to it, too */
    PN_SMALL_KEYS = 4,
    PN_SMALL_CHUNK = 32, /* positions of values at a time */
    PN_SMALL_STRIPS = PN_SMALL_MAX_D / PN_SMALL_COLUMNS,
};

struct pn_small_tiles {
    int queries; /* most rows of a tile of scores */
    int rows;    /* of values */
    /* s[r][0..keys) = q[r] . k[j] for r < rows, j < keys <= 4 (all four rows of k can be read); rows of q are
     * PN_SMALL_MAX_D long, `width` is a multiple of 16. */
    void (*scores)(int rows, int width, const float *q, const float *const k[PN_SMALL_KEYS], int keys,
                   float *s, size_t lds);
    /* sum[r][0..16) = (first ? 0 : sum[r]) + p[r][j] v[j][0..16) for j < n, in this order; rows of v are 16
     * long. */
    void (*values)(int rows, int n, const float *p, size_t ldp, const float *v, bool first, float *sum,
                   size_t lds);
    void (*from_half)(const uint16_t *x, float *y, size_t n);
    void (*softmax)(float *x, size_t n);
};

/* What a block of queries works on. */
struct pn_small_work {
    float q[PN_SMALL_ROWS][PN_SMALL_MAX_D]; /* scaled */
    float keys[PN_SMALL_KEYS][PN_SMALL_MAX_D];
    float values[PN_SMALL_STRIPS][PN_SMALL_CHUNK][PN_SMALL_COLUMNS];
    float last[PN_SMALL_ROWS][PN_SMALL_COLUMNS]; /* sums of a strip that is not whole */
    float *s;                                    /* [PN_SMALL_ROWS][lds] scores, then probabilities */
    size_t lds;
    int from, rows; /* queries of the block */
};

/* n numbers of row j from column c on, as f32. */
static inline void pn_small_copy(const struct pn_small_tiles *t, const struct pn_kv_rows *r, const void *rows,
                                 int j, int c, int n, float *to)
{
    size_t at = (size_t)j * r->ld + (size_t)c;
    if (r->half)
        t->from_half((const uint16_t *)rows + at, to, (size_t)n);
    else
        memcpy(to, (const float *)rows + at, (size_t)n * sizeof(float));
}

static inline void pn_small_queries(const struct pn_small_attend *a, struct pn_small_work *w)
{
    float scale = a->scale != 0 ? a->scale : 1 / sqrtf((float)a->d);
    for (int r = 0; r < w->rows; r++) {
        const float *q = a->q + (size_t)(w->from + r) * a->ldq;
        for (int c = 0; c < a->d; c++)
            w->q[r][c] = q[c] * scale;
        for (int c = a->d; c % PN_SMALL_COLUMNS != 0; c++)
            w->q[r][c] = 0;
    }
}

/* Scores of one span's positions; its first goes to column `at` of w->s. */
static inline void pn_small_scores(const struct pn_small_tiles *t, const struct pn_kv_rows *r, int d,
                                   size_t at, struct pn_small_work *w)
{
    int width = (int)pn_round_up((size_t)d, PN_SMALL_COLUMNS);
    bool in_place = !r->half && width == d;
    for (int j = 0; j < r->n; j += PN_SMALL_KEYS) {
        const float *k[PN_SMALL_KEYS];
        int keys = PN_MIN(PN_SMALL_KEYS, r->n - j);
        for (int i = 0; i < PN_SMALL_KEYS; i++) {
            int row = i < keys ? i : 0;
            k[i] = in_place ? (const float *)r->k + (size_t)(j + row) * r->ld : w->keys[row];
            if (!in_place && i < keys)
                pn_small_copy(t, r, r->k, j + i, 0, d, w->keys[i]);
        }
        for (int q = 0; q < w->rows; q += t->queries)
            t->scores(PN_MIN(t->queries, w->rows - q), width, w->q[q], k, keys,
                      w->s + (size_t)q * w->lds + at + (size_t)j, w->lds);
    }
}

/* Rows [j, j + n) of the values to the strips. */
static inline void pn_small_strips(const struct pn_small_tiles *t, const struct pn_kv_rows *r, int d, int j,
                                   int n, struct pn_small_work *w)
{
    int whole = d / PN_SMALL_COLUMNS, rest = d % PN_SMALL_COLUMNS;
    for (int i = 0; i < n; i++) {
        for (int s = 0; s < whole; s++)
            pn_small_copy(t, r, r->v, j + i, s * PN_SMALL_COLUMNS, PN_SMALL_COLUMNS, w->values[s][i]);
        if (rest)
            pn_small_copy(t, r, r->v, j + i, d - rest, rest, w->values[whole][i]);
    }
}

/* Adds a chunk of n positions, the first of which is `position`, to the sums of all columns. */
static inline void pn_small_sums(const struct pn_small_tiles *t, const struct pn_small_attend *a,
                                 size_t position, int n, struct pn_small_work *w)
{
    int tiles = (w->rows + t->rows - 1) / t->rows, each = (w->rows + tiles - 1) / tiles;
    for (int c = 0; c < a->d; c += PN_SMALL_COLUMNS) {
        bool whole = c + PN_SMALL_COLUMNS <= a->d;
        float *sum = whole ? a->out + (size_t)w->from * a->ldo + c : w->last[0];
        size_t lds = whole ? a->ldo : PN_SMALL_COLUMNS;
        for (int i = 0; i < w->rows; i += each)
            t->values(PN_MIN(each, w->rows - i), n, w->s + (size_t)i * w->lds + position, w->lds,
                      w->values[c / PN_SMALL_COLUMNS][0], position == 0, sum + (size_t)i * lds, lds);
    }
}

static inline void pn_small_values(const struct pn_small_tiles *t, const struct pn_small_attend *a,
                                   struct pn_small_work *w)
{
    size_t position = 0;
    for (const struct pn_kv_rows *r = a->span; r < a->span + 2; r++)
        for (int j = 0, n; j < r->n; j += n, position += (size_t)n) {
            n = PN_MIN(PN_SMALL_CHUNK, r->n - j);
            pn_small_strips(t, r, a->d, j, n, w);
            pn_small_sums(t, a, position, n, w);
        }
    size_t rest = (size_t)a->d % PN_SMALL_COLUMNS, whole = (size_t)a->d - rest;
    for (int r = 0; r < w->rows && rest; r++)
        memcpy(a->out + (size_t)(w->from + r) * a->ldo + whole, w->last[r], rest * sizeof(float));
}

static inline void pn_small_block(const struct pn_small_tiles *t, const struct pn_small_attend *a,
                                  struct pn_small_work *w)
{
    size_t n0 = (size_t)a->span[0].n, n = n0 + (size_t)a->span[1].n;
    pn_small_queries(a, w);
    pn_small_scores(t, &a->span[0], a->d, 0, w);
    pn_small_scores(t, &a->span[1], a->d, n0, w);
    for (int r = 0; r < w->rows; r++) {
        float *s = w->s + (size_t)r * w->lds;
        if (a->scores)
            memcpy(a->scores + (size_t)(w->from + r) * n, s, n * sizeof(float));
        t->softmax(s, n);
    }
    pn_small_values(t, a, w);
}

static inline void pn_small_attend(const struct pn_small_tiles *t, const struct pn_small_attend *a)
{
    struct pn_small_work w;
    w.s = a->scratch;
    w.lds = pn_round_up((size_t)a->span[0].n + (size_t)a->span[1].n, PN_SMALL_COLUMNS);
    if (a->d % PN_SMALL_COLUMNS != 0) { /* what lies behind the columns that exist */
        memset(w.keys, 0, sizeof(w.keys));
        memset(w.values[a->d / PN_SMALL_COLUMNS], 0, sizeof(w.values[0]));
    }
    for (w.from = 0; w.from < a->m; w.from += PN_SMALL_ROWS) {
        w.rows = PN_MIN(PN_SMALL_ROWS, a->m - w.from);
        pn_small_block(t, a, &w);
    }
}

#endif
