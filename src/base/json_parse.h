/* json_parse.h - JSON from outside, parsed by jansson within limits on nesting and on the number of values,
 * which are counted before anything is allocated: a hostile text costs neither the stack nor many times its
 * size in memory. */
#ifndef PN_BASE_JSON_PARSE_H
#define PN_BASE_JSON_PARSE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

#include <jansson.h>

struct pn_json_limits {
    int depth, values;
};
#define PN_JSON_FILE    ((struct pn_json_limits){ .depth = 64, .values = 1 << 20 })
#define PN_JSON_MESSAGE ((struct pn_json_limits){ .depth = 16, .values = 500 })

/* An object, without duplicate keys; the caller's to json_decref(). `what` names the text in messages, `at`
 * is the byte of the file where it begins. -PN_EFORMAT, -PN_ELIMIT, -PN_ENOMEM. */
PN_MUST_CHECK int pn_json_object(struct pn_str text, struct pn_json_limits limits, const char *what,
                                 size_t at, json_t **ret, struct pn_err *err);

/* The same for a message whose member `blob_key` may be a long text, audio in base64: *ret_blob is that text
 * and lies in `text` or, where it was written with escapes, in *ret; ptr is NULL if there is no such member
 * or it is no text. In *ret it may be empty. Control characters in it are not refused. */
PN_MUST_CHECK int pn_json_message(struct pn_str text, const char *blob_key, json_t **ret,
                                  struct pn_str *ret_blob, struct pn_err *err);

/* Members of an object. 1: *ret is set; 0: absent or null; -PN_EINVAL: another type or out of bounds, with a
 * text that names the key and says what may be there. */
PN_MUST_CHECK int pn_json_get_str(const json_t *object, const char *key, size_t max_len, struct pn_str *ret,
                                  struct pn_err *err); /* the object's */
PN_MUST_CHECK int pn_json_get_bool(const json_t *object, const char *key, bool *ret, struct pn_err *err);
/* Whole numbers, also when written as 16000.0. */
PN_MUST_CHECK int pn_json_get_i64(const json_t *object, const char *key, int64_t min, int64_t max,
                                  int64_t *ret, struct pn_err *err);
PN_MUST_CHECK int pn_json_get_f64(const json_t *object, const char *key, double min, double max, double *ret,
                                  struct pn_err *err);
/* An object's or an array's: borrowed. */
PN_MUST_CHECK int pn_json_get_object(const json_t *object, const char *key, json_t **ret, struct pn_err *err);
PN_MUST_CHECK int pn_json_get_array(const json_t *object, const char *key, json_t **ret, struct pn_err *err);

#endif
