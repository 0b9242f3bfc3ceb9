/* fuzz_hotwords.c - hostile hot words of a request: what is read keeps its limits and can be turned into ids.
 */
#include "asr/paraformer/hotwords.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* A model that knows every word but those with an x. */
static struct pn_str pieces_of(const void *ctx, struct pn_str word)
{
    (void)ctx;
    for (size_t i = 0; i < word.len; i++)
        if (word.ptr[i] == 'x')
            return (struct pn_str){ NULL, 0 };
    return word;
}

static int64_t id_of(const void *ctx, struct pn_str piece)
{
    (void)ctx;
    check(piece.len > 0);
    return piece.len % 7;
}

static void check_word(const struct pn_hotword *w)
{
    const struct pn_hotword_vocabulary v = { NULL, pieces_of, id_of, 6 };
    int32_t ids[PN_HOTWORD_IDS_MAX];
    check(w->text.len > 0 && w->text.len <= PN_HOTWORD_BYTES_MAX && w->weight > 0);
    int n = pn_hotword_ids(&v, w->text, ids, PN_ARRAY_LEN(ids));
    check(n >= 0 && (size_t)n <= w->text.len);
    for (int i = 0; i < n; i++)
        check(ids[i] >= 0 && ids[i] < 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_arena *a = NULL;
    struct pn_hotwords w = { .n = 0 };
    struct pn_err err = { 0 };
    check(pn_arena_new((size_t)1 << 20, &a) == 0);
    int r = pn_hotwords_parse((struct pn_str){ (const char *)data, size }, a, &w, &err);
    check(r == 0 ? w.n <= PN_HOTWORDS_MAX : w.n == 0 && err.text[0]);
    for (size_t i = 0; i < w.n; i++)
        check_word(&w.word[i]);
    pn_arena_free(a);
    return 0;
}
