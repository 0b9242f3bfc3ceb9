/* json_file.c - see json_file.h. */
#include "model/json_file.h"

/* The byte behind the string that begins at `i`, a quote. */
static size_t skip_string(struct pn_str text, size_t i)
{
    for (i++; i < text.len && text.ptr[i] != '"'; i++)
        if (text.ptr[i] == '\\')
            i++;
    return i;
}

/* Counts before anything is allocated; what is no JSON at all is left for the parser to refuse. */
static int check_limits(struct pn_str text, const char *what, size_t at, struct pn_err *err)
{
    size_t depth = 0, values = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c == '"')
            i = skip_string(text, i);
        else if (c == '{' || c == '[')
            depth++, values++;
        else if ((c == '}' || c == ']') && depth > 0)
            depth--;
        else if (c == ',')
            values++;
        if (depth > PN_JSON_MAX_DEPTH || values > PN_JSON_MAX_VALUES)
            return pn_fail(err, PN_ELIMIT, "%s: %s at byte %zu", what,
                           depth > PN_JSON_MAX_DEPTH ? "nested too deeply" : "too many values", at + i);
    }
    return 0;
}

int pn_json_object(struct pn_str text, const char *what, size_t at, json_t **ret, struct pn_err *err)
{
    int r = check_limits(text, what, at, err);
    if (r < 0)
        return r;
    json_error_t e;
    json_t *j = json_loadb(text.len ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &e);
    if (!j && !e.text[0]) /* jansson has words for everything but a failed allocation */
        return pn_fail(err, PN_ENOMEM, "%s: no memory for it", what);
    if (!j)
        return pn_fail(err, PN_EFORMAT, "%s: byte %zu: %.100s", what, at + (size_t)PN_MAX(e.position, 0),
                       e.text);
    if (!json_is_object(j)) {
        json_decref(j);
        return pn_fail(err, PN_EFORMAT, "%s: not a JSON object (byte %zu)", what, at);
    }
    *ret = j;
    return 0;
}
