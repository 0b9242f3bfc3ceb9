/* pull.h - getting a model by its name: from OpenAI, the Hugging Face hub, ModelScope or a mirror, into
 * MODEL_DIR. Blocking; any thread; two processes that want the same model do not disturb each other. */
#ifndef PN_MODEL_PULL_H
#define PN_MODEL_PULL_H

#include "base/config.h"
#include "base/error.h"
#include "model/catalogue.h"
#include "model/mirror.h"

struct pn_pull_progress {
    const char *file; /* "base.pt" */
    size_t i, n;      /* the i-th of n files, from 1 */
    int64_t done;     /* bytes */
    int64_t total;    /* bytes; -1: not known */
};

struct pn_pull_options {
    const char *model_dir; /* "": the one that pn_model_dir() chooses */
    const char *hf_endpoint, *modelscope_endpoint;
    const char *model_url; /* "": OpenAI's and GitHub's addresses */
    bool offline;
    int stall_s;
    const struct pn_mirror *mirror; /* PINNA_CATALOGUE, or NULL */
    /* Both may be NULL. progress: not 0 means stop; called also while waiting. */
    void *ctx;
    int (*progress)(void *ctx, const struct pn_pull_progress *p);
    void (*note)(void *ctx, const char *line);
};

enum pn_pulled { PN_PULLED_NOW, PN_PULLED_BEFORE };

/* What the settings say; mirror, ctx, progress and note are left empty. Borrows the strings. */
struct pn_pull_options pn_pull_options_of(const struct pn_config *c);
/* Makes the model of this name (model_ref.h) available, with the rank file that it needs, unless it is
 * (PN_PULLED_BEFORE); writes where it is. Sources are tried in turn. -PN_ENOTFOUND: unknown name, or no
 * source has it; -PN_EUNSUPPORTED: offline; else as pn_download(). */
PN_MUST_CHECK int pn_pull(const char *name, const struct pn_pull_options *opt, char *path, size_t cap,
                          struct pn_err *err);
/* The entry of this name: the mirror's, else the built-in one, whatever the revision; NULL. */
const struct pn_catalogue_entry *pn_pull_find(const struct pn_pull_options *opt, const char *name);

#endif
