/* agreement.h - one utterance recognised again and again while it grows: only the words on which two results
 * in a row agree are sure enough to be shown (LocalAgreement-2; Liu, Spanakis, Niehues, 2020). */
#ifndef PN_ASR_PIPELINE_AGREEMENT_H
#define PN_ASR_PIPELINE_AGREEMENT_H

#include "base/buf.h"

struct pn_agreement {
    struct pn_buf last;   /* the last result */
    struct pn_buf stable; /* what was agreed on; only grows */
};

void pn_agreement_init(struct pn_agreement *a);
void pn_agreement_done(struct pn_agreement *a);
/* Another result. -PN_ENOMEM, -PN_ELIMIT. */
PN_MUST_CHECK int pn_agreement_add(struct pn_agreement *a, struct pn_str text);

#endif
