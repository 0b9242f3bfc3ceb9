/* fuzz_mark_dictionary.c - hostile dictionaries: whatever they hold, text can be cut with them. The first
 * line is the text. */
#include "asr/punctuation/dictionary.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { N_WORDS = 32 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static int64_t id_of(const void *ctx, struct pn_str word)
{
    (void)ctx;
    uint32_t h = 7;
    for (size_t i = 0; i < word.len; i++)
        h = h * 31 + (unsigned char)word.ptr[i];
    return (int64_t)(h % (N_WORDS + 8)) - 4; /* some are unknown, some past the end */
}

static int64_t known_id_of(const void *ctx, struct pn_str word)
{
    int64_t id = id_of(ctx, word);
    return id < N_WORDS ? id : -1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_str all = { (const char *)data, size };
    const char *end = size > 0 ? memchr(all.ptr, '\n', size) : NULL;
    size_t first = end ? (size_t)(end - all.ptr) : size;
    struct pn_mark_vocabulary v = { NULL, id_of, 0, NULL, 0 };
    struct pn_mark_dictionary d = { NULL, 0 };
    const struct pn_str rest = { all.ptr + first, size - first };
    check(pn_mark_dictionary_parse(&rest, 1, &v, N_WORDS, &d) == 0 && d.least < 0);
    for (size_t i = 0; i < N_WORDS; i++)
        check(d.log_p[i] <= 0 || d.log_p[i] == 1);
    v.id = known_id_of;
    v.log_p = d.log_p;
    v.least = d.least;
    struct pn_mark_words w;
    struct pn_mark_token t;
    size_t bytes = 0;
    pn_mark_words_init(&w, &v, (struct pn_str){ all.ptr, first });
    while (pn_mark_words_next(&w, &t)) {
        check(t.text.len > 0 && t.chars > 0 && t.chars <= PN_MARK_WORD);
        bytes += t.text.len;
    }
    check(bytes <= first);
    pn_mark_dictionary_done(&d);
    return 0;
}
