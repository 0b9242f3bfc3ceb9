/* fuzz_json_parse.c - hostile messages: one with a long text left out says the same as one that was parsed
 * whole, and members keep to their bounds. */
#include "base/json_parse.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_members(const json_t *j)
{
    struct pn_str s;
    bool b;
    int64_t i;
    double d;
    json_t *v;
    if (pn_json_get_str(j, "s", 4, &s, NULL) == 1)
        check(s.len <= 4);
    if (pn_json_get_i64(j, "i", -3, 3, &i, NULL) == 1)
        check(i >= -3 && i <= 3);
    if (pn_json_get_f64(j, "f", -3, 3, &d, NULL) == 1)
        check(d >= -3 && d <= 3);
    if (pn_json_get_object(j, "o", &v, NULL) == 1)
        check(json_is_object(v));
    if (pn_json_get_array(j, "a", &v, NULL) == 1)
        check(json_is_array(v));
    check(pn_json_get_bool(j, "b", &b, NULL) <= 1);
}

static bool has_control(struct pn_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] < ' ')
            return true;
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str text = { (const char *)data, size }, blob = { 0 };
    json_t *with = NULL, *whole = NULL;
    int r = pn_json_message(text, "data", &with, &blob, NULL);
    int whole_r = pn_json_object(text, PN_JSON_MESSAGE, "message", 0, &whole, NULL);
    if (whole_r == 0) {
        const json_t *v = json_object_get(whole, "data");
        check(r == 0 && json_is_string(v) == (blob.ptr != NULL));
        if (blob.ptr)
            check(json_string_length(v) == blob.len && memcmp(json_string_value(v), blob.ptr, blob.len) == 0);
        check_members(whole);
    } else if (r == 0) { /* only what the blob holds may have been wrong */
        bool utf8 = true;
        for (struct pn_str s = blob; s.len > 0 && utf8;) {
            size_t n = pn_utf8_next(s, NULL);
            utf8 = n > 0;
            s = (struct pn_str){ s.ptr + n, s.len - n };
        }
        check(has_control(blob) || !utf8);
    }
    json_decref(with);
    json_decref(whole);
    return 0;
}
