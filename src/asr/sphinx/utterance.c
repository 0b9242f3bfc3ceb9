/* utterance.c - see utterance.h. */
#include "asr/sphinx/utterance.h"

#include <math.h>
#include <stdlib.h>

static int16_t to_s16(float x)
{
    float scaled = x * 32768.0f;
    if (scaled <= -32768.0f)
        return INT16_MIN;
    if (scaled >= 32767.0f)
        return INT16_MAX;
    return isnan(scaled) ? 0 : (int16_t)lrintf(scaled); /* files of floats may hold anything */
}

int pn_sphinx_utterance_new(const float *pcm, size_t n, int64_t start_sample,
                            struct pn_sphinx_utterance **ret)
{
    struct pn_sphinx_utterance *u = calloc(1, sizeof(*u));
    if (u && n > 0)
        u->pcm = malloc(n * sizeof(*u->pcm));
    if (!u || (n > 0 && !u->pcm)) {
        free(u);
        return -PN_ENOMEM;
    }
    for (size_t i = 0; i < n; i++)
        u->pcm[i] = to_s16(pcm[i]);
    u->n_samples = n;
    u->start_sample = start_sample;
    *ret = u;
    return 0;
}

struct pn_sphinx_utterance *pn_sphinx_utterance_free(struct pn_sphinx_utterance *u)
{
    if (u) {
        free(u->pcm);
        pn_arena_free(u->arena);
        free(u);
    }
    return NULL;
}
