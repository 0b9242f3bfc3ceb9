/* cpu.c - what the CPU offers and the operating system saves, and the names of the levels. */
#include "nn/cpu.h"

#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <sys/auxv.h>
#endif

/* From the lowest to the highest on each architecture; `all` holds those below it, too. */
static const struct cpu_level {
    const char *name;
    unsigned bit, all;
} LEVELS[] = {
    { "c", 0, 0 },
    { "avx2", PN_CPU_AVX2, PN_CPU_AVX2 },
    { "avx512", PN_CPU_AVX512, PN_CPU_AVX2 | PN_CPU_AVX512 },
    { "vnni", PN_CPU_VNNI, PN_CPU_AVX2 | PN_CPU_AVX512 | PN_CPU_VNNI },
    { "fp16", PN_CPU_FP16, PN_CPU_AVX2 | PN_CPU_AVX512 | PN_CPU_VNNI | PN_CPU_FP16 },
    { "neon", PN_CPU_NEON, PN_CPU_NEON },
    { "dotprod", PN_CPU_DOTPROD, PN_CPU_NEON | PN_CPU_DOTPROD },
};

#if defined(__x86_64__)

enum {
    LEAF1_ECX_FMA = 1 << 12,
    LEAF1_ECX_OSXSAVE = 1 << 27,
    LEAF1_ECX_AVX = 1 << 28,
    LEAF1_ECX_F16C = 1 << 29,
    LEAF7_EBX_AVX2 = 1 << 5,
    LEAF7_ECX_VNNI = 1 << 11,
    LEAF7_EDX_FP16 = 1 << 23,
    XCR0_YMM = 0x06, /* XMM and upper YMM halves */
    XCR0_ZMM = 0xe6, /* and opmasks, upper ZMM halves, ZMM16-31 */
};
#define LEAF7_EBX_AVX512 (1u << 16 | 1u << 17 | 1u << 30 | 1u << 31) /* F, DQ, BW, VL */

/* The register states that the operating system saves at a switch of threads. */
static unsigned xcr0(void)
{
    unsigned lo, hi;
    __asm__("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
    return lo;
}

static unsigned detect(void)
{
    const unsigned need = LEAF1_ECX_FMA | LEAF1_ECX_OSXSAVE | LEAF1_ECX_AVX | LEAF1_ECX_F16C;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need) != need)
        return 0;
    unsigned saved = xcr0();
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    unsigned cpu = 0;
    if ((b & LEAF7_EBX_AVX2) && (saved & XCR0_YMM) == XCR0_YMM)
        cpu |= PN_CPU_AVX2;
    if ((b & LEAF7_EBX_AVX512) == LEAF7_EBX_AVX512 && (saved & XCR0_ZMM) == XCR0_ZMM)
        cpu |= PN_CPU_AVX512;
    if (c & LEAF7_ECX_VNNI)
        cpu |= PN_CPU_VNNI;
    if (d & LEAF7_EDX_FP16)
        cpu |= PN_CPU_FP16;
    return cpu;
}

#elif defined(__aarch64__)

static unsigned detect(void)
{
    const unsigned long asimd = 1ul << 1, asimddp = 1ul << 20; /* HWCAP_ASIMD, HWCAP_ASIMDDP */
    unsigned long caps = getauxval(AT_HWCAP);
    return (caps & asimd ? PN_CPU_NEON : 0u) | (caps & asimddp ? PN_CPU_DOTPROD : 0u);
}

#else

static unsigned detect(void)
{
    return 0;
}

#endif

unsigned pn_cpu_detect(void)
{
    unsigned have = detect(), cpu = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(LEVELS); i++)
        if ((have & LEVELS[i].all) == LEVELS[i].all)
            cpu |= LEVELS[i].bit;
    return cpu;
}

int pn_cpu_parse(struct pn_str name, unsigned *ret, struct pn_err *err)
{
    if (name.len == 0 || pn_str_is(name, "auto")) {
        *ret = ~0u;
        return 0;
    }
    for (size_t i = 0; i < PN_ARRAY_LEN(LEVELS); i++) {
        if (pn_str_is(name, LEVELS[i].name)) {
            *ret = LEVELS[i].all;
            return 0;
        }
    }
    return pn_fail(err, PN_EINVAL,
                   "PINNA_CPU: '%.*s' is none of auto, c, avx2, avx512, vnni, fp16, neon, dotprod",
                   (int)PN_MIN(name.len, 64), name.ptr);
}

const char *pn_cpu_name(unsigned cpu)
{
    const char *name = "c";
    for (size_t i = 0; i < PN_ARRAY_LEN(LEVELS); i++)
        if (cpu & LEVELS[i].bit)
            name = LEVELS[i].name;
    return name;
}
