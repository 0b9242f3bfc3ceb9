/* main.c - every level of kernels that this CPU offers against portable C, then the pool and the layers.
 *
 * check_kernels [SEED [LEVEL]]: the seed is the first argument or PINNA_SEED, else fixed; it is printed, and
 * the same seed gives the same data. With a level that one alone is checked, without pool and layers. */
#include "check.h"

#include "base/str.h"
#include "nn/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const LEVELS[] = { "c", "avx2", "avx512", "vnni", "fp16", "neon", "dotprod" };

static void (*const CHECKS[])(struct pn_check *) = { pn_check_linear, pn_check_vec, pn_check_attention,
                                                     pn_check_small_attention, pn_check_sequence };
static void (*const CHECKS_ONCE[])(struct pn_check *) = { pn_check_pool, pn_check_layers, pn_check_lstm,
                                                          pn_check_widths };

static uint64_t seed(int argc, char **argv)
{
    const char *text = argc > 1 ? argv[1] : getenv("PINNA_SEED");
    int64_t v = 20;
    if (text && pn_parse_i64(pn_str(text), 0, INT64_MAX, &v) < 0) {
        fprintf(stderr, "not a seed: %s\n", text);
        exit(2);
    }
    return (uint64_t)v;
}

static int run(struct pn_check *c, void (*const *checks)(struct pn_check *), size_t n)
{
    for (size_t i = 0; i < n; i++)
        checks[i](c);
    printf("%-8s %7d checks, %d failed\n", c->level, c->checks, c->failed);
    fflush(stdout);
    return c->failed;
}

int main(int argc, char **argv)
{
    uint64_t s = seed(argc, argv);
    const char *only = argc > 2 ? argv[2] : NULL;
    unsigned have = pn_cpu_detect();
    int failed = 0;
    struct pn_kern ref, kern;
    printf("seed %llu, levels up to %s\n", (unsigned long long)s, pn_cpu_name(have));
    pn_kern_init(&ref, 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(LEVELS); i++) {
        unsigned bits;
        if (pn_cpu_parse(pn_str(LEVELS[i]), &bits, NULL) < 0)
            return 1;
        if ((bits & have) != bits || (only && strcmp(only, LEVELS[i]) != 0))
            continue;
        pn_kern_init(&kern, bits);
        struct pn_check c = { .level = LEVELS[i], .ref = &ref, .kern = &kern, .rng = s };
        failed += run(&c, CHECKS, PN_ARRAY_LEN(CHECKS));
    }
    if (only)
        return failed ? 1 : 0;
    struct pn_check once = { .level = "layers", .ref = &ref, .kern = pn_kern(), .rng = s };
    failed += run(&once, CHECKS_ONCE, PN_ARRAY_LEN(CHECKS_ONCE));
    return failed ? 1 : 0;
}
