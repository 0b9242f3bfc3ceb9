/* random_model.h - a Whisper of true size with random weights, for benchmarks and for tests of arithmetic: it
 * says nothing, but it costs what a trained one costs. */
#ifndef PN_BENCH_RANDOM_MODEL_H
#define PN_BENCH_RANDOM_MODEL_H

#include "asr/whisper/model.h"

/* "tiny", "base", "small" ...; false: no such size. */
bool pn_random_dims(const char *name, struct pn_whisper_dims *ret);
/* Writes whisper.cpp's format, f16, with a made-up vocabulary. The same seed gives the same file. */
PN_MUST_CHECK int pn_random_model_write(const char *path, const struct pn_whisper_dims *d, uint64_t seed,
                                        struct pn_err *err);
/* The same, but sure of its tokens (greedy decoding needs no fallback) and at an end after `tokens` of them:
 * what a request costs is then the same for every clip. */
PN_MUST_CHECK int pn_random_model_write_ending(const char *path, const struct pn_whisper_dims *d,
                                               uint64_t seed, int tokens, struct pn_err *err);

#endif
