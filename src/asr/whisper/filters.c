/* filters.c - see filters.h. */
#include "asr/whisper/filters.h"

#include "nn/kern.h"

#include <math.h>

static void forbid(float *logits, int from, int to)
{
    for (int i = from; i < to; i++)
        logits[i] = -INFINITY;
}

/* Timestamps come in pairs (end of one segment, start of the next), never run backwards, and no segment is
 * empty. */
static void pair_timestamps(const struct pn_filters *f, const int32_t *sampled, int n, float *logits)
{
    int32_t begin = f->timestamp_begin;
    bool last = n > 0 && sampled[n - 1] >= begin;
    bool penult = n < 2 || sampled[n - 2] >= begin;
    if (last && penult)
        forbid(logits, begin, f->n_vocab);
    else if (last)
        forbid(logits, 0, f->eot);
    int i = n - 1;
    while (i >= 0 && sampled[i] < begin)
        i--;
    if (i >= 0)
        forbid(logits, begin, PN_MIN(sampled[i] + (last && !penult ? 0 : 1), f->n_vocab));
}

/* A timestamp it is when all timestamps together are likelier than the likeliest text. Both sides lack the
 * normalisation of the log-softmax, which does not change their order. */
static void prefer_timestamps(const struct pn_filters *f, float *logits)
{
    int begin = f->timestamp_begin;
    float any = pn_kern()->logsumexp(logits + begin, (size_t)(f->n_vocab - begin));
    if (any > pn_kern()->max(logits, (size_t)begin))
        forbid(logits, 0, begin);
}

static void apply_timestamps(const struct pn_filters *f, const int32_t *sampled, int n, float *logits)
{
    logits[f->notimestamps] = -INFINITY;
    pair_timestamps(f, sampled, n, logits);
    if (n == 0) {
        forbid(logits, 0, f->timestamp_begin);
        if (f->max_initial >= 0)
            forbid(logits, PN_MIN(f->timestamp_begin + f->max_initial + 1, f->n_vocab), f->n_vocab);
    }
    prefer_timestamps(f, logits);
}

void pn_filters_apply(const struct pn_filters *f, const int32_t *sampled, int n, float *logits)
{
    if (f->blank >= 0 && n == 0) {
        logits[f->blank] = -INFINITY;
        logits[f->eot] = -INFINITY;
    }
    for (size_t i = 0; i < f->n_suppress; i++)
        logits[f->suppress[i]] = -INFINITY;
    if (f->timestamps)
        apply_timestamps(f, sampled, n, logits);
}
