/* attention.c - sizes of packed keys and values, and the entries over the table of kernels.
 *
 * Sizes hold for every level, whatever layout it chooses, so that a caller can plan memory before the table
 * is chosen. */
#include "nn/attention.h"

#include "base/attr.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

enum {
    ALIGN = 64,
    WIDTH_UNIT = 16,        /* numbers that kernels take at a time */
    KEY_BLOCK = 128,        /* encoder layouts are padded to whole blocks of keys */
    CROSS_BLOCK = 64,       /* the decoder's are padded to this */
    ROWS = 12,              /* rows whose scores some level holds at once */
    FLASH_SCRATCH = 160000, /* queries, scores and sums of one block of rows and keys, any level */
};

/* Kernels take widths of whole units. Other rows are copied with zeros behind them: keys and values to
 * behind the packed form, queries and results to behind the kernel's scratch. */
static size_t padded_width(int d)
{
    return pn_round_up((size_t)d, WIDTH_UNIT);
}

static bool is_padded(int d)
{
    return d % WIDTH_UNIT != 0;
}

static size_t kernel_packed_size(int n, size_t width)
{
    return pn_round_up(2 * pn_round_up((size_t)n, KEY_BLOCK) * width * sizeof(float), ALIGN);
}

static size_t kernel_scratch(int n)
{
    return pn_round_up(ROWS * pn_round_up((size_t)n, KEY_BLOCK) * sizeof(float) + FLASH_SCRATCH, ALIGN);
}

static size_t rows_size(int n, size_t width)
{
    return (size_t)n * width * sizeof(float);
}

size_t pn_attention_packed_size(enum pn_precision p, int n, int d)
{
    size_t width = padded_width(d);
    return kernel_packed_size(n, width) + (is_padded(d) ? 2 * rows_size(n, width) : 0);
}

size_t pn_attention_scratch(enum pn_precision p, int m, int n, int d)
{
    return kernel_scratch(n) + (is_padded(d) ? 2 * rows_size(m, padded_width(d)) : 0);
}

/* to[n][width] = scale * x[n][ld], zeros behind the d numbers of a row. */
static void pad_rows(int n, int d, float scale, const float *x, size_t ld, float *to)
{
    size_t width = padded_width(d);
    for (int i = 0; i < n; i++, x += ld, to += width)
        for (int c = 0; c < (int)width; c++)
            to[c] = c < d ? scale * x[c] : 0;
}

void pn_attention_pack(enum pn_precision p, int n, int d, const float *k, size_t ldk, const float *v,
                       size_t ldv, void *packed)
{
    if (!is_padded(d)) {
        pn_kern()->attention_pack[p](n, d, k, ldk, v, ldv, packed);
        return;
    }
    size_t width = padded_width(d);
    float *keys = (float *)(void *)((char *)packed + kernel_packed_size(n, width));
    float *values = keys + (size_t)n * width;
    pad_rows(n, d, 1, k, ldk, keys);
    pad_rows(n, d, 1, v, ldv, values);
    pn_kern()->attention_pack[p](n, (int)width, keys, width, values, width, packed);
}

/* The kernel divides by the square root of the padded width; the queries make up for it. */
void pn_attention(enum pn_precision p, const struct pn_attend *a)
{
    if (!is_padded(a->d)) {
        pn_kern()->attention[p](a);
        return;
    }
    size_t width = padded_width(a->d);
    float *q = (float *)(void *)((char *)a->scratch + kernel_scratch(a->n)), *out = q + (size_t)a->m * width;
    struct pn_attend padded = *a;
    padded.d = (int)width;
    padded.q = q;
    padded.out = out;
    padded.ldq = padded.ldo = width;
    pad_rows(a->m, a->d, sqrtf((float)width / (float)a->d), a->q, a->ldq, q);
    pn_kern()->attention[p](&padded);
    for (size_t i = 0; i < (size_t)a->m; i++)
        memcpy(a->out + i * a->ldo, out + i * width, (size_t)a->d * sizeof(float));
}

/* int8: a byte a number, two scales a position, four floats a channel. */
size_t pn_cross_packed_size(enum pn_precision p, int n, int d)
{
    size_t positions = pn_round_up((size_t)n, CROSS_BLOCK), width = (size_t)d;
    if (p == PN_F32)
        return pn_round_up(2 * positions * width * sizeof(float), ALIGN);
    return pn_round_up(2 * positions * width + 2 * (positions + 2 * width) * sizeof(float), ALIGN);
}

/* Scores and their quantised form for each query, and the query itself in whatever form. */
size_t pn_cross_scratch(enum pn_precision p, int m, int n, int d)
{
    size_t row = 2 * pn_round_up((size_t)n, CROSS_BLOCK) + 4 * (size_t)d + ALIGN;
    return pn_round_up((size_t)m * row * sizeof(float), ALIGN);
}

void pn_cross_pack(enum pn_precision p, int n, int d, const float *k, size_t ldk, const float *v, size_t ldv,
                   void *packed)
{
    pn_kern()->cross_pack[p](n, d, k, ldk, v, ldv, packed);
}

void pn_cross_attention(enum pn_precision p, const struct pn_attend *a)
{
    pn_kern()->cross_attention[p](a);
}

void pn_self_attention(const struct pn_attend *a, const float *k, const float *v, size_t ldkv)
{
    if (!is_padded(a->d)) {
        pn_kern()->self_attention(a, k, v, ldkv);
        return;
    }
    const struct pn_small_attend small = {
        .m = 1,
        .d = a->d,
        .q = a->q,
        .ldq = a->ldq,
        .span = { { .n = a->n, .k = k, .v = v, .ld = ldkv } },
        .out = a->out,
        .ldo = a->ldo,
        .scores = a->scores,
        .scratch = a->scratch,
    };
    pn_small_attention(&small);
}

size_t pn_small_attention_scratch(int n)
{
    return PN_SMALL_ROWS * pn_round_up((size_t)n, ALIGN / sizeof(float)) * sizeof(float);
}

void pn_small_attention(const struct pn_small_attend *a)
{
    pn_kern()->small_attention(a);
}
