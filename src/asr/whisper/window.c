/* window.c - see window.h.
 *
 * Row i of a step belongs to sequence row_of[i], whose keys and values are in cache[row_of[i]]. Invariant:
 * after the prompt, cache[0] holds the whole prompt, whatever beams did; so a restart runs one row. */
#include "asr/whisper/window.h"

#include "nn/kern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)PN_MAX_WINDOW_PROMPT >= (int)PN_WHISPER_MAX_TEXT &&
                   (int)PN_MAX_SAMPLED >= (int)PN_WHISPER_MAX_TEXT,
               "the fixed arrays of a window hold any text context");

enum stage { PROMPT, STEP, DONE };

struct pn_window {
    struct pn_whisper_engine *engine;
    const struct pn_window_rules *rules;
    const struct pn_cross *cross;

    struct pn_self_cache *cache[PN_MAX_BEAMS];
    int n_caches;
    float *logits; /* [n_logits][n_vocab] */
    int n_logits;
    float *scratch; /* [n_vocab], for sampling only */

    enum stage stage;
    int n_rows, n_given, n_run; /* of this step: all, given out, come back */
    int row_of[PN_MAX_BEAMS];

    int32_t prompt[PN_MAX_WINDOW_PROMPT];
    int n_prompt, sot_index;
    int n_steps; /* tokens sampled by every live sequence */
    uint64_t number;
    double temperature;
    bool fresh; /* the prompt is run from its start: no_speech_prob is to be had */
    float no_speech_prob;

    bool beaming;
    struct pn_beam beam;
    struct pn_sequence *samples; /* [best_of] */
    bool ended[PN_MAX_BEAMS];
    struct pn_rng rng[PN_MAX_BEAMS];
    int n_samples;
    const struct pn_sequence *best;
};

int pn_window_new(struct pn_whisper_engine *e, const struct pn_window_rules *rules, struct pn_window **ret)
{
    struct pn_window *w = calloc(1, sizeof(*w));
    if (!w)
        return -PN_ENOMEM;
    w->engine = e;
    w->rules = rules;
    w->stage = DONE;
    w->samples = calloc((size_t)rules->best_of, sizeof(*w->samples));
    int r = w->samples ? 0 : -PN_ENOMEM;
    if (r == 0 && rules->beam_size > 0)
        r = pn_beam_init(&w->beam, rules->beam_size, rules->patience);
    if (r < 0)
        w = pn_window_free(w);
    else
        *ret = w;
    return r;
}

struct pn_window *pn_window_free(struct pn_window *w)
{
    if (!w)
        return NULL;
    for (int i = 0; i < w->n_caches; i++)
        pn_self_cache_free(w->cache[i]);
    pn_beam_done(&w->beam);
    free(w->samples);
    free(w->logits);
    free(w->scratch);
    free(w);
    return NULL;
}

static int need_caches(struct pn_window *w, int n)
{
    int r = 0;
    while (r == 0 && w->n_caches < n) {
        r = pn_self_cache_new(w->engine, &w->cache[w->n_caches]);
        w->n_caches += r == 0;
    }
    return r;
}

static int need_logits(struct pn_window *w, int n)
{
    if (w->n_logits >= n)
        return 0;
    float *more = malloc((size_t)n * (size_t)w->rules->filters.n_vocab * sizeof(*more));
    if (!more)
        return -PN_ENOMEM;
    free(w->logits);
    w->logits = more;
    w->n_logits = n;
    return 0;
}

static int need_scratch(struct pn_window *w)
{
    if (!w->scratch)
        w->scratch = malloc((size_t)w->rules->filters.n_vocab * sizeof(*w->scratch));
    return w->scratch ? 0 : -PN_ENOMEM;
}

static float *logits_row(const struct pn_window *w, int i)
{
    return w->logits + (size_t)i * (size_t)w->rules->filters.n_vocab;
}

static void begin_samples(struct pn_window *w)
{
    for (int i = 0; i < w->n_samples; i++) {
        w->samples[i].n = 0;
        w->samples[i].sum = 0;
        w->ended[i] = false;
        pn_rng_seed(&w->rng[i], w->rules->seed, w->number,
                    (uint64_t)(w->temperature * 1000) << 8 | (uint64_t)i);
    }
}

