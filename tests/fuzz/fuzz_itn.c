/* fuzz_itn.c - any bytes through inverse text normalisation: what it writes it leaves as it is the second
 * time, and well-formed text stays well-formed. The first byte chooses the language. */
#include "text/itn/itn.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEXT = 4096 };

static struct pn_buf written(struct pn_str text, const char *language)
{
    struct pn_buf out;
    pn_buf_init(&out, 8 * MAX_TEXT);
    if (pn_itn(text, language, &out) < 0)
        abort();
    return out;
}

static bool is_well_formed(struct pn_str s)
{
    for (size_t n; s.len > 0; s = (struct pn_str){ s.ptr + n, s.len - n })
        if ((n = pn_utf8_next(s, NULL)) == 0)
            return false;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const LANGUAGES[] = { "zh", "en", "", "de" };
    if (size == 0)
        return 0;
    const char *language = LANGUAGES[data[0] % PN_ARRAY_LEN(LANGUAGES)];
    struct pn_str text = { (const char *)data + 1, PN_MIN(size - 1, (size_t)MAX_TEXT) };
    struct pn_buf once = written(text, language);
    struct pn_str written_once = { once.ptr, once.len };
    struct pn_buf twice = written(written_once, language);
    if (!pn_str_eq(written_once, (struct pn_str){ twice.ptr, twice.len }))
        abort();
    if (is_well_formed(text) && !is_well_formed(written_once))
        abort();
    pn_buf_done(&once);
    pn_buf_done(&twice);
    return 0;
}
