/* sampler.c - see sampler.h. */
#include "asr/whisper/sampler.h"

#include "base/splitmix.h"
#include "nn/kern.h"

#include <math.h>
#include <stdbool.h>

void pn_rng_seed(struct pn_rng *r, uint64_t seed, uint64_t window, uint64_t sequence)
{
    uint64_t x = seed;
    x = pn_splitmix64(&x) ^ window;
    x = pn_splitmix64(&x) ^ sequence;
    for (int i = 0; i < 4; i++)
        r->s[i] = pn_splitmix64(&x);
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

double pn_rng_next(struct pn_rng *r)
{
    uint64_t *s = r->s, out = rotl(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return (double)(out >> 11) * 0x1p-53;
}

/* ids[0..n) are sorted; puts `id` in its place, and drops the last if there are k. */
static int insert(const float *row, int32_t *ids, int n, int k, int32_t id)
{
    int at = n < k ? n : k - 1;
    while (at > 0 && row[ids[at - 1]] < row[id]) {
        ids[at] = ids[at - 1];
        at--;
    }
    ids[at] = id;
    return n < k ? n + 1 : k;
}

void pn_top_k(const float *row, int n, int k, int32_t *ids)
{
    enum { BLOCK = 256 }; /* most blocks hold nothing of interest: one vector maximum passes them */
    int found = 0;
    for (int from = 0; from < n; from += BLOCK) {
        int to = PN_MIN(from + BLOCK, n);
        if (found == k && !(pn_kern()->max(row + from, (size_t)(to - from)) > row[ids[k - 1]]))
            continue;
        for (int i = from; i < to; i++)
            if (found < k || row[i] > row[ids[k - 1]])
                found = insert(row, ids, found, k, i);
    }
}

static bool hopeless(float max)
{
    return !(max > -INFINITY) || isinf(max);
}

struct pn_choice pn_choose_best(const float *logits, int n, int32_t eot)
{
    int32_t best;
    pn_top_k(logits, n, 1, &best);
    if (hopeless(logits[best]))
        return (struct pn_choice){ eot, PN_HOPELESS_LOGPROB };
    return (struct pn_choice){ best, logits[best] - pn_kern()->logsumexp(logits, (size_t)n) };
}

/* The first i at which the running sum of p exceeds `at`; blocks are summed first, because one long chain of
 * additions would cost more than the softmax. */
static int32_t pick(const float *p, int n, double at)
{
    enum { BLOCK = 64 };
    int32_t last = 0;
    double before = 0;
    for (int from = 0; from < n; from += BLOCK) {
        int to = from + BLOCK < n ? from + BLOCK : n;
        double sum = 0;
        for (int i = from; i < to; i++)
            sum += (double)p[i];
        if (before + sum <= at) {
            before += sum;
            continue;
        }
        for (int i = from; i < to; i++) {
            before += (double)p[i];
            last = p[i] > 0 ? i : last;
            if (before > at && p[i] > 0)
                return i;
        }
    }
    /* Rounding left the sum just below `at`: the last token that can be. */
    for (int i = n - 1; i > last; i--)
        if (p[i] > 0)
            return i;
    return last;
}

struct pn_choice pn_choose_sample(const float *logits, int n, int32_t eot, double temperature,
                                  struct pn_rng *r, float *scratch)
{
    const struct pn_kern *kern = pn_kern();
    double at = pn_rng_next(r); /* drawn in any case: later draws do not depend on what was hopeless */
    float max = kern->max(logits, (size_t)n);
    if (hopeless(max))
        return (struct pn_choice){ eot, PN_HOPELESS_LOGPROB };
    for (int i = 0; i < n; i++)
        scratch[i] = (logits[i] - max) / (float)temperature;
    kern->softmax(scratch, (size_t)n);
    int32_t id = pick(scratch, n, at);
    return (struct pn_choice){ id, logits[id] - kern->logsumexp(logits, (size_t)n) };
}

int pn_rank(const struct pn_sequence *s, int n, double penalty)
{
    int best = 0;
    double best_score = -INFINITY;
    for (int i = 0; i < n; i++) {
        double length = s[i].n > 0 ? s[i].n : 1;
        double score = (double)s[i].sum / (isnan(penalty) ? length : pow((5 + length) / 6, penalty));
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}
