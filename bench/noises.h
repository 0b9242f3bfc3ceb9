/* noises.h - an endless recording in which nobody speaks: white and pink noise, mains hum, clicks, digital
 * silence, and ten seconds of each in turn. 16 kHz, whole steps of 16 bits, the same for the same seed. */
#ifndef PN_BENCH_NOISES_H
#define PN_BENCH_NOISES_H

#include "base/attr.h"

#include <stdbool.h>
#include <stdint.h>

enum pn_noise_kind {
    PN_NOISE_WHITE,
    PN_NOISE_PINK,
    PN_NOISE_HUM,    /* 50 Hz and its harmonics over a little hiss */
    PN_NOISE_CLICKS, /* five a second, of a few milliseconds, over digital silence */
    PN_NOISE_SILENCE,
    PN_NOISE_ALL, /* each for ten seconds */
};

struct pn_noise {
    enum pn_noise_kind kind;
    double level; /* root mean square of the noises, amplitude of hum and clicks */
    uint64_t seed;
    int64_t at; /* samples so far */
    double pink[7], click;
};

/* "white", "pink", "hum", "clicks", "silence", "all" */
bool pn_noise_kind_of(const char *name, enum pn_noise_kind *ret);
struct pn_noise pn_noise_start(enum pn_noise_kind kind, double level_db, uint64_t seed);
void pn_noise_next(struct pn_noise *s, float *pcm, size_t n);

#endif
