/* levels.c - see levels.h. */
#include "asr/vad/levels.h"

#include "asr/vad/vad_impl.h"

#include <math.h>

enum { FRAME = 5, HOP = 2 /* slices */ };

static void close_slice(struct pn_levels *l)
{
    double energy = 0;
    l->slice[l->slices++ % FRAME] = l->sum;
    l->sum = 0;
    l->in_slice = 0;
    if (l->slices < FRAME || (l->slices - FRAME) % HOP != 0)
        return;
    for (int i = 0; i < FRAME; i++)
        energy += l->slice[i];
    l->decibel[l->frames++ % PN_LEVELS_KEPT] = 10 * log10(energy + 1e-6);
}

void pn_levels_feed(struct pn_levels *l, const float *pcm, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double x = (double)pn_vad_sample(pcm[i]);
        l->sum += x * x;
        if (++l->in_slice == PN_LEVELS_SLICE)
            close_slice(l);
    }
}
