/* fsmn_model.h - what a ModelScope folder of FSMN-VAD holds: its front end, its network and what it says
 * about deciding. Immutable once open. */
#ifndef PN_ASR_VAD_FSMN_MODEL_H
#define PN_ASR_VAD_FSMN_MODEL_H

#include "asr/vad/fsmn_decide.h"
#include "asr/vad/fsmn_net.h"
#include "audio/fbank.h"

struct pn_fsmn_model {
    struct pn_fbank *fbank; /* a row for each frame */
    struct pn_fsmn_net *net;
    struct pn_fsmn_rules rules;
};

/* -PN_ENOTFOUND, -PN_EFORMAT, -PN_EUNSUPPORTED, -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_fsmn_model_open(const char *folder, struct pn_fsmn_model **ret, struct pn_err *err);
struct pn_fsmn_model *pn_fsmn_model_close(struct pn_fsmn_model *m);

#endif
