/* fuzz_bpe.c - any bytes through encoding and back: with all single bytes in the vocabulary the ids always
 * spell the text, and lossy decoding gives well-formed UTF-8. */
#include "text/bpe.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TEXT = 4096, BYTES = 256 };

/* The 256 bytes and some joins of them that text and hostile input can reach. */
static struct pn_bpe *vocabulary(void)
{
    static const char *const JOINS[] = { "aa",   "ab", "ba",       "aaa",          "aab",     " a",
                                         "  ",   "'s", "\xe4\xb8", "\xe4\xb8\x80", "12",      "abab",
                                         " the", "th", "he",       "!!",           "\xff\xfe" };
    static char byte[BYTES];
    struct pn_str tokens[BYTES + PN_ARRAY_LEN(JOINS)];
    struct pn_bpe *b = NULL;
    for (int i = 0; i < BYTES; i++) {
        byte[i] = (char)(unsigned char)i;
        tokens[i] = (struct pn_str){ &byte[i], 1 };
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(JOINS); i++)
        tokens[BYTES + i] = pn_str(JOINS[i]);
    if (pn_bpe_new(tokens, PN_ARRAY_LEN(tokens), &b, NULL) < 0)
        abort();
    return b;
}

static void check_spelling(const struct pn_bpe *b, const int32_t *ids, int n, struct pn_str text)
{
    for (int i = 0; i < n; i++) {
        struct pn_str t = pn_bpe_token(b, ids[i]);
        if (t.len == 0 || t.len > text.len || memcmp(t.ptr, text.ptr, t.len) != 0)
            abort();
        text = (struct pn_str){ text.ptr + t.len, text.len - t.len };
    }
    if (text.len != 0)
        abort();
}

static void check_lossy(struct pn_str text)
{
    struct pn_buf out;
    pn_buf_init(&out, 4 * MAX_TEXT);
    pn_utf8_append_lossy(&out, text);
    struct pn_str rest = { out.ptr, out.len };
    for (size_t n; rest.len > 0; rest = (struct pn_str){ rest.ptr + n, rest.len - n }) {
        n = pn_utf8_next(rest, NULL);
        if (n == 0)
            abort();
    }
    if (out.failed)
        abort();
    pn_buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pn_bpe *b;
    static int32_t ids[MAX_TEXT];
    struct pn_str text = { (const char *)data, PN_MIN(size, (size_t)MAX_TEXT) };
    if (!b)
        b = vocabulary();
    int n = pn_bpe_encode(b, text, ids, PN_ARRAY_LEN(ids));
    if (n < 0 || (size_t)n > text.len)
        abort();
    check_spelling(b, ids, n, text);
    check_lossy(text);
    return 0;
}
