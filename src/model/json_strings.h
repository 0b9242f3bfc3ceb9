/* json_strings.h - a JSON array of strings, one after the other: token lists hold half a million, of which a
 * tree would cost tens of megabytes. */
#ifndef PN_MODEL_JSON_STRINGS_H
#define PN_MODEL_JSON_STRINGS_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

struct pn_json_strings {
    struct pn_str text;
    size_t pos;
    const char *path; /* for messages */
    size_t n;         /* strings so far */
    struct pn_err *err;
};

struct pn_json_strings pn_json_strings(struct pn_str text, const char *path, struct pn_err *err);
/* Writes the next string's bytes (UTF-8 without zero bytes, never more than stand between its quotes) to
 * `to`. Returns 1; 0 behind the last one, when nothing but blanks follows the array; -PN_EFORMAT with the
 * byte. */
PN_MUST_CHECK int pn_json_next_string(struct pn_json_strings *j, char *to, size_t *ret_len);

#endif
