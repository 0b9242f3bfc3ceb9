/* random_numbers.c - see random_numbers.h. */
#include "random_numbers.h"

#include "base/splitmix.h"

#include <math.h>
#include <stdlib.h>

static float quantile(double p)
{
    double low = -8, high = 8;
    for (int i = 0; i < 60; i++) {
        double mid = (low + high) / 2;
        if (0.5 * erfc(-mid / sqrt(2)) < p)
            low = mid;
        else
            high = mid;
    }
    return (float)low;
}

void pn_random_quantiles(float out[PN_QUANTILES])
{
    for (int i = 0; i < PN_QUANTILES; i++)
        out[i] = quantile((i + 0.5) / PN_QUANTILES);
}

void pn_random_normal(uint64_t seed, float *out, size_t n)
{
    float *normal = malloc(PN_QUANTILES * sizeof(*normal));
    if (!normal)
        abort();
    pn_random_quantiles(normal);
    for (size_t i = 0; i < n; i++)
        out[i] = normal[pn_splitmix64(&seed) % PN_QUANTILES];
    free(normal);
}
