/* engine.h - the computing of one Paraformer: batches of utterances or chunks through encoder, predictor and
 * decoder, some layers a call, so that no call takes long. What an item gets does not depend on who shares
 * its batch.
 *
 * One caller at a time (the scheduler's thread); uses the pool. */
#ifndef PN_ASR_PARAFORMER_ENGINE_H
#define PN_ASR_PARAFORMER_ENGINE_H

#include "asr/paraformer/decoder.h"

/* An utterance, or a chunk of a stream, on its way. The arrays are the owner's. */
struct pn_pf_item {
    float *x; /* [rows][pn_sanm_ld()]: what goes into block 0, the residual stream, in the end the encoder's
                 output */
    int rows;
    struct pn_kv_cache *keys; /* a stream's, or NULL; `store` of the rows are kept there */
    int store;

    float *alpha; /* [rows], by pn_pf_predict() */

    float *y; /* [tokens][size]: acoustic embeddings, in the end the decoder's output */
    int tokens;
    float *history; /* a stream's, or NULL; see pn_pf_dec_seq */
    struct pn_kv_cache *memory;

    int32_t *ids;   /* [tokens], by pn_pf_output(), as the next ones */
    float *logprob; /* [tokens] of that id */
    float *logits;  /* [tokens][n_vocab], or NULL */
};

struct pn_pf_engine;

PN_MUST_CHECK int pn_pf_engine_new(const struct pn_paraformer *p, struct pn_pool *pool,
                                   struct pn_pf_engine **ret);
struct pn_pf_engine *pn_pf_engine_free(struct pn_pf_engine *e); /* accepts NULL, returns NULL */
const struct pn_paraformer *pn_pf_engine_model(const struct pn_pf_engine *e);

/* Blocks from *block on, as long as budget_us lasts, at least one; *block is then the next one, n_blocks at
 * the end, where the caches have advanced. -PN_ENOMEM: the items are of no use any more. */
PN_MUST_CHECK int pn_pf_encode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block,
                               int64_t budget_us);
PN_MUST_CHECK int pn_pf_predict(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);
/* As pn_pf_encode(), of items that have tokens. */
PN_MUST_CHECK int pn_pf_decode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block,
                               int64_t budget_us);
PN_MUST_CHECK int pn_pf_output(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n);
/* The id with the largest logit, the first of equals. */
int32_t pn_pf_best(const float *logits, size_t n);

#endif
