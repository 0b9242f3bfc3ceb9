/* look.c - see look.h. */
#include "model/look.h"

#include "model/checkpoint.h"
#include "model/funasr.h"

static int look_at_folder(const char *path, enum pn_model_kind *ret)
{
    char class[PN_FUNASR_CLASS_MAX];
    int r = pn_funasr_class_of(path, class, NULL);
    return r < 0 ? r : pn_model_kind_of_class(class, ret);
}

static int vocabulary_of(const char *path, int64_t *ret)
{
    struct pn_checkpoint *c = NULL;
    int r = pn_checkpoint_open(path, &c, NULL);
    if (r < 0)
        return r;
    r = pn_checkpoint_int(c, "n_vocab", ret);
    if (r < 0)
        r = pn_checkpoint_int(c, "vocab_size", ret);
    pn_checkpoint_close(c);
    return r < 0 ? -PN_EUNSUPPORTED : 0;
}

int pn_model_look(const char *name, const char *path, enum pn_model_kind *ret, int64_t *ret_vocabulary)
{
    const struct pn_catalogue_entry *known = pn_catalogue_find(name);
    int64_t vocabulary = 0;
    enum pn_model_kind kind = known ? known->kind : PN_MODEL_WHISPER;
    int r = 0;
    if (pn_funasr_is_folder(path))
        r = look_at_folder(path, &kind);
    else if (!known)
        r = vocabulary_of(path, &vocabulary);
    if (r < 0)
        return r;
    *ret = kind;
    *ret_vocabulary = vocabulary;
    return 0;
}
