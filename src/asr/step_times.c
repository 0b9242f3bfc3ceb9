/* step_times.c - see step_times.h. */
#include "asr/step_times.h"

#include "base/attr.h"

#include <stdlib.h>
#include <string.h>

void pn_step_times_add(struct pn_step_times *t, int64_t us)
{
    t->us[t->at] = (int32_t)PN_MIN(PN_MAX(us, 0), INT32_MAX);
    t->at = (t->at + 1) % PN_STEP_TIMES;
    t->n = PN_MIN(t->n + 1, PN_STEP_TIMES);
}

static int by_value(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

double pn_step_times_p99_ms(const struct pn_step_times *t)
{
    if (t->n == 0)
        return 0;
    int32_t sorted[PN_STEP_TIMES];
    memcpy(sorted, t->us, t->n * sizeof(*sorted));
    qsort(sorted, t->n, sizeof(*sorted), by_value);
    size_t rank = (t->n * 99 + 99) / 100; /* the smallest value that 99 % do not exceed */
    return (double)sorted[rank - 1] / 1000.0;
}
