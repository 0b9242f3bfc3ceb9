/* align.h - which moment each token was said, from the cross-attention of the alignment heads (spec whisper
 * 4.9, steps 4 - 9). Plain arrays. */
#ifndef PN_ASR_WHISPER_ALIGN_H
#define PN_ASR_WHISPER_ALIGN_H

#include "base/attr.h"

#include <stddef.h>
#include <stdint.h>

/* Every position of w[n_rows][n_pos] less its mean over the rows, divided by its standard deviation; a
 * position that is the same in all rows becomes 0. -PN_ENOMEM. */
PN_MUST_CHECK int pn_align_standardise(float *w, int n_rows, int n_pos);
/* Median of 7 neighbours, reflected at both ends, into out[n]; a copy when n is 3 or less. `padded` is
 * scratch of n + 6. */
void pn_align_median(const float *row, int n, float *padded, float *out);
/* weights[n_heads][n_rows][n_pos] (scaled q.k; overwritten) to m[to - from][n_pos]: softmax, standardised,
 * filtered, mean over heads, of rows [from, to). -PN_ENOMEM. */
PN_MUST_CHECK int pn_align_matrix(float *weights, int n_heads, int n_rows, int n_pos, int from, int to,
                                  float *m);
/* Dynamic time warping through m[n][n_pos], greatest sum wins: first[i] is the position at which the path
 * enters row i. n and n_pos are at least 1. -PN_ENOMEM. */
PN_MUST_CHECK int pn_align_path(const float *m, int n, int n_pos, int32_t *first);

#endif
