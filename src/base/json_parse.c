/* json_parse.c - see json_parse.h. */
#include "base/json_parse.h"

#include <inttypes.h>
#include <string.h>

/* ---- limits, and where the blob is ------------------------------------------------------------------- */

/* The quote that ends the string whose first byte is at `i`; the end of the text if none does. */
static size_t closing_quote(struct pn_str text, size_t i)
{
    while (i < text.len) {
        const char *quote = memchr(text.ptr + i, '"', text.len - i);
        if (!quote)
            break;
        size_t at = (size_t)(quote - text.ptr), slashes = 0;
        while (at - slashes > i && text.ptr[at - slashes - 1] == '\\')
            slashes++;
        if (slashes % 2 == 0)
            return at;
        i = at + 1;
    }
    return text.len;
}

static size_t skip_blanks(struct pn_str text, size_t i)
{
    while (i < text.len && memchr(" \t\r\n", text.ptr[i], 4))
        i++;
    return i;
}

/* The text between the quotes of the string behind the colon at `i`, unless it has escapes. */
static struct pn_str plain_string(struct pn_str text, size_t i)
{
    i = skip_blanks(text, i);
    if (i == text.len || text.ptr[i] != ':')
        return (struct pn_str){ 0 };
    i = skip_blanks(text, i + 1);
    if (i == text.len || text.ptr[i] != '"')
        return (struct pn_str){ 0 };
    size_t end = closing_quote(text, ++i);
    if (end == text.len || memchr(text.ptr + i, '\\', end - i))
        return (struct pn_str){ 0 };
    return (struct pn_str){ text.ptr + i, end - i };
}

struct scan {
    struct pn_str text;
    struct pn_json_limits limits;
    const char *blob_key; /* NULL: none is looked for */
    struct pn_str blob;
};

/* What is no JSON at all is left for the parser to refuse. */
static int check_limits(struct scan *s, const char *what, size_t at, struct pn_err *err)
{
    int depth = 0, values = 0;
    for (size_t i = 0; i < s->text.len; i++) {
        char c = s->text.ptr[i];
        if (c == '"') {
            size_t end = closing_quote(s->text, i + 1);
            struct pn_str string = { s->text.ptr + i + 1, end - i - 1 };
            if (s->blob_key && depth == 1 && !s->blob.ptr && end < s->text.len &&
                pn_str_is(string, s->blob_key))
                s->blob = plain_string(s->text, end + 1);
            i = end;
        } else if (c == '{' || c == '[') {
            depth++, values++;
        } else if ((c == '}' || c == ']') && depth > 0) {
            depth--;
        } else if (c == ',') {
            values++;
        }
        if (depth > s->limits.depth || values > s->limits.values)
            return pn_fail(err, PN_ELIMIT, "%s: %s at byte %zu", what,
                           depth > s->limits.depth ? "nested too deeply" : "too many values", at + i);
    }
    return 0;
}

/* ---- parsing ----------------------------------------------------------------------------------------- */

/* The text before the blob and behind it, as jansson asks for it. */
struct parts {
    struct pn_str part[2];
};

static size_t read_parts(void *to, size_t room, void *ctx)
{
    struct parts *p = ctx;
    struct pn_str *from = p->part[0].len > 0 ? &p->part[0] : &p->part[1];
    size_t n = PN_MIN(room, from->len);
    if (n > 0)
        memcpy(to, from->ptr, n);
    from->ptr += n;
    from->len -= n;
    return n;
}

static int parse(const struct scan *s, const char *what, size_t at, json_t **ret, struct pn_err *err)
{
    size_t head = s->blob.ptr ? (size_t)(s->blob.ptr - s->text.ptr) : s->text.len;
    size_t tail = s->text.len - head - s->blob.len;
    struct parts parts = { { { s->text.ptr, head },
                             { tail ? s->text.ptr + s->text.len - tail : "", tail } } };
    json_error_t e;
    json_t *j = json_load_callback(read_parts, &parts, JSON_REJECT_DUPLICATES, &e);
    if (!j && !e.text[0]) /* jansson has words for everything but a failed allocation */
        return pn_fail(err, PN_ENOMEM, "%s: no memory for it", what);
    if (!j) {
        size_t position = (size_t)PN_MAX(e.position, 0);
        return pn_fail(err, PN_EFORMAT, "%s: byte %zu: %.100s", what,
                       at + position + (position > head ? s->blob.len : 0), e.text);
    }
    if (!json_is_object(j)) {
        json_decref(j);
        return pn_fail(err, PN_EFORMAT, "%s: not a JSON object (byte %zu)", what, at);
    }
    *ret = j;
    return 0;
}

