/* network.h - the CT-Transformer (spec paraformer 6.1): words' vectors, an encoder of SANM blocks, and what
 * the last layer thinks of each class of mark. */
#ifndef PN_ASR_PUNCTUATION_NETWORK_H
#define PN_ASR_PUNCTUATION_NETWORK_H

#include "asr/pack.h"
#include "asr/punctuation/embedding.h"
#include "asr/punctuation/rules.h"
#include "asr/sanm/weights.h"

enum { PN_MARK_CLASSES = 64 }; /* at most */

/* Immutable after open. */
struct pn_mark_network {
    bool causal; /* SANMVadEncoder: words see none behind them, but in the last block */
    struct pn_sanm encoder;
    struct pn_mark_embedding embedding;
    struct pn_linear output;
    int n_classes;
    uint8_t mark[PN_MARK_CLASSES]; /* enum pn_mark of each class */
    struct pn_packed *packed;
};

/* `f` is needed only until this returns. -PN_EUNSUPPORTED (another class of model), -PN_EFORMAT, -PN_ENOMEM;
 * the text says what is wrong. */
PN_MUST_CHECK int pn_mark_network_open(const struct pn_funasr *f, const struct pn_punctuation_options *opt,
                                       struct pn_mark_network *ret, struct pn_err *err);
void pn_mark_network_close(struct pn_mark_network *n); /* accepts one that is all zero */

/* Memory of calls over one network, one after the other. */
struct pn_mark_run {
    const struct pn_mark_network *network;
    struct pn_sanm_work work;
    float *x, *logits; /* [cap][row of the encoder], [cap][n_classes] */
    int *limits;       /* [cap] */
    size_t cap;
};

PN_MUST_CHECK int pn_mark_run_init(struct pn_mark_run *r, const struct pn_mark_network *n);
void pn_mark_run_done(struct pn_mark_run *r);
/* Fills r->logits for n words, the first n_cached of which were there in an earlier call. -PN_ENOMEM. */
PN_MUST_CHECK int pn_mark_run_logits(struct pn_mark_run *r, const int32_t *ids, size_t n, size_t n_cached);
/* The judge of rules.h; `ctx` is a struct pn_mark_run. */
int pn_mark_run_judge(void *ctx, const int32_t *ids, size_t n, size_t n_cached, uint8_t *ret_marks);

#endif
