/* random_silero.h - a file as ggml has Silero VAD (spec silero-vad 2), with random weights: it knows nothing,
 * but it parses, and its probabilities move. */
#ifndef PN_BENCH_RANDOM_SILERO_H
#define PN_BENCH_RANDOM_SILERO_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

/* The same seed gives the same bytes. -PN_EIO. */
PN_MUST_CHECK int pn_random_silero_write(const char *path, uint64_t seed, struct pn_err *err);

#endif
