/* linear.h - y = x W^T + b over packed weights, for one thread or a pool.
 *
 * A packed layer is one block of bytes, 64-byte aligned, the same for every CPU: weights in panels of 64
 * output channels (kern.h), scales, sums, bias. It can be mapped from a file. */
#ifndef PN_NN_LINEAR_H
#define PN_NN_LINEAR_H

#include "nn/kern.h"
#include "nn/pool.h"
#include "nn/precision.h"

/* Up to here the threads of a pool share out panels: the weights are read once in all. */
enum { PN_FEW_ROWS = 32 };

/* A view into a packed block, which must outlive it. */
struct pn_linear {
    enum pn_precision precision;
    int n, k;           /* outputs, inputs */
    const void *w;      /* s8 or f32 panels */
    const float *scale; /* [n padded to 64]; NULL in f32, as `sum` */
    const int32_t *sum;
    const float *bias; /* [n padded to 64] */
    bool fine;         /* int8: where activations have 7 bits, these have 14, for twice the work */
};

/* Bytes of a packed layer, a multiple of 64; 0 when n or k are out of range (1..2^24, 1..PN_MAX_K). */
size_t pn_linear_packed_size(enum pn_precision p, int n, int k);
/* Packs w [n][k] row-major and bias [n] (NULL: none) into `block`. int8: rounded to nearest even, with a
 * scale per output channel: max|w| / 127, or as much more as it takes to keep the sums of PN_MAX_GROUP
 * (kern.h). */
void pn_linear_pack(enum pn_precision p, int n, int k, const float *w, const float *bias, void *block);
/* As pn_linear_pack for output channels [from, from + rows) only (from a multiple of 64), so that a large
 * matrix can be packed in pieces; `w` and `bias` begin at channel `from`. */
void pn_linear_pack_rows(enum pn_precision p, int n, int k, int from, int rows, const float *w,
                         const float *bias, void *block);
struct pn_linear pn_linear_view(enum pn_precision p, int n, int k, const void *block);
/* Weights of output channel j as f32 into out[k]: the embedding lookup of a tied output matrix. */
void pn_linear_row(const struct pn_linear *l, int j, float *out);

/* Bytes of scratch for m rows (quantised activations; a few bytes in f32). 64-byte aligned. */
size_t pn_linear_scratch(const struct pn_linear *l, int m);
/* y[m][ldy] = epilogue(x[m][ldx] W^T + b) on the calling thread. */
void pn_linear(const struct pn_linear *l, int m, const float *x, size_t ldx, float *y, size_t ldy,
               enum pn_epilogue e, void *scratch);
/* What rounding the activations to bytes lost in the pn_linear() before, with the same arguments (not `fine`)
 * and scratch: lost[m][ld] = x - what was multiplied; zeros in f32. The product of that, added, makes the
 * result as good as one of activations of twice as many bits. */
void pn_linear_lost(const struct pn_linear *l, int m, const float *x, size_t ldx, const void *scratch,
                    float *lost, size_t ld);
/* pn_linear() on all threads of the pool, split over output channels (few rows) or rows (many). */
void pn_linear_pool(struct pn_pool *pool, const struct pn_linear *l, int m, const float *x, size_t ldx,
                    float *y, size_t ldy, enum pn_epilogue e, void *scratch);

#endif
