/* peaks.c - the fastest that this core multiplies: loops of nothing but multiply-adds in registers. */
#include "kernels.h"

#include "nn/cpu.h"

#if defined(__AVX512VNNI__)

enum {
    CHAINS = 12, /* independent sums: more than latency times throughput */
    ROUNDS = 100000,
    SAMPLES = 9
};

/* One multiply-add into register number `r`; what it computes is never looked at. */
#define STEP(op, r) __asm__ volatile(op " %%zmm31, %%zmm30, %%zmm" #r ::: "xmm" #r)

#define LOOP(op)                       \
    for (int i = 0; i < ROUNDS; i++) { \
        STEP(op, 0);                   \
        STEP(op, 1);                   \
        STEP(op, 2);                   \
        STEP(op, 3);                   \
        STEP(op, 4);                   \
        STEP(op, 5);                   \
        STEP(op, 6);                   \
        STEP(op, 7);                   \
        STEP(op, 8);                   \
        STEP(op, 9);                   \
        STEP(op, 10);                  \
        STEP(op, 11);                  \
    }

static void dot_loop(void)
{
    LOOP("vpdpbusd")
}

/* Numbers, not what the registers happen to hold: some of that is slow to multiply. */
static void fma_loop(void)
{
    __asm__ volatile("vpxord %%zmm31, %%zmm31, %%zmm31\n\tvpxord %%zmm30, %%zmm30, %%zmm30" ::
                         : "xmm30", "xmm31");
    LOOP("vfmadd231ps")
}

double bench_peak(enum pn_precision p)
{
    if (!(pn_cpu_detect() & PN_CPU_VNNI))
        return 0;
    double best = 0;
    for (int i = 0; i < SAMPLES; i++) {
        double from = bench_cpu_time();
        (p == PN_INT8 ? dot_loop : fma_loop)();
        double ops = (p == PN_INT8 ? 128.0 : 32.0) * CHAINS * ROUNDS;
        best = PN_MAX(best, ops / (bench_cpu_time() - from) / 1e9);
    }
    return best;
}

#else

double bench_peak(enum pn_precision p)
{
    return 0;
}

#endif
