/* look.h - what a file or folder on this machine is, by looking inside. */
#ifndef PN_MODEL_LOOK_H
#define PN_MODEL_LOOK_H

#include "base/error.h"
#include "model/catalogue.h"

/* The kind of the model at `path`, as it would be loaded: the class of a FunASR folder decides whatever it is
 * called; else the catalogue, for a name that it knows; else it is Whisper if it has the size of a
 * vocabulary. *ret_vocabulary is that size, or 0 where it was not looked for. Reads the heads of files.
 * -PN_EUNSUPPORTED: nothing that is known here; else why it cannot be read. */
PN_MUST_CHECK int pn_model_look(const char *name, const char *path, enum pn_model_kind *ret,
                                int64_t *ret_vocabulary);

#endif