int pn_json_object(struct pn_str text, struct pn_json_limits limits, const char *what, size_t at,
                   json_t **ret, struct pn_err *err)
{
    struct scan s = { .text = text, .limits = limits };
    int r = check_limits(&s, what, at, err);
    return r < 0 ? r : parse(&s, what, at, ret, err);
}

int pn_json_message(struct pn_str text, const char *blob_key, json_t **ret, struct pn_str *ret_blob,
                    struct pn_err *err)
{
    struct scan s = { .text = text, .limits = PN_JSON_MESSAGE, .blob_key = blob_key };
    int r = check_limits(&s, "message", 0, err);
    if (r < 0 || (r = parse(&s, "message", 0, ret, err)) < 0)
        return r;
    const json_t *blob = json_object_get(*ret, blob_key);
    if (!s.blob.ptr && json_is_string(blob))
        s.blob = (struct pn_str){ json_string_value(blob), json_string_length(blob) };
    *ret_blob = s.blob;
    return 0;
}

/* ---- members ----------------------------------------------------------------------------------------- */

static const json_t *member(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return json_is_null(v) ? NULL : v;
}

int pn_json_get_str(const json_t *object, const char *key, size_t max_len, struct pn_str *ret,
                    struct pn_err *err)
{
    const json_t *v = member(object, key);
    if (!v)
        return 0;
    if (!json_is_string(v))
        return pn_fail(err, PN_EINVAL, "%s must be a text", key);
    if (json_string_length(v) > max_len)
        return pn_fail(err, PN_EINVAL, "%s must not be longer than %zu bytes", key, max_len);
    *ret = (struct pn_str){ json_string_value(v), json_string_length(v) };
    return 1;
}

int pn_json_get_bool(const json_t *object, const char *key, bool *ret, struct pn_err *err)
{
    const json_t *v = member(object, key);
    if (!v)
        return 0;
    if (!json_is_boolean(v))
        return pn_fail(err, PN_EINVAL, "%s must be true or false", key);
    *ret = json_is_true(v);
    return 1;
}

int pn_json_get_i64(const json_t *object, const char *key, int64_t min, int64_t max, int64_t *ret,
                    struct pn_err *err)
{
    const json_t *v = member(object, key);
    if (!v)
        return 0;
    const double whole = 9007199254740992.0; /* 2^53: up to there every whole number is a double */
    double real = json_number_value(v);
    bool fits = json_is_integer(v) ||
                (json_is_real(v) && real >= -whole && real <= whole && (double)(int64_t)real == real);
    int64_t i = json_is_integer(v) ? json_integer_value(v) : fits ? (int64_t)real : 0;
    if (!fits || i < min || i > max)
        return pn_fail(err, PN_EINVAL, "%s must be a whole number between %" PRId64 " and %" PRId64, key, min,
                       max);
    *ret = i;
    return 1;
}

int pn_json_get_f64(const json_t *object, const char *key, double min, double max, double *ret,
                    struct pn_err *err)
{
    const json_t *v = member(object, key);
    if (!v)
        return 0;
    double n = json_number_value(v);
    if (!json_is_number(v) || n < min || n > max)
        return pn_fail(err, PN_EINVAL, "%s must be a number between %g and %g", key, min, max);
    *ret = n;
    return 1;
}

static int get_container(const json_t *object, const char *key, json_type type, const char *name,
                         json_t **ret, struct pn_err *err)
{
    if (!member(object, key))
        return 0;
    json_t *v = json_object_get(object, key);
    if (json_typeof(v) != type)
        return pn_fail(err, PN_EINVAL, "%s must be %s", key, name);
    *ret = v;
    return 1;
}

int pn_json_get_object(const json_t *object, const char *key, json_t **ret, struct pn_err *err)
{
    return get_container(object, key, JSON_OBJECT, "an object", ret, err);
}

int pn_json_get_array(const json_t *object, const char *key, json_t **ret, struct pn_err *err)
{
    return get_container(object, key, JSON_ARRAY, "an array", ret, err);
}
