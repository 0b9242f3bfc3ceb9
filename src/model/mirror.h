/* mirror.h - a catalogue of one's own: the JSON file that PINNA_CATALOGUE names.
 *
 *     {"models": [{"name": "ours", "kind": "whisper", "languages": "de", "folder": false,
 *                  "files": [{"path": "ours.pt", "url": "https://models.example/ours.pt",
 *                             "sha256": "...", "size": 123}]}]}
 *
 * "sha256" must be there, so that nothing unchecked is ever loaded; "size", "languages" and "folder" may be
 * left out. Names that the built-in catalogue has, too, take its place. At most 1 MB, 256 models, 64 files
 * each. */
#ifndef PN_MODEL_MIRROR_H
#define PN_MODEL_MIRROR_H

#include "base/error.h"
#include "model/catalogue.h"

struct pn_mirror; /* constant once read; any thread */

/* A `path` of "" is no catalogue: *ret becomes NULL, which the functions below accept.
 * -PN_ENOTFOUND, -PN_EFORMAT (the text names the line or the model), -PN_ELIMIT, -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_mirror_read(const char *path, struct pn_mirror **ret, struct pn_err *err);
struct pn_mirror *pn_mirror_free(struct pn_mirror *m); /* accepts NULL, returns NULL */
/* NULL when there is none; `m` may be NULL. */
const struct pn_catalogue_entry *pn_mirror_find(const struct pn_mirror *m, const char *name);
const struct pn_catalogue_entry *pn_mirror_at(const struct pn_mirror *m, size_t i);

#endif
