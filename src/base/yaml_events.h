/* yaml_events.h - YAML as a bounded series of events, by libyaml.
 *
 * Whatever could make a small file large, or mean more than it says, ends the parse: anchors, aliases, tags,
 * a second document. How deep and how much is the receiver's to limit; nothing is kept between two events. */
#ifndef PN_BASE_YAML_EVENTS_H
#define PN_BASE_YAML_EVENTS_H

#include "base/error.h"
#include "base/str.h"

enum pn_yaml_kind { PN_YAML_SCALAR, PN_YAML_MAP, PN_YAML_MAP_END, PN_YAML_LIST, PN_YAML_LIST_END };

struct pn_yaml_event {
    enum pn_yaml_kind kind;
    struct pn_str text; /* of a scalar, unescaped; for this call only */
    bool plain;         /* a scalar without quotes */
    int line;           /* from 1 */
};

/* Negative ends the parse with that value. */
typedef int (*pn_yaml_event_fn)(void *ctx, const struct pn_yaml_event *e, struct pn_err *err);

/* `path` is for messages. -PN_EFORMAT with the line, -PN_ENOMEM, or what `fn` returned. */
PN_MUST_CHECK int pn_yaml_events(struct pn_str text, const char *path, pn_yaml_event_fn fn, void *ctx,
                                 struct pn_err *err);
/* A scalar that means nothing: no text, `~`, `null`. */
bool pn_yaml_is_null(const struct pn_yaml_event *e);

#endif
