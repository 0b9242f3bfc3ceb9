/* attend.h - the attention of one head over the rows of one sequence: its own, those in its cache before
 * them, and the choice of the kernel that suits their number. */
#ifndef PN_ASR_SANM_ATTEND_H
#define PN_ASR_SANM_ATTEND_H

#include "asr/sanm/kv_cache.h"
#include "nn/precision.h"

#include <stddef.h>

struct pn_attend_rows {
    enum pn_precision precision;
    int heads, width; /* head h has columns h * width / heads .. */
    int m, n;         /* queries; keys and values */
    const float *q;   /* [m][ldq] */
    size_t ldq;
    const float *k, *v; /* [n][ldkv] */
    size_t ldkv;
    const struct pn_kv_cache *cache; /* further keys and values, of `layer`; NULL: none */
    int layer;
    const int *limits; /* [m] query i sees the first limits[i] keys only (no cache then); NULL: all */
    float *out;        /* [m][ldo] */
    size_t ldo;
};

/* Scratch memory, a piece a thread. */
struct pn_attend_room {
    char *memory;
    size_t each;
    int threads;
};

/* Bytes that one head needs. */
size_t pn_attend_room_size(enum pn_precision p, int m, int n, int cached, int d);
PN_MUST_CHECK int pn_attend_room_reserve(struct pn_attend_room *r, int threads, size_t each);
void pn_attend_room_done(struct pn_attend_room *r); /* accepts one that is all zero */
void *pn_attend_room(const struct pn_attend_room *r, int thread);

void pn_attend_head(const struct pn_attend_rows *a, int head, void *room);

#endif