/* `from`: the first prompt row that is not in cache[0] already. */
static int begin(struct pn_window *w, int from, double temperature)
{
    const struct pn_window_rules *u = w->rules;
    w->temperature = temperature;
    w->beaming = !(temperature > 0) && u->beam_size > 0;
    w->n_samples = temperature > 0 ? u->best_of : 1;
    int group = w->beaming ? u->beam_size : w->n_samples;
    int r = need_caches(w, group);
    if (r == 0)
        r = need_logits(w, PN_MAX(group, 2)); /* the prompt's last row and sot's */
    if (r == 0 && temperature > 0)
        r = need_scratch(w);
    if (r < 0)
        return r;
    if (w->beaming)
        pn_beam_start(&w->beam);
    else
        begin_samples(w);
    w->stage = PROMPT;
    w->fresh = from == 0;
    w->n_steps = 0;
    w->n_rows = w->n_prompt;
    w->n_given = w->n_run = from;
    w->best = NULL;
    return 0;
}

int pn_window_start(struct pn_window *w, const struct pn_cross *cross, const int32_t *prompt, int n,
                    int sot_index, double temperature, uint64_t number)
{
    w->cross = cross;
    memcpy(w->prompt, prompt, (size_t)n * sizeof(*prompt));
    w->n_prompt = n;
    w->sot_index = sot_index;
    w->number = number;
    return begin(w, 0, temperature);
}

int pn_window_restart(struct pn_window *w, double temperature)
{
    return begin(w, w->n_prompt - 1, temperature);
}

int pn_window_n_rows(const struct pn_window *w)
{
    return w->stage == DONE ? 0 : w->n_rows - w->n_given;
}

static struct pn_sequence *sequence(const struct pn_window *w, int i)
{
    return w->beaming ? &w->beam.live[i] : &w->samples[i];
}

static struct pn_decoder_row prompt_row(const struct pn_window *w, int i)
{
    float *logits = i == w->n_prompt - 1 ? logits_row(w, 0) : i == w->sot_index ? logits_row(w, 1) : NULL;
    return (struct pn_decoder_row){
        .cache = w->cache[0], .cross = w->cross, .token = w->prompt[i], .position = i, .logits = logits
    };
}

static struct pn_decoder_row step_row(const struct pn_window *w, int i)
{
    const struct pn_sequence *s = sequence(w, w->row_of[i]);
    return (struct pn_decoder_row){ .cache = w->cache[w->row_of[i]],
                                    .cross = w->cross,
                                    .token = s->tokens[s->n - 1],
                                    .position = w->n_prompt + w->n_steps - 1,
                                    .logits = logits_row(w, i) };
}

int pn_window_rows(struct pn_window *w, struct pn_decoder_row *rows, int cap)
{
    int n = PN_MIN(pn_window_n_rows(w), cap);
    for (int i = 0; i < n; i++, w->n_given++)
        rows[i] = w->stage == PROMPT ? prompt_row(w, w->n_given) : step_row(w, w->n_given);
    return n;
}

/* A beam's first successor takes its cache as it is, further ones copy it into a cache that has no use. */
static void reorder_caches(struct pn_window *w)
{
    struct pn_self_cache *old[PN_MAX_BEAMS], *now[PN_MAX_BEAMS] = { NULL };
    bool taken[PN_MAX_BEAMS] = { false };
    memcpy(old, w->cache, sizeof(old));
    for (int i = 0; i < w->beam.n_live; i++)
        if (!taken[w->beam.source[i]]) {
            now[i] = old[w->beam.source[i]];
            taken[w->beam.source[i]] = true;
        }
    for (int i = 0, free_one = 0; i < w->n_caches; i++) {
        if (now[i])
            continue;
        while (taken[free_one])
            free_one++;
        now[i] = old[free_one];
        taken[free_one] = true;
        if (i < w->beam.n_live)
            pn_self_cache_copy(now[i], old[w->beam.source[i]], w->n_prompt + w->n_steps);
    }
    memcpy(w->cache, now, sizeof(now));
}

static bool step_beams(struct pn_window *w)
{
    const float *rows[PN_MAX_BEAMS];
    for (int i = 0; i < w->beam.n_live; i++) {
        float *logits = logits_row(w, i);
        pn_filters_apply(&w->rules->filters, w->beam.live[i].tokens, w->beam.live[i].n, logits);
        rows[i] = logits;
    }
    bool enough = pn_beam_step(&w->beam, rows, w->rules->filters.n_vocab, w->rules->filters.eot);
    if (!enough)
        reorder_caches(w);
    return enough;
}

