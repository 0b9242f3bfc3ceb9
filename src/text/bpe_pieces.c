/* bpe_pieces.c - text cut into pieces before merging: contractions, words, numbers, everything else, each
 * with the space before it, and white space (spec whisper 3.2). Pure. */
#include "text/bpe_impl.h"
#include "text/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum kind { LETTER, NUMBER, OTHER, SPACE, MALFORMED, END };

/* Kind and length of the character at `at`; a malformed byte is a character of its own. */
static enum kind kind_at(struct pn_str text, size_t at, size_t *len)
{
    uint32_t cp;
    *len = 0;
    if (at >= text.len)
        return END;
    *len = pn_utf8_next((struct pn_str){ text.ptr + at, text.len - at }, &cp);
    if (*len == 0) {
        *len = 1;
        return MALFORMED;
    }
    if (pn_utf8_is_space(cp))
        return SPACE;
    if (pn_utf8_is_letter(cp))
        return LETTER;
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return c >= UTF8PROC_CATEGORY_ND && c <= UTF8PROC_CATEGORY_NO ? NUMBER : OTHER;
}

static size_t contraction(struct pn_str text)
{
    static const char *const ENDINGS[] = { "'s", "'t", "'re", "'ve", "'m", "'ll", "'d" };
    for (size_t i = 0; i < PN_ARRAY_LEN(ENDINGS); i++) {
        size_t n = strlen(ENDINGS[i]);
        if (text.len >= n && memcmp(text.ptr, ENDINGS[i], n) == 0)
            return n;
    }
    return 0;
}

/* A run of white space leaves its last character to what follows it, if it has more than one. */
static size_t space_run(struct pn_str text)
{
    size_t end = 0, last = 0, len;
    while (kind_at(text, end, &len) == SPACE) {
        last = end;
        end += len;
    }
    return end < text.len && last > 0 ? last : end;
}

size_t pn_bpe_piece(struct pn_str text)
{
    size_t n = contraction(text), len;
    if (n > 0)
        return n;
    size_t end = text.ptr[0] == ' ' ? 1 : 0;
    enum kind kind = kind_at(text, end, &len);
    if (kind == SPACE || kind == END || (kind == MALFORMED && end > 0))
        return space_run(text);
    if (kind == MALFORMED)
        return 1;
    do
        end += len;
    while (kind_at(text, end, &len) == kind);
    return end;
}
