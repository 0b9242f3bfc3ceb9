/* import.h - a checkpoint of one's own becomes a model with a name in MODEL_DIR. */
#ifndef PN_MODEL_IMPORT_H
#define PN_MODEL_IMPORT_H

#include "model/pull.h"

/* Checks that `source` is a checkpoint (a .pt, a ggml .bin, or a folder of the Hugging Face hub's or FunASR's
 * making) and copies it into MODEL_DIR under `name` (NULL: after the source's own name); a rank file beside
 * it that it needs comes along. The copy shares the disk blocks where the file system can do that; it is no
 * hard link, because a trainer that writes its checkpoint anew would change a model that is mapped. Writes
 * where the model is now. -PN_EFORMAT: no checkpoint (the reason is in the text); -PN_EINVAL: a name that
 * cannot be one, or is taken; -PN_EIO, ... */
PN_MUST_CHECK int pn_import(const char *source, const char *name, const struct pn_pull_options *opt,
                            char *path, size_t cap, struct pn_err *err);

#endif
