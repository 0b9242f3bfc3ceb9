/* caches.h - models that are already on this machine, and where new ones go.
 *
 * Looked at in this order: a path that was given; MODEL_DIR (NAME.pt, the folder NAME, ggml-NAME.bin); and
 * the caches of other programs: ~/.cache/whisper, the Hugging Face hub's ($HF_HUB_CACHE, $HF_HOME),
 * ModelScope's ($MODELSCOPE_CACHE). Nothing is written. Reads the environment; any thread. */
#ifndef PN_MODEL_CACHES_H
#define PN_MODEL_CACHES_H

#include "base/error.h"
#include "model/catalogue.h"

enum { PN_MODEL_PATH_MAX = 4096 };

struct pn_locate_options {
    const char *model_dir; /* MODEL_DIR; "" or NULL: the one that pn_model_dir() chooses */
    bool names_only;       /* pn_model_locate() takes no path: the name comes from a stranger */
};

enum pn_model_form { PN_FORM_TORCH, PN_FORM_FOLDER, PN_FORM_GGML };
enum pn_model_place { PN_PLACE_MODEL_DIR, PN_PLACE_WHISPER, PN_PLACE_HUGGING_FACE, PN_PLACE_MODELSCOPE };

struct pn_model_found {
    char name[PN_MODEL_NAME_MAX + 1];
    char path[PN_MODEL_PATH_MAX];
    enum pn_model_form form;
    enum pn_model_place place;
    int64_t size; /* bytes of its files */
};

/* The folder that new models go into; it need not exist. In this order: `model_dir`; models in the first of
 * $STATE_DIRECTORY (a systemd service); /var/lib/pinna/models for root, where /var/lib/pinna exists;
 * $XDG_DATA_HOME/pinna/models; ~/.local/share/pinna/models. -PN_ENOTFOUND: none of these is known. */
PN_MUST_CHECK int pn_model_dir(const struct pn_locate_options *opt, char *path, size_t cap,
                               struct pn_err *err);
/* Writes the path of the file or folder of a model. `name`: as model_ref.h has it, of the catalogue, of
 * MODEL_DIR or of a hub whose cache has it; or a path (with a '/', or a file here whose name ends in .pt,
 * .bin or .safetensors). -PN_ENOTFOUND with what to do in the text; -PN_ELIMIT: `cap` is too small. `opt` may
 * be NULL. */
PN_MUST_CHECK int pn_model_locate(const char *name, const struct pn_locate_options *opt, char *path,
                                  size_t cap, struct pn_err *err);
/* The rank file `ranks` ("multilingual.tiktoken"): beside `checkpoint` (may be NULL), else in MODEL_DIR.
 * -PN_ENOTFOUND with the command that fetches it. */
PN_MUST_CHECK int pn_rank_file_locate(const char *ranks, const char *checkpoint,
                                      const struct pn_locate_options *opt, char *path, size_t cap,
                                      struct pn_err *err);
/* Calls `fn` for all that is in MODEL_DIR, by name, then for what the caches have of the catalogue. Stops at,
 * and returns, the first value of `fn` that is not 0; else 0 or -PN_ENOMEM. */
PN_MUST_CHECK int pn_models_each(const struct pn_locate_options *opt,
                                 int (*fn)(void *ctx, const struct pn_model_found *found), void *ctx,
                                 struct pn_err *err);
const char *pn_model_form_name(enum pn_model_form form);    /* "pt", "folder", "ggml" */
const char *pn_model_place_name(enum pn_model_place place); /* "models", "whisper", "huggingface" ... */

#endif
