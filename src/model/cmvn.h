/* cmvn.h - am.mvn, Kaldi's text of what feature rows are shifted and scaled by: y = (x + shift) * scale. */
#ifndef PN_MODEL_CMVN_H
#define PN_MODEL_CMVN_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum { PN_CMVN_MAX = 1 << 16 };

struct pn_cmvn {
    float *shift, *scale; /* [n] each; owned */
    size_t n;
};

/* Takes the bracketed numbers behind <AddShift> and <Rescale>, however they are broken into lines; other
 * parts are passed over. `path` is for messages. -PN_EFORMAT (with the byte), -PN_ELIMIT (over 4 MB or
 * PN_CMVN_MAX numbers), -PN_ENOMEM. */
PN_MUST_CHECK int pn_cmvn_parse(struct pn_str text, const char *path, struct pn_cmvn *ret,
                                struct pn_err *err);
void pn_cmvn_done(struct pn_cmvn *c); /* accepts one that is all zero */

#endif
