/* random_paraformer_main.c - writes a ModelScope folder with random weights.
 *
 *     random_paraformer KIND FOLDER [--size 512] [--feed 2048] [--heads 4] [--blocks 50] [--layers 16]
 *             [--vocabulary 8404] [--seed 1]
 *
 * KIND is offline, seaco, streaming, vad, punc or punc-live; sizes are the published ones where nothing is
 * said. */
#include "random_paraformer.h"

#include "base/str.h"

#include <stdio.h>
#include <string.h>

static int usage(void)
{
    (void)fprintf(stderr,
                  "usage: random_paraformer offline|seaco|streaming|vad|punc|punc-live FOLDER [--size N] "
                  "[--feed N] [--heads N] [--blocks N] [--layers N] [--vocabulary N] [--seed N]\n");
    return 2;
}

static bool take_option(const char *flag, const char *text, struct pn_random_sizes *z, int64_t *seed)
{
    const struct {
        const char *flag;
        int *value;
        int min, max;
    } sizes[] = {
        { "--size", &z->size, 8, 4096 },    { "--feed", &z->feed, 8, 16384 },
        { "--heads", &z->heads, 1, 64 },    { "--blocks", &z->blocks, 1, 200 },
        { "--layers", &z->layers, 1, 100 }, { "--vocabulary", &z->vocabulary, 8, 1000000 },
    };
    int64_t v = 0;
    if (strcmp(flag, "--seed") == 0)
        return pn_parse_i64(pn_str(text), 0, INT64_MAX, seed) == 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(sizes); i++) {
        if (strcmp(flag, sizes[i].flag) != 0)
            continue;
        if (pn_parse_i64(pn_str(text), sizes[i].min, sizes[i].max, &v) < 0)
            return false;
        *sizes[i].value = (int)v;
        return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    struct pn_random_sizes sizes;
    struct pn_err err = { 0 };
    int64_t seed = 1;
    if (argc < 3 || argc % 2 == 0 || !pn_random_sizes_of(argv[1], &sizes))
        return usage();
    for (int i = 3; i < argc; i += 2) {
        if (!take_option(argv[i], argv[i + 1], &sizes, &seed))
            return usage();
    }
    if (sizes.size % sizes.heads != 0)
        return usage();
    if (pn_random_folder_write(argv[2], &sizes, (uint64_t)seed, &err) < 0) {
        (void)fprintf(stderr, "random_paraformer: %s\n", err.text);
        return 1;
    }
    return 0;
}
