/* json_file.h - JSON from outside, parsed by jansson within limits on nesting and on the number of values, so
 * that a hostile file costs neither the stack nor many times its size in memory. */
#ifndef PN_MODEL_JSON_FILE_H
#define PN_MODEL_JSON_FILE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

#include <jansson.h>

enum { PN_JSON_MAX_DEPTH = 64, PN_JSON_MAX_VALUES = 1 << 20 };

/* An object, without duplicate keys; the caller's to json_decref(). `what` names the text in messages, `at`
 * is the byte of the file where it begins. -PN_EFORMAT, -PN_ELIMIT. */
PN_MUST_CHECK int pn_json_object(struct pn_str text, const char *what, size_t at, json_t **ret,
                                 struct pn_err *err);

#endif
