/* timing.h - what every benchmark needs: a clock that other processes do not disturb, a median, memory. */
#ifndef PN_BENCH_TIMING_H
#define PN_BENCH_TIMING_H

#include <stddef.h>
#include <stdint.h>

/* CPU time of this process in seconds. */
double bench_cpu_time(void);

struct bench_clocks {
    int64_t wall_us, cpu_us;
};

struct bench_clocks bench_clocks_now(void);
/* Milliseconds since `from`: of CPU time with one thread, by the wall with several. */
double bench_elapsed_ms(struct bench_clocks from, int threads);

/* Sorts `v`; of an even number the mean of the middle two. */
double bench_median(double *v, int n);

/* Zeros on 2 MB pages where the system gives them, as the engine's memory is; free() gives them back. Ends
 * the program when there is none. */
void *bench_alloc(size_t size);

#endif
