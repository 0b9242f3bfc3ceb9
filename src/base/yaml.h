/* yaml.h - configuration files: nested mappings of scalars by libyaml's events. Refused: anchors and aliases,
 * tags, sequences, a second document, duplicate keys, depth over 8, more than 1024 keys, files over 256 KB.
 */
#ifndef PN_BASE_YAML_H
#define PN_BASE_YAML_H

#include "base/option.h"

/* One scalar with its dotted key ("server.port"), 1-based line. Same contract as pn_dotenv_fn. A null
 * (`port:` with nothing behind it, `~`, `null`) is value.ptr == NULL. */
typedef int (*pn_yaml_fn)(void *ctx, struct pn_str key, struct pn_str value, int line, struct pn_err *err);
PN_MUST_CHECK int pn_yaml_parse(struct pn_str text, const char *path, pn_yaml_fn fn, void *ctx,
                                struct pn_err *err);
/* Reads a file into `v`. A missing file is -PN_ENOTFOUND. Unknown keys are refused; a null counts as unset.
 */
PN_MUST_CHECK int pn_opt_read_yaml(struct pn_opt_values *v, const char *path, struct pn_err *err);

#endif
