/* machine.h - what one core of this machine can do at most, measured now: the ruler of the benchmarks. */
#ifndef PN_BENCH_MACHINE_H
#define PN_BENCH_MACHINE_H

struct bench_machine {
    double int8_gops;  /* 8-bit products at the level that the kernels may use; f32's where there is none */
    double f32_gflops; /* fused multiply-adds; one is two operations, as above */
    double read_gbps;  /* reading memory that is in no cache, on 2 MB pages where they can be had */
};

/* About a second of CPU time. pn_kern()'s level (PINNA_CPU) says which instructions count. */
struct bench_machine bench_machine_measure(void);

#endif
