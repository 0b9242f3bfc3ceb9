/* catalogue.h - the models that have a name: what they are, and where their files are published.
 *
 * The built-in table is constant. PINNA_CATALOGUE adds models of one's own (mirror.h). */
#ifndef PN_MODEL_CATALOGUE_H
#define PN_MODEL_CATALOGUE_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PN_MODEL_NAME_MAX = 128 };

enum pn_model_kind {
    PN_MODEL_WHISPER,
    PN_MODEL_PARAFORMER,
    PN_MODEL_VAD,
    PN_MODEL_PUNCTUATION,
    PN_MODEL_VOCABULARY, /* a rank file that OpenAI's checkpoints need beside them */
};

/* One file of a model with an address of its own. */
struct pn_model_file {
    const char *path;   /* below MODEL_DIR, or below MODEL_DIR/NAME for a model that is a folder */
    const char *url;    /* http:// or https:// */
    const char *digest; /* lower-case hex: 64 digits are SHA-256, 40 SHA-1 */
    int64_t size;       /* bytes; -1: not known */
};

struct pn_catalogue_entry {
    const char *name;
    const char *alias; /* a second name, or NULL */
    enum pn_model_kind kind;
    const char *languages;    /* for people: "en", "99 languages" */
    int64_t size;             /* of the download, about, in bytes */
    const char *sha256;       /* of OpenAI's NAME.pt, and a part of its address; NULL: there is none */
    const char *sha1;         /* of whisper.cpp's ggml-NAME.bin, or NULL */
    const char *ranks;        /* the rank file that NAME.pt needs, or NULL */
    const char *hugging_face; /* repository, or NULL */
    const char *modelscope;   /* repository, or NULL */
    /* Names in the repositories, NULL at the end; one that begins with '?' may be missing there. NULL: the
     * model is not a folder. */
    const char *const *folder;
    /* Models that are plain files at known addresses: the first is the model itself. */
    const struct pn_model_file *files;
    size_t n_files;
    bool is_folder; /* `files` lie in a folder NAME */
};

/* By name or alias; NULL when there is none. */
const struct pn_catalogue_entry *pn_catalogue_find(const char *name);
const struct pn_catalogue_entry *pn_catalogue_at(size_t i); /* NULL past the end */
/* The FunASR model of this repository of ModelScope (owner iic, or damo as it was) or the Hugging Face hub.
 */
const struct pn_catalogue_entry *pn_catalogue_find_repository(const char *repository);
/* What to say of a name that people know from elsewhere, but that no hub has anything for; NULL for others.
 */
const char *pn_catalogue_hint(const char *name);
/* Files of a FunASR repository that is not in the catalogue, as pn_catalogue_entry.folder. */
extern const char *const pn_funasr_folder[];
const char *pn_model_kind_name(enum pn_model_kind kind); /* "whisper" */
/* "whisper", ...; -PN_EINVAL for others. */
PN_MUST_CHECK int pn_model_kind_parse(const char *name, enum pn_model_kind *ret);
/* What models of this class of FunASR are ("ParaformerStreaming"); -PN_EUNSUPPORTED for classes that Pinna
 * does not know. */
PN_MUST_CHECK int pn_model_kind_of_class(const char *class, enum pn_model_kind *ret);
/* Letters, digits, '.', '_', '-' and '@', at most PN_MODEL_NAME_MAX, not beginning with '.' or '-': a name
 * that is safe as that of a file. */
bool pn_model_name_ok(const char *name);

#endif
