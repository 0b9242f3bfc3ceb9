/* memory.h - the course of a memory block, the same for every level; a level brings its tile.
 *
 * Rows of a model lie half a page or more apart, so that the few that an output reads would push each other
 * out of the first cache. They are copied, a strip of columns and a chunk of rows at a time, with zeros for
 * those that do not exist. */
#ifndef PN_NN_MEMORY_H
#define PN_NN_MEMORY_H

#include "nn/kern.h"

#include <string.h>

enum {
    PN_MEMORY_COLUMNS = 64, /* of a strip */
    PN_MEMORY_CHUNK = 64,   /* outputs that share a copy */
    PN_MEMORY_ROWS = 8,     /* and a tile */
};

/* What a strip works on; columns that do not exist are zeros. */
struct pn_memory_strip {
    float w[PN_MAX_TAPS][PN_MEMORY_COLUMNS];
    float x[PN_MEMORY_CHUNK + PN_MAX_TAPS][PN_MEMORY_COLUMNS];
    float y[PN_MEMORY_ROWS][PN_MEMORY_COLUMNS]; /* where the strip or the tile is not whole */
};

/* For r < PN_MEMORY_ROWS and all columns: y[r] += now[r] + sum over j < taps of w[j] x[r + j], in this order;
 * rows of w, now and x are PN_MEMORY_COLUMNS long. */
typedef void pn_memory_tile_fn(int taps, const float *w, const float *now, const float *x, float *y,
                               size_t ldy);

static inline void pn_memory_copy(const float *from, int columns, float *to)
{
    if (columns == PN_MEMORY_COLUMNS) {
        memcpy(to, from, PN_MEMORY_COLUMNS * sizeof(float));
    } else {
        memcpy(to, from, (size_t)columns * sizeof(float));
        memset(to + columns, 0, (size_t)(PN_MEMORY_COLUMNS - columns) * sizeof(float));
    }
}

/* Rows [first, first + n) of x, of which some may not exist, from column c. */
static inline void pn_memory_rows(const struct pn_memory *a, int first, int n, int c, int columns,
                                  struct pn_memory_strip *s)
{
    for (int i = 0; i < n; i++) {
        int row = first + i;
        if (row < -a->before || row >= a->m + a->after)
            memset(s->x[i], 0, sizeof(s->x[i]));
        else
            pn_memory_copy(a->x + (ptrdiff_t)row * (ptrdiff_t)a->ldx + c, columns, s->x[i]);
    }
}

/* Outputs [t, t + rows) of a strip; x[i] is what output t + r meets at tap i - r. */
static inline void pn_memory_outputs(const struct pn_memory *a, pn_memory_tile_fn *tile, int t, int rows,
                                     int c, int columns, int i, struct pn_memory_strip *s)
{
    float *y = a->y + (size_t)t * a->ldy + c;
    if (rows == PN_MEMORY_ROWS && columns == PN_MEMORY_COLUMNS) {
        tile(a->taps, s->w[0], s->x[i + a->left], s->x[i], y, a->ldy);
        return;
    }
    for (int r = 0; r < rows; r++)
        pn_memory_copy(y + (size_t)r * a->ldy, columns, s->y[r]);
    for (int r = rows; r < PN_MEMORY_ROWS; r++)
        memset(s->y[r], 0, sizeof(s->y[r]));
    tile(a->taps, s->w[0], s->x[i + a->left], s->x[i], s->y[0], PN_MEMORY_COLUMNS);
    for (int r = 0; r < rows; r++)
        memcpy(y + (size_t)r * a->ldy, s->y[r], (size_t)columns * sizeof(float));
}

static inline void pn_memory_strips(const struct pn_memory *a, pn_memory_tile_fn *tile)
{
    struct pn_memory_strip s;
    for (int c = 0; c < a->n; c += PN_MEMORY_COLUMNS) {
        int columns = PN_MIN(PN_MEMORY_COLUMNS, a->n - c);
        for (int j = 0; j < a->taps; j++)
            pn_memory_copy(a->w + (size_t)j * (size_t)a->n + c, columns, s.w[j]);
        for (int from = 0; from < a->m; from += PN_MEMORY_CHUNK) {
            int rows = PN_MIN(PN_MEMORY_CHUNK, a->m - from);
            pn_memory_rows(a, from - a->left, (int)pn_round_up((size_t)rows, PN_MEMORY_ROWS) + a->taps - 1, c,
                           columns, &s);
            for (int r = 0; r < rows; r += PN_MEMORY_ROWS)
                pn_memory_outputs(a, tile, from + r, PN_MIN(PN_MEMORY_ROWS, rows - r), c, columns, r, &s);
        }
    }
}

#endif
