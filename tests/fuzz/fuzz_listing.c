/* fuzz_listing.c - a repository's list of files, as ModelScope answers: sizes and digests for files that are
 * wanted, never other files. */
#include "model/source.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_arena *arena = NULL;
    struct pn_err err = { 0 };
    struct pn_source s = {
        .files = { { .path = "model.pt", .url = "http://a/1", .size = -1 },
                   { .path = "am.mvn", .url = "http://a/2", .size = -1 },
                   { .path = "seg_dict", .url = "http://a/3", .size = -1, .optional = true } },
        .n = 3
    };
    check(pn_arena_new((size_t)1 << 20, &arena) == 0);
    int r = pn_source_read_listing(&s, (struct pn_str){ (const char *)data, size }, arena, &err);
    check(r == 0 ? err.code == 0 : err.code == -r && err.text[0]);
    check(r < 0 || (s.n >= 2 && s.n <= 3));
    for (size_t i = 0; r == 0 && i < s.n; i++) {
        const struct pn_source_file *f = &s.files[i];
        check(f->size > 0 || f->size == -1);
        check(!f->digest || (strlen(f->digest) == 64 && strspn(f->digest, "0123456789abcdef") == 64));
        check(strncmp(f->url, "http://a/", 9) == 0);
    }
    pn_arena_free(arena);
    return 0;
}
