/* head.h - the time-stamp head (spec paraformer 3.7, V3): finer weights than the predictor's, for when words
 * were said. */
#ifndef PN_ASR_PARAFORMER_HEAD_H
#define PN_ASR_PARAFORMER_HEAD_H

#include "asr/paraformer/model.h"

/* Weights of `rows` x upsample steps, summing up to `tokens`, from the encoder's output x
 * [rows][pn_sanm_ld()]. The directions run on two threads of the pool. -PN_ENOMEM. */
PN_MUST_CHECK int pn_pf_head_run(const struct pn_paraformer *p, struct pn_pool *pool, const float *x,
                                 int rows, int tokens, float *alpha);

#endif
