/* cif.c - see cif.h. The weight is summed in double: counts and places must not hang on rounding. */
#include "asr/paraformer/cif.h"

#include <string.h>

/* sum += weight * row; a NULL row is zeros. */
static void gather(struct pn_cif *c, double weight, const float *row)
{
    float w = (float)weight;
    for (int i = 0; row && i < c->size; i++)
        c->sum[i] += w * row[i];
}

static int add_row(struct pn_cif *c, float alpha, const float *row, float *out, float *peak)
{
    double weight = c->weight + (double)alpha;
    if (peak)
        *peak = (float)weight;
    if (!(weight >= c->threshold)) { /* NaN gathers and never fires */
        gather(c, alpha, row);
        c->weight = weight;
        return 0;
    }
    gather(c, c->threshold - c->weight, row);
    memcpy(out, c->sum, (size_t)c->size * sizeof(*out));
    c->weight = weight - c->threshold;
    memset(c->sum, 0, (size_t)c->size * sizeof(*c->sum));
    gather(c, c->weight, row);
    return 1;
}

int pn_cif_add(struct pn_cif *c, int rows, const float *alpha, const float *h, size_t ldh, float *out,
               float *peaks)
{
    int n = 0;
    for (int i = 0; i < rows; i++)
        n += add_row(c, alpha[i], h + (size_t)i * ldh, out + (size_t)n * (size_t)c->size,
                     peaks ? &peaks[i] : NULL);
    return n;
}

int pn_cif_add_zero(struct pn_cif *c, float alpha, float *out, float *peak)
{
    return add_row(c, alpha, NULL, out, peak);
}
