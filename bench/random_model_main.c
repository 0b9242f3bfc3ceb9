/* random_model_main.c - writes a Whisper of true size with random weights to a file.
 *
 *     random_model SIZE FILE [TOKENS]
 *
 * SIZE is tiny, base, small, medium, large-v3 or large-v3-turbo; with TOKENS every text ends after so many.
 */
#include "random_model.h"

#include "base/str.h"

#include <stdio.h>

enum { SEED = 1 };

int main(int argc, char **argv)
{
    struct pn_whisper_dims dims;
    struct pn_err err = { 0 };
    int64_t tokens = 0;
    if (argc < 3 || argc > 4 || !pn_random_dims(argv[1], &dims) ||
        (argc == 4 && pn_parse_i64(pn_str(argv[3]), 1, 200, &tokens) < 0)) {
        fprintf(stderr, "usage: random_model tiny|base|small|medium|large-v3|large-v3-turbo FILE [TOKENS]\n");
        return 2;
    }
    if (pn_random_model_write_ending(argv[2], &dims, SEED, (int)tokens, &err) < 0) {
        fprintf(stderr, "random_model: %s\n", err.text);
        return 1;
    }
    return 0;
}
