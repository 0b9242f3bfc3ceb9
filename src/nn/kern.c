/* kern.c - choosing the kernels: portable C first, then each level that the CPU offers over it. */
#include "nn/kern.h"

#include "nn/cpu.h"
#include "nn/kern_levels.h"

#include <pthread.h>
#include <stdlib.h>

struct level {
    unsigned cpu; /* the bit that it needs */
    void (*fill)(struct pn_kern *k);
};

static const struct level LEVELS[] = {
    { 0, pn_kern_linear_c },
    { 0, pn_kern_vec_c },
    { 0, pn_kern_attention_c },
#if defined(__x86_64__)
    { PN_CPU_AVX2, pn_kern_linear_avx2 },
    { PN_CPU_AVX2, pn_kern_linear_f32_avx2 },
    { PN_CPU_AVX2, pn_kern_vec_avx2 },
    { PN_CPU_AVX2, pn_kern_attention_avx2 },
    { PN_CPU_AVX2, pn_kern_small_avx2 },
    { PN_CPU_AVX2, pn_kern_sequence_avx2 },
    { PN_CPU_AVX512, pn_kern_linear_avx512 },
    { PN_CPU_AVX512, pn_kern_vec_avx512 },
    { PN_CPU_AVX512, pn_kern_attention_avx512 },
    { PN_CPU_AVX512, pn_kern_small_avx512 },
    { PN_CPU_AVX512, pn_kern_sequence_avx512 },
    { PN_CPU_VNNI, pn_kern_linear_vnni },
    { PN_CPU_VNNI, pn_kern_attention_vnni },
#elif defined(__aarch64__)
    { PN_CPU_NEON, pn_kern_linear_neon },
    { PN_CPU_NEON, pn_kern_vec_neon },
    { PN_CPU_NEON, pn_kern_attention_neon },
    { PN_CPU_NEON, pn_kern_small_neon },
    { PN_CPU_NEON, pn_kern_sequence_neon },
    { PN_CPU_DOTPROD, pn_kern_linear_dotprod },
#endif
};

void pn_kern_init(struct pn_kern *k, unsigned cpu)
{
    *k = (struct pn_kern){ .cpu = cpu };
    for (size_t i = 0; i < PN_ARRAY_LEN(LEVELS); i++)
        if ((LEVELS[i].cpu & cpu) == LEVELS[i].cpu)
            LEVELS[i].fill(k);
}

static struct pn_kern chosen;

/* A name that is not known masks nothing: the program's options refuse it with a message long before. */
static void choose(void)
{
    const char *name = getenv("PINNA_CPU");
    unsigned mask = ~0u;
    if (name && pn_cpu_parse(pn_str(name), &mask, NULL) < 0)
        mask = ~0u;
    pn_kern_init(&chosen, pn_cpu_detect() & mask);
}

const struct pn_kern *pn_kern(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, choose);
    return &chosen;
}
