/* machine.c - loops of nothing but multiply-adds in registers, and one of nothing but loads. The best of
 * several short runs by CPU time counts, so that other work on the machine does not lower the ruler. */
#include "machine.h"

#include "timing.h"

#include "nn/cpu.h"
#include "nn/kern.h"

#include <stdlib.h>

enum { RUNS = 9, ROUNDS = 400000, READ_BYTES = 256 << 20 };

/* Giga-operations a second of a loop whose round does `ops` operations. */
static double best_rate(void (*loop)(int rounds), double ops)
{
    double best = 1e9;
    for (int i = 0; i < RUNS; i++) {
        double start = bench_cpu_time();
        loop(ROUNDS);
        best = PN_MIN(best, bench_cpu_time() - start);
    }
    return ROUNDS * ops / best / 1e9;
}

#if defined(__x86_64__)

#define CLOBBERS                                                                                      \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", \
        "xmm12", "xmm13", "xmm14", "xmm15"

/* Zeros to multiply, and none left behind: some of what registers may hold is slow to multiply, and upper
 * halves in use slow down what follows. */
#define ZERO() __asm__ volatile("vzeroall" : : : CLOBBERS)

/* Twelve independent sums hide the instruction's latency. */
#define ONE(op, r, to)          op " %%" r "14, %%" r "15, %%" r to "\n\t"
#define FOUR(op, r, a, b, c, d) ONE(op, r, a) ONE(op, r, b) ONE(op, r, c) ONE(op, r, d)
#define LOOP(name, op, r)                                                                    \
    static void name(int rounds)                                                             \
    {                                                                                        \
        ZERO();                                                                              \
        for (int i = 0; i < rounds; i++)                                                     \
            __asm__ volatile(FOUR(op, r, "0", "1", "2", "3") FOUR(op, r, "4", "5", "6", "7") \
                                 FOUR(op, r, "8", "9", "10", "11")                           \
                             :                                                               \
                             :                                                               \
                             : CLOBBERS);                                                    \
        ZERO();                                                                              \
    }

LOOP(dot_512, "vpdpbusd", "zmm")
LOOP(fma_512, "vfmadd231ps", "zmm")
LOOP(fma_256, "vfmadd231ps", "ymm")

/* 8-bit products without VNNI, exact for bytes up to 127: multiply pairs, add two of them, widen, add. */
#define FIVE(a, b, to)                                                                                     \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm" a "\n\tvpmaddubsw %%ymm14, %%ymm15, %%ymm" b "\n\tvpaddw %%ymm" b \
    ", %%ymm" a ", %%ymm" a "\n\tvpmaddwd %%ymm" a ", %%ymm13, %%ymm" a "\n\tvpaddd %%ymm" a ", %%ymm" to  \
    ", %%ymm" to "\n\t"

static void five_loop(int rounds)
{
    ZERO();
    for (int i = 0; i < rounds; i++)
        __asm__ volatile(FIVE("4", "5", "0") FIVE("6", "7", "1") FIVE("8", "9", "2") FIVE("10", "11", "3")
                         :
                         :
                         : CLOBBERS);
    ZERO();
}

static void measure_products(unsigned cpu, struct bench_machine *m)
{
    if (cpu & PN_CPU_AVX512)
        m->f32_gflops = best_rate(fma_512, 12 * 16 * 2);
    else if (cpu & PN_CPU_AVX2)
        m->f32_gflops = best_rate(fma_256, 12 * 8 * 2);
    if (cpu & PN_CPU_VNNI)
        m->int8_gops = best_rate(dot_512, 12 * 64 * 2);
    else if (cpu & PN_CPU_AVX2)
        m->int8_gops = best_rate(five_loop, 4 * 64 * 2);
}

#else

static void measure_products(unsigned cpu, struct bench_machine *m)
{
    *m = (struct bench_machine){ 0 };
}

#endif

/* What the compiler makes of multiply-adds, where nothing better is known. */
static void plain_loop(int rounds)
{
    static volatile float start = 1e-9F;
    float sum[64];
    for (int i = 0; i < 64; i++)
        sum[i] = start;
    for (int i = 0; i < rounds; i++) {
        for (int j = 0; j < 64; j++)
            sum[j] = sum[j] * 0.999F + 1e-9F;
    }
    for (int i = 0; i < 64; i++)
        start = start + sum[i];
}

static double read_rate(void)
{
    void *memory = bench_alloc(READ_BYTES);
    double best = 1e9;
    volatile float sink = 0;
    for (int i = 0; i < RUNS; i++) {
        double start = bench_cpu_time();
        sink = sink + pn_kern()->max(memory, READ_BYTES / sizeof(float));
        best = PN_MIN(best, bench_cpu_time() - start);
    }
    free(memory);
    return READ_BYTES / best / 1e9;
}

struct bench_machine bench_machine_measure(void)
{
    struct bench_machine m = { 0 };
    measure_products(pn_kern()->cpu, &m);
    if (m.f32_gflops <= 0)
        m.f32_gflops = best_rate(plain_loop, 64 * 2);
    if (m.int8_gops <= 0)
        m.int8_gops = m.f32_gflops;
    m.read_gbps = read_rate();
    return m;
}
