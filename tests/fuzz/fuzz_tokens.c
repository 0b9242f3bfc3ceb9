/* fuzz_tokens.c - token lists and seg_dict, any bytes behind a letter that says which: every text is found
 * again at a place where it is. */
#include "model/seg_dict.h"
#include "model/tokens.h"

#include <jansson.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_words(struct pn_str text)
{
    struct pn_err err = { 0 };
    struct pn_seg_dict d = { 0 };
    int r = pn_seg_dict_parse(text, "seg_dict", &d, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && d.n == 0);
    for (size_t i = 0; i < d.n; i++)
        check(d.word[i].len > 0 && d.pieces[i].len > 0 && pn_seg_dict_find(&d, d.word[i]).len > 0);
    pn_seg_dict_done(&d);
}

/* jansson reads the same, or refuses as well. */
static void compare(const struct pn_tokens *t, struct pn_str text)
{
    json_t *j = json_loadb(text.len ? text.ptr : "", text.len, 0, NULL);
    size_t n = json_array_size(j), i = 0;
    while (i < n && json_is_string(json_array_get(j, i)))
        i++;
    check(i == n ? t->n == n : t->n == 0);
    for (i = 0; i < t->n; i++) {
        const json_t *v = json_array_get(j, i);
        check(pn_str_eq(t->list[i], (struct pn_str){ json_string_value(v), json_string_length(v) }));
    }
    json_decref(j);
}

static void check_tokens(struct pn_str text, bool json)
{
    struct pn_err err = { 0 };
    struct pn_tokens t = { 0 };
    int r =
        json ? pn_tokens_from_json(text, "tokens", &t, &err) : pn_tokens_from_lines(text, "tokens", &t, &err);
    check(r == 0 ? err.code == 0 && t.n > 0 : err.code == -r && t.n == 0);
    for (size_t i = 0; i < t.n; i++) {
        int64_t at = pn_text_index_find(&t.index, t.list, t.list[i]);
        check(at >= (int64_t)i && pn_str_eq(t.list[at], t.list[i]));
    }
    if (json)
        compare(&t, text);
    pn_tokens_done(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const struct pn_str text = { (const char *)data + 1, size - 1 };
    if (data[0] == 's')
        check_words(text);
    else
        check_tokens(text, data[0] == 'j');
    return 0;
}
