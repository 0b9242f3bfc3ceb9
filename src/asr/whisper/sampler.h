/* sampler.h - choosing a token from filtered logits, and the best of finished sequences (spec whisper 4.4).
 */
#ifndef PN_ASR_WHISPER_SAMPLER_H
#define PN_ASR_WHISPER_SAMPLER_H

#include <stdint.h>

/* Longest run of sampled tokens; a text context is 448. */
enum { PN_MAX_SAMPLED = 512 };

/* The tokens sampled after the prompt, without eot, and the sum of their log-probabilities (of eot, too, once
 * it came), kept in f32 as the reference does. */
struct pn_sequence {
    float sum;
    int n;
    int32_t tokens[PN_MAX_SAMPLED];
};

/* xoshiro256**: small, fast, and the same on every machine. */
struct pn_rng {
    uint64_t s[4];
};
/* Equal arguments, equal numbers. */
void pn_rng_seed(struct pn_rng *r, uint64_t seed, uint64_t window, uint64_t sequence);
double pn_rng_next(struct pn_rng *r); /* [0, 1) */

/* The k highest of row[0..n), highest first, lower id first on ties; k is 1..n. */
void pn_top_k(const float *row, int n, int k, int32_t *ids);

struct pn_choice {
    int32_t token;
    float logprob; /* of log-softmax(logits), temperature left out */
};
/* What is chosen, at log-probability -100, when no logit is a number above -inf: nothing is right then, and
 * ending the window is the least wrong. */
enum { PN_HOPELESS_LOGPROB = -100 };
/* The highest logit, lowest id on ties. */
struct pn_choice pn_choose_best(const float *logits, int n, int32_t eot);
/* One draw from softmax(logits / temperature); `scratch` is [n]. */
struct pn_choice pn_choose_sample(const float *logits, int n, int32_t eot, double temperature,
                                  struct pn_rng *r, float *scratch);

/* Index of the sequence with the highest sum / length, or sum / ((5 + length) / 6)^penalty unless penalty is
 * NaN; the first on ties. Length 0 counts as 1. */
int pn_rank(const struct pn_sequence *s, int n, double penalty);

#endif
