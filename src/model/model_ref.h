/* model_ref.h - how people name a model: "base", "paraformer-zh", "paraformer-zh@v2.0.4" (a revision of its
 * repository), "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch" (a repository of ModelScope or the Hugging Face
 * hub).
 */
#ifndef PN_MODEL_MODEL_REF_H
#define PN_MODEL_MODEL_REF_H

#include "model/catalogue.h"

struct pn_model_ref {
    const struct pn_catalogue_entry
        *e; /* of the built-in catalogue, found by name, alias or repository; or NULL */
    char repository[2 * PN_MODEL_NAME_MAX + 2]; /* "OWNER/NAME" as it was given; "" for a plain name */
    char revision[PN_MODEL_NAME_MAX + 1];       /* "": whatever is newest */
    /* What it is called in MODEL_DIR: "paraformer-zh", "paraformer-zh@v2.0.4", "someone--model". */
    char name[PN_MODEL_NAME_MAX + 1];
};

/* -PN_EINVAL: not a name of any kind; a path may still be one. */
PN_MUST_CHECK int pn_model_ref_parse(const char *text, struct pn_model_ref *ret);

#endif
