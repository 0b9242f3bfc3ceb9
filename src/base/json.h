/* json.h - a streaming JSON writer over pn_buf. Strings are escaped and their invalid UTF-8 replaced by
 * U+FFFD, so the output is valid JSON whatever the input. Non-finite numbers become null. The writer puts
 * the commas; a wrong nesting is a programming error (asserted). */
#ifndef PN_BASE_JSON_H
#define PN_BASE_JSON_H

#include "base/buf.h"
#include "base/str.h"

struct pn_json {
    struct pn_buf *out;
    unsigned depth;
    bool first[32]; /* whether nothing was written yet at each depth */
    bool after_key;
};

void pn_json_init(struct pn_json *j, struct pn_buf *out);
void pn_json_begin_object(struct pn_json *j);
void pn_json_end_object(struct pn_json *j);
void pn_json_begin_array(struct pn_json *j);
void pn_json_end_array(struct pn_json *j);
void pn_json_key(struct pn_json *j, const char *key);
void pn_json_str(struct pn_json *j, struct pn_str v);
void pn_json_cstr(struct pn_json *j, const char *v); /* NULL writes null */
void pn_json_i64(struct pn_json *j, int64_t v);
/* Shortest of up to 17 digits that reads back equal; always with '.' or exponent for non-integers. */
void pn_json_f64(struct pn_json *j, double v);
/* Rounded to `decimals` places, trailing zeros dropped, at least one decimal kept ("1.0"). */
void pn_json_fixed(struct pn_json *j, double v, int decimals);
void pn_json_bool(struct pn_json *j, bool v);
void pn_json_null(struct pn_json *j);
/* A member of an object: its key and its value. */
void pn_json_put_str(struct pn_json *j, const char *key, struct pn_str v);
void pn_json_put_cstr(struct pn_json *j, const char *key, const char *v); /* NULL writes null */
void pn_json_put_i64(struct pn_json *j, const char *key, int64_t v);
void pn_json_put_fixed(struct pn_json *j, const char *key, double v, int decimals);
void pn_json_put_bool(struct pn_json *j, const char *key, bool v);
/* Just the escaped text between the quotes, for the logger. */
void pn_json_escape(struct pn_buf *out, struct pn_str v);

#endif
