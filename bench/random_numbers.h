/* random_numbers.h - numbers with a normal distribution that are a pure function of their seed. */
#ifndef PN_BENCH_RANDOM_NUMBERS_H
#define PN_BENCH_RANDOM_NUMBERS_H

#include <stddef.h>
#include <stdint.h>

enum { PN_QUANTILES = 4096 };

/* The middles of 4096 equally likely intervals, ascending: one drawn at random is nearly normal. */
void pn_random_quantiles(float out[PN_QUANTILES]);
void pn_random_normal(uint64_t seed, float *out, size_t n);

#endif
