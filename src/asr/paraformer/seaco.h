/* seaco.h - hot words (spec paraformer 3.8): what a request's words mean to the model, and what they change.
 */
#ifndef PN_ASR_PARAFORMER_SEACO_H
#define PN_ASR_PARAFORMER_SEACO_H

#include "asr/paraformer/engine.h"

struct pn_pf_hot; /* of one request */

/* Reads and embeds the words. *ret is NULL when none is left, or the model has nothing to take hot words
 * with. -PN_ELIMIT (text in *err), -PN_ENOMEM. */
PN_MUST_CHECK int pn_pf_hot_new(const struct pn_paraformer *p, struct pn_str hotwords, struct pn_pf_hot **ret,
                                struct pn_err *err);
struct pn_pf_hot *pn_pf_hot_free(struct pn_pf_hot *h); /* accepts NULL, returns NULL */
/* Keeps the acoustic embeddings, before pn_pf_decode() changes them. -PN_ENOMEM. */
PN_MUST_CHECK int pn_pf_hot_keep(struct pn_pf_hot *h, const struct pn_pf_item *item);
/* Behind pn_pf_output(): where the words say something of a token, its id and logprob become theirs.
 * -PN_ENOMEM. */
PN_MUST_CHECK int pn_pf_hot_apply(struct pn_pf_hot *h, struct pn_pf_item *item, struct pn_pool *pool);

/* Embedded lists of a model's requests, the last few of them. Any thread. */
struct pn_hot_lists *pn_hot_lists_new(void);                    /* NULL: no memory */
struct pn_hot_lists *pn_hot_lists_free(struct pn_hot_lists *l); /* accepts NULL, returns NULL */

#endif
