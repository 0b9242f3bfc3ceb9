/* cif.h - continuous integrate and fire (spec paraformer 3.3, 4.4): from encoder rows to one vector a token.
 */
#ifndef PN_ASR_PARAFORMER_CIF_H
#define PN_ASR_PARAFORMER_CIF_H

#include "base/attr.h"

#include <stddef.h>

/* What has been gathered towards the next token. */
struct pn_cif {
    double weight; /* 0 .. threshold */
    float *sum;    /* [size] weighted sum of rows */
    int size;
    double threshold;
};

/* Adds `rows` rows of h [rows][ldh] with weights alpha[rows], in order. A token's vector goes to
 * out[..][size] whenever the weight reaches the threshold, at most once a row; returns how often it did.
 * `peaks` [rows], or NULL: the weight at each row before a token is taken off. */
int pn_cif_add(struct pn_cif *c, int rows, const float *alpha, const float *h, size_t ldh, float *out,
               float *peaks);
/* A row of zeros with weight alpha: the tail. */
int pn_cif_add_zero(struct pn_cif *c, float alpha, float *out, float *peak);

#endif
