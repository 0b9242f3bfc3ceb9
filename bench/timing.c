/* timing.c - see timing.h. */
#include "timing.h"

#include "base/attr.h"
#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { HUGE_PAGE = 2 << 20 };

double bench_cpu_time(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct bench_clocks bench_clocks_now(void)
{
    return (struct bench_clocks){ pn_now_us(), (int64_t)(bench_cpu_time() * 1e6) };
}

double bench_elapsed_ms(struct bench_clocks from, int threads)
{
    struct bench_clocks now = bench_clocks_now();
    return (double)(threads == 1 ? now.cpu_us - from.cpu_us : now.wall_us - from.wall_us) / 1000;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *v, int n)
{
    qsort(v, (size_t)n, sizeof(v[0]), by_value);
    return (v[(n - 1) / 2] + v[n / 2]) / 2;
}

void *bench_alloc(size_t size)
{
    size = pn_round_up(size, HUGE_PAGE);
    void *p = aligned_alloc(HUGE_PAGE, size);
    if (!p) {
        (void)fprintf(stderr, "out of memory\n");
        exit(1);
    }
    (void)madvise(p, size, MADV_HUGEPAGE);
    memset(p, 0, size);
    return p;
}
