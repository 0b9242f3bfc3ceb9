/* weights.h - an encoder of SANM blocks from a ModelScope folder: its sizes, and the parts that it is packed
 * as. */
#ifndef PN_ASR_SANM_WEIGHTS_H
#define PN_ASR_SANM_WEIGHTS_H

#include "asr/parts.h"
#include "asr/sanm/sanm.h"
#include "model/funasr.h"

/* Fills in the sizes of the encoder: heads and the place of the taps from "encoder_conf", all else from the
 * tensors, and allocates its blocks. -PN_EFORMAT, -PN_ENOMEM; the text names the tensor or the key. */
PN_MUST_CHECK int pn_sanm_measure(const struct pn_funasr *f, enum pn_precision precision, struct pn_sanm *ret,
                                  struct pn_err *err);
void pn_sanm_done(struct pn_sanm *m); /* accepts one that is all zero */
/* Adds the parts of the encoder, whose blocks exist; sets the list's prefix. */
void pn_sanm_parts(struct pn_sanm *m, struct pn_parts *p);

#endif
