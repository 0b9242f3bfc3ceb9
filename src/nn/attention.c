/* attention.c - sizes of packed keys and values, and the entries over the table of kernels.
 *
 * Sizes hold for every level, whatever layout it chooses, so that a caller can plan memory before the table
 * is chosen. */
#include "nn/attention.h"

#include "base/attr.h"

enum {
    ALIGN = 64,
    KEY_BLOCK = 128,        /* encoder layouts are padded to whole blocks of keys */
    CROSS_BLOCK = 64,       /* the decoder's are padded to this */
    ROWS = 12,              /* rows whose scores some level holds at once */
    FLASH_SCRATCH = 160000, /* queries, scores and sums of one block of rows and keys, any level */
};

size_t pn_attention_packed_size(enum pn_precision p, int n, int d)
{
    return pn_round_up(2 * pn_round_up((size_t)n, KEY_BLOCK) * (size_t)d * sizeof(float), ALIGN);
}

size_t pn_attention_scratch(enum pn_precision p, int m, int n, int d)
{
    return pn_round_up(ROWS * pn_round_up((size_t)n, KEY_BLOCK) * sizeof(float) + FLASH_SCRATCH, ALIGN);
}

void pn_attention_pack(enum pn_precision p, int n, int d, const float *k, size_t ldk, const float *v,
                       size_t ldv, void *packed)
{
    pn_kern()->attention_pack[p](n, d, k, ldk, v, ldv, packed);
}

void pn_attention(enum pn_precision p, const struct pn_attend *a)
{
    pn_kern()->attention[p](a);
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
    pn_kern()->self_attention(a, k, v, ldkv);
}
