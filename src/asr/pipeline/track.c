/* track.c - see track.h. The samples lie in a row; what is dropped moves the rest to the front, which costs
 * little as long as pieces come in tenths of a second and seconds stay. */
#include "asr/pipeline/track.h"

#include <stdlib.h>
#include <string.h>

enum { LEAST = 4096 /* samples */ };

void pn_track_done(struct pn_track *t)
{
    free(t->pcm);
    *t = (struct pn_track){ 0 };
}

static int resize(struct pn_track *t, size_t cap)
{
    float *pcm = realloc(t->pcm, cap * sizeof(*pcm));
    if (!pcm)
        return -PN_ENOMEM;
    t->pcm = pcm;
    t->cap = cap;
    return 0;
}

int pn_track_add(struct pn_track *t, const float *pcm, size_t n)
{
    if (n == 0)
        return 0;
    if (t->n + n > t->cap) {
        int r = resize(t, pn_round_up(t->n + n + t->n / 2, LEAST));
        if (r < 0)
            return r;
    }
    memcpy(t->pcm + t->n, pcm, n * sizeof(*pcm));
    t->n += n;
    return 0;
}

void pn_track_drop(struct pn_track *t, int64_t sample)
{
    if (sample <= t->start)
        return;
    size_t n = PN_MIN((size_t)(sample - t->start), t->n);
    t->n -= n;
    t->start += (int64_t)n;
    memmove(t->pcm, t->pcm + n, t->n * sizeof(*t->pcm));
    size_t enough = pn_round_up(t->n + 1, LEAST);
    if (t->cap > 4 * enough) /* what cannot be made smaller stays */
        (void)resize(t, enough);
}

int64_t pn_track_end(const struct pn_track *t)
{
    return t->start + (int64_t)t->n;
}

const float *pn_track_at(const struct pn_track *t, int64_t sample)
{
    return t->pcm + (sample - t->start);
}
