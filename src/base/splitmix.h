/* splitmix.h - random numbers that are a pure function of their seed: splitmix64, as published by Vigna. */
#ifndef PN_BASE_SPLITMIX_H
#define PN_BASE_SPLITMIX_H

#include <stdint.h>

/* The next 64 bits; any state will do, 0 too. */
static inline uint64_t pn_splitmix64(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

#endif