static void extend_sample(struct pn_window *w, int i, const float *logits)
{
    const struct pn_filters *f = &w->rules->filters;
    struct pn_sequence *s = &w->samples[i];
    struct pn_choice c = w->temperature > 0 ? pn_choose_sample(logits, f->n_vocab, f->eot, w->temperature,
                                                               &w->rng[i], w->scratch)
                                            : pn_choose_best(logits, f->n_vocab, f->eot);
    s->sum += c.logprob;
    if (c.token == f->eot)
        w->ended[i] = true;
    else
        s->tokens[s->n++] = c.token;
}

/* At the first step all samples draw from the prompt's one row of logits. */
static bool step_samples(struct pn_window *w)
{
    const struct pn_filters *f = &w->rules->filters;
    bool all_ended = true;
    if (w->n_steps == 0)
        pn_filters_apply(f, NULL, 0, logits_row(w, 0));
    for (int row = 0; row < (w->n_steps == 0 ? w->n_samples : w->n_rows); row++) {
        int i = w->n_steps == 0 ? row : w->row_of[row];
        float *logits = logits_row(w, w->n_steps == 0 ? 0 : row);
        if (w->n_steps > 0)
            pn_filters_apply(f, w->samples[i].tokens, w->samples[i].n, logits);
        extend_sample(w, i, logits);
        all_ended = all_ended && w->ended[i];
        if (w->n_steps == 0 && i > 0 && !w->ended[i])
            pn_self_cache_copy(w->cache[i], w->cache[0], w->n_prompt);
    }
    return all_ended;
}

static void next_rows(struct pn_window *w)
{
    w->stage = STEP;
    w->n_rows = w->n_given = w->n_run = 0;
    for (int i = 0; i < (w->beaming ? w->beam.n_live : w->n_samples); i++)
        if (w->beaming || !w->ended[i])
            w->row_of[w->n_rows++] = i;
}

static void finish(struct pn_window *w)
{
    double penalty = w->rules->length_penalty;
    w->stage = DONE;
    if (w->beaming) {
        pn_beam_finish(&w->beam);
        w->best = &w->beam.finished[pn_rank(w->beam.finished, w->beam.n_finished, penalty)];
    } else {
        w->best = &w->samples[pn_rank(w->samples, w->n_samples, penalty)];
    }
}

/* What the model predicts in the place of the language, before any filter. */
static float no_speech_prob(const struct pn_window *w)
{
    int n_vocab = w->rules->filters.n_vocab;
    const float *row = logits_row(w, w->sot_index == w->n_prompt - 1 ? 0 : 1);
    float p = expf(row[w->rules->nospeech] - pn_kern()->logsumexp(row, (size_t)n_vocab));
    return p >= 0 && p <= 1 ? p : p > 1 ? 1.0f : 0.0f;
}

void pn_window_decoded(struct pn_window *w)
{
    w->n_run = w->n_given;
    if (w->stage == DONE || w->n_run < w->n_rows)
        return;
    if (w->stage == PROMPT && w->fresh)
        w->no_speech_prob = no_speech_prob(w);
    bool ended = w->beaming ? step_beams(w) : step_samples(w);
    w->n_steps++;
    if (ended || w->n_steps >= w->rules->sample_len || w->n_prompt + w->n_steps > w->rules->n_text_ctx)
        finish(w);
    else
        next_rows(w);
}

bool pn_window_is_done(const struct pn_window *w)
{
    return w->stage == DONE;
}

struct pn_window_result pn_window_result(const struct pn_window *w)
{
    return (struct pn_window_result){ .sequence = w->best,
                                      .avg_logprob = (double)w->best->sum / (w->best->n + 1),
                                      .no_speech_prob = (double)w->no_speech_prob };
}

int pn_window_lend(struct pn_window *w, int n, struct pn_self_cache **ret_cache, float **ret_logits)
{
    int r = need_caches(w, 1);
    if (r == 0)
        r = need_logits(w, n);
    if (r < 0)
        return r;
    *ret_cache = w->cache[0];
    *ret_logits = w->logits;
    return 0;
}
