/* fuzz_paraformer_words.c - tokens of any bytes become words: their text holds what it should, their times
 * stay in order. Tokens are separated by line ends; the stamps are made up. */
#include "asr/paraformer/words.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_TOKENS = 4096 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static size_t split(struct pn_str text, struct pn_str *tokens)
{
    size_t n = 0;
    while (text.len > 0 && n < MAX_TOKENS) {
        const char *end = memchr(text.ptr, '\n', text.len);
        size_t len = end ? (size_t)(end - text.ptr) : text.len, used = len + (end != NULL);
        tokens[n++] = (struct pn_str){ text.ptr, len };
        text = (struct pn_str){ text.ptr + used, text.len - used };
    }
    return n;
}

static void check_words(const struct pn_token_words *w, size_t n_tokens, size_t size)
{
    size_t len = 0, blanks = 0;
    int64_t last = 0;
    check(w->n <= n_tokens);
    for (size_t i = 0; i < w->n; i++) {
        const struct pn_token_word *word = &w->word[i];
        check(word->text.len > 0 && word->at.begin >= last && word->at.end > word->at.begin);
        last = word->at.begin;
        len += word->text.len;
        blanks += word->blank;
    }
    check(w->text.len == len + blanks && w->spaced.len == len + (w->n > 0 ? w->n - 1 : 0) && len <= size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pn_str tokens[MAX_TOKENS];
    static struct pn_stamp stamps[MAX_TOKENS];
    size_t n = split((struct pn_str){ (const char *)data, size }, tokens);
    for (size_t i = 0; i < n; i++)
        stamps[i] = (struct pn_stamp){ (int64_t)i * 60, (int64_t)i * 60 + 60 };
    struct pn_arena *a = NULL;
    struct pn_token_words w;
    check(pn_arena_new((size_t)64 << 20, &a) == 0);
    check(pn_words_of_tokens(tokens, stamps, n, a, &w) == 0);
    check_words(&w, n, size);
    pn_arena_free(a);
    return 0;
}
