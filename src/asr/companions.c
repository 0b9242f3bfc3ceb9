/* companions.c - see companions.h. What is here and damaged is an error, also of "auto". */
#include "asr/companions.h"

#include "model/caches.h"

#include <string.h>

static bool is_auto(const char *setting)
{
    return setting[0] == '\0' || strcmp(setting, "auto") == 0;
}

static int locate(const struct pn_model_loader *l, const char *name, char path[PN_MODEL_PATH_MAX],
                  struct pn_err *err)
{
    struct pn_locate_options opt = { .model_dir = l->model_dir };
    return pn_model_locate(name, &opt, path, PN_MODEL_PATH_MAX, err);
}

/* The first of `names` that is here; false: none. */
static bool locate_any(const struct pn_model_loader *l, const char *const *names, size_t n,
                       char path[PN_MODEL_PATH_MAX])
{
    for (size_t i = 0; i < n; i++)
        if (locate(l, names[i], path, NULL) == 0)
            return true;
    return false;
}

/* ---- voice activity ---- */

static const char *vad_name(const char *setting)
{
    if (strcmp(setting, "fsmn") == 0)
        return "fsmn-vad";
    return strcmp(setting, "silero") == 0 ? "silero-vad" : setting;
}

int pn_companion_vad(const struct pn_model_loader *l, const char *setting, struct pn_vad_model **ret,
                     struct pn_err *err)
{
    static const char *const KNOWN[] = { "fsmn-vad", "silero-vad" };
    char path[PN_MODEL_PATH_MAX];
    const char *found = path;
    if (strcmp(setting, "off") == 0) {
        *ret = NULL;
        return 0;
    }
    if (strcmp(setting, "energy") == 0 ||
        (is_auto(setting) && !locate_any(l, KNOWN, PN_ARRAY_LEN(KNOWN), path))) {
        found = NULL;
    } else if (!is_auto(setting)) {
        int r = locate(l, vad_name(setting), path, err);
        if (r < 0)
            return r;
    }
    return pn_vad_model_open(found, ret, err);
}

/* ---- punctuation ---- */

int pn_companion_punctuation(const struct pn_model_loader *l, const char *setting,
                             struct pn_punctuation **ret, struct pn_err *err)
{
    char path[PN_MODEL_PATH_MAX];
    bool here = false;
    if (is_auto(setting)) {
        here = locate(l, "ct-punc", path, NULL) == 0;
    } else if (strcmp(setting, "off") != 0) {
        int r = locate(l, setting, path, err);
        if (r < 0)
            return r;
        here = true;
    }
    if (!here) {
        *ret = NULL;
        return 0;
    }
    const struct pn_punctuation_options opt = { .path = path,
                                                .cache_dir = l->cache_dir,
                                                .precision = l->precision,
                                                .pool = l->packing_pool,
                                                .progress = l->progress,
                                                .ctx = l->ctx };
    return pn_punctuation_open(&opt, ret, err);
}
