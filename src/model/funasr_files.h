/* funasr_files.h - which file of a ModelScope folder plays which part: as configuration.json says, else the
 * usual names. */
#ifndef PN_MODEL_FUNASR_FILES_H
#define PN_MODEL_FUNASR_FILES_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

enum { PN_FUNASR_NAME = 256 };

struct pn_funasr_files {
    const char *folder;           /* borrowed */
    char config[PN_FUNASR_NAME];  /* "config.yaml"; whether it is there is seen when it is opened */
    char weights[PN_FUNASR_NAME]; /* "model.pt"; the same */
    char tokens[PN_FUNASR_NAME];  /* "" from here on: the folder has none */
    char cmvn[PN_FUNASR_NAME], seg_dict[PN_FUNASR_NAME];
};

/* -PN_EFORMAT: configuration.json is broken, or names a file outside of the folder. -PN_ENOMEM, -PN_EIO. */
PN_MUST_CHECK int pn_funasr_files_find(const char *folder, struct pn_funasr_files *ret, struct pn_err *err);
/* The path of a file of the folder; -PN_ELIMIT: too long. */
PN_MUST_CHECK int pn_funasr_path(const char *folder, const char *name, char *path, size_t cap,
                                 struct pn_err *err);
bool pn_funasr_has(const char *folder, const char *name); /* it is there, and a plain file */

#endif
