/* model_list.h - the recognisers of this machine that a request may name. */
#ifndef PN_ASR_MODEL_LIST_H
#define PN_ASR_MODEL_LIST_H

#include "asr/models.h"
#include "model/catalogue.h"

enum { PN_MODEL_LIST_MAX = 1000 };

struct pn_listed_model {
    char name[PN_MODEL_NAME_MAX + 1];
    int64_t created; /* of its file or folder, Unix seconds; 0: not known */
};

struct pn_model_list {
    size_t n;
    struct pn_listed_model item[PN_MODEL_LIST_MAX];
};

/* The default ones for files, live audio and the second pass, "whisper-1", then by their names all others
 * that may be loaded. Reads folders and the heads of files, which takes a while: any thread but the event
 * loop's. -PN_ENOMEM. */
PN_MUST_CHECK int pn_model_list_new(const struct pn_models *m, struct pn_model_list **ret,
                                    struct pn_err *err);
/* By name, alias or repository; NULL: no such model. */
const struct pn_listed_model *pn_model_list_find(const struct pn_model_list *l, const char *name);

#endif
