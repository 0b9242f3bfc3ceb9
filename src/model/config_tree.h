/* config_tree.h - a model's config.yaml: nested maps, lists and scalars, read once and asked by dotted key
 * ("encoder_conf.output_size").
 *
 * Bounded: 4 MB, 8192 keys, 2^19 list items, 32 levels; anchors, aliases and tags are refused, as is a key
 * that is there twice. Maps and lists inside a list are passed over: such an item has no text. Immutable
 * after the parse; any thread. */
#ifndef PN_MODEL_CONFIG_TREE_H
#define PN_MODEL_CONFIG_TREE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct pn_config_tree;

/* `path` is for messages and copied. -PN_EFORMAT with the line, -PN_ELIMIT, -PN_ENOMEM. */
PN_MUST_CHECK int pn_config_tree_parse(struct pn_str text, const char *path, struct pn_config_tree **ret,
                                       struct pn_err *err);
struct pn_config_tree *pn_config_tree_free(struct pn_config_tree *t); /* accepts NULL, returns NULL */

/* What is not there, or is null, gives `fallback`. A value of the wrong kind (quoted text is no number) or
 * outside [min, max] is -PN_EFORMAT with line and key in the text. */
PN_MUST_CHECK int pn_config_tree_int(const struct pn_config_tree *t, const char *key, int64_t min,
                                     int64_t max, int64_t fallback, int64_t *ret, struct pn_err *err);
PN_MUST_CHECK int pn_config_tree_real(const struct pn_config_tree *t, const char *key, double min, double max,
                                      double fallback, double *ret, struct pn_err *err);
PN_MUST_CHECK int pn_config_tree_bool(const struct pn_config_tree *t, const char *key, bool fallback,
                                      bool *ret, struct pn_err *err);
/* The text of a scalar, whatever it looks like; `fallback` for a list or a map, too. */
const char *pn_config_tree_str(const struct pn_config_tree *t, const char *key, const char *fallback);
size_t pn_config_tree_list(const struct pn_config_tree *t, const char *key); /* its length; 0: no list */
/* Item i as text; NULL: past the end, or a map or a list. */
const char *pn_config_tree_item(const struct pn_config_tree *t, const char *key, size_t i);

#endif
