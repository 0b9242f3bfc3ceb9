/* language.c - see language.h. */
#include "asr/whisper/language.h"

#include "nn/kern.h"

#include <math.h>
#include <string.h>

int32_t pn_language_pick(const struct pn_vocab *v, const float *logits, float *probs)
{
    size_t n = (size_t)v->n_languages;
    const float *of = logits + v->first_language;
    float max = pn_kern()->max(of, n);
    size_t best = 0;
    while (best < n && !(of[best] == max))
        best++;
    if (best == n || !isfinite(max)) {
        for (size_t i = 0; i < n; i++)
            probs[i] = 1.0f / (float)n;
        return v->first_language;
    }
    memcpy(probs, of, n * sizeof(*probs));
    pn_kern()->softmax(probs, n);
    return v->first_language + (int32_t)best;
}
