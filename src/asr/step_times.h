/* step_times.h - how long the last steps took, for the 99th percentile. Not thread safe. */
#ifndef PN_ASR_STEP_TIMES_H
#define PN_ASR_STEP_TIMES_H

#include <stddef.h>
#include <stdint.h>

#define PN_STEP_TIMES 1024

struct pn_step_times {
    int32_t us[PN_STEP_TIMES]; /* a ring */
    size_t n, at;              /* filled entries; where the next one goes */
};

void pn_step_times_add(struct pn_step_times *t, int64_t us);
/* Sorts a copy of the ring; 0 while it is empty. */
double pn_step_times_p99_ms(const struct pn_step_times *t);

#endif
