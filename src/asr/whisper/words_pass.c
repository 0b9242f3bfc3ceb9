/* words_pass.c - see words_pass.h.
 *
 * Rows are fed in pieces of PIECE, because each text row's logits are as long as the vocabulary; of a row
 * only one probability and the scores of the positions with audio are kept. */
#include "asr/whisper/words_pass.h"

#include "asr/whisper/align.h"
#include "nn/kern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 16 };

struct pn_words_pass {
    struct pn_words_text text;
    struct pn_self_cache *cache; /* the window's */
    float *logits;               /* the window's, [PIECE][n_vocab] */
    int32_t *ids;                /* [n_rows]: sot sequence, notimestamps, text, eot */
    int n_rows, n_given, n_run;
    float *scores;  /* [PIECE][n_heads][n_ctx] as they come */
    float *weights; /* [n_heads][n_rows][n_pos] */
    float *prob;    /* [n] */
};

static void list_ids(struct pn_words_pass *p)
{
    const struct pn_words_text *t = &p->text;
    int at = 0;
    for (int i = 0; i < t->n_sot; i++)
        p->ids[at++] = t->sot_ids[i];
    p->ids[at++] = t->vocab->notimestamps;
    for (int i = 0; i < t->n; i++)
        p->ids[at++] = t->ids[i];
    p->ids[at] = t->vocab->eot;
}

int pn_words_pass_new(const struct pn_words_text *t, struct pn_window *w, struct pn_words_pass **ret)
{
    struct pn_words_pass *p = calloc(1, sizeof(*p));
    if (!p)
        return -PN_ENOMEM;
    p->text = *t;
    p->n_rows = t->n_sot + t->n + 2;
    size_t heads = (size_t)t->n_heads, rows = (size_t)p->n_rows;
    p->ids = calloc(rows, sizeof(*p->ids));
    p->prob = calloc((size_t)t->n + 1, sizeof(*p->prob));
    p->scores = malloc(PIECE * heads * (size_t)t->n_ctx * sizeof(*p->scores) + 1);
    p->weights = malloc(heads * rows * (size_t)t->n_pos * sizeof(*p->weights) + 1);
    int r = p->ids && p->prob && p->scores && p->weights ? 0 : -PN_ENOMEM;
    if (r == 0)
        r = pn_window_lend(w, PIECE, &p->cache, &p->logits);
    if (r < 0) {
        pn_words_pass_free(p);
        return r;
    }
    list_ids(p);
    *ret = p;
    return 0;
}

struct pn_words_pass *pn_words_pass_free(struct pn_words_pass *p)
{
    if (!p)
        return NULL;
    free(p->ids);
    free(p->prob);
    free(p->scores);
    free(p->weights);
    free(p);
    return NULL;
}

int pn_words_pass_n_rows(const struct pn_words_pass *p)
{
    return PN_MIN(p->n_rows - p->n_given, PIECE - (p->n_given - p->n_run));
}

/* The text token that row i predicts, or -1: rows of the sot sequence and the last one predict none. */
static int predicted(const struct pn_words_pass *p, int row)
{
    int i = row - p->text.n_sot;
    return i >= 0 && i < p->text.n ? i : -1;
}

static float *scores_of(const struct pn_words_pass *p, int row)
{
    return p->scores + (size_t)(row - p->n_run) * (size_t)p->text.n_heads * (size_t)p->text.n_ctx;
}

static float *logits_of(const struct pn_words_pass *p, int row)
{
    return p->logits + (size_t)(row - p->n_run) * (size_t)p->text.vocab->n_vocab;
}

int pn_words_pass_rows(struct pn_words_pass *p, struct pn_decoder_row *rows, int cap)
{
    int n = PN_MIN(pn_words_pass_n_rows(p), cap);
    for (int i = 0; i < n; i++, p->n_given++)
        rows[i] =
            (struct pn_decoder_row){ .cache = p->cache,
                                     .cross = p->text.cross,
                                     .token = p->ids[p->n_given],
                                     .position = p->n_given,
                                     .logits = predicted(p, p->n_given) < 0 ? NULL : logits_of(p, p->n_given),
                                     .scores = scores_of(p, p->n_given) };
    return n;
}

static void keep_row(struct pn_words_pass *p, int row)
{
    const struct pn_words_text *t = &p->text;
    const float *scores = scores_of(p, row);
    for (int h = 0; h < t->n_heads; h++)
        memcpy(p->weights + ((size_t)h * (size_t)p->n_rows + (size_t)row) * (size_t)t->n_pos,
               scores + (size_t)h * (size_t)t->n_ctx, (size_t)t->n_pos * sizeof(*scores));
    int i = predicted(p, row);
    if (i < 0)
        return;
    const float *logits = logits_of(p, row);
    float prob = expf(logits[t->ids[i]] - pn_kern()->logsumexp(logits, (size_t)t->vocab->eot));
    p->prob[i] = isfinite(prob) ? prob : 0;
}

void pn_words_pass_decoded(struct pn_words_pass *p)
{
    for (int row = p->n_run; row < p->n_given; row++)
        keep_row(p, row);
    p->n_run = p->n_given;
}

int pn_words_pass_times(struct pn_words_pass *p, int32_t *jump, float *prob)
{
    const struct pn_words_text *t = &p->text;
    int from = t->n_sot, to = p->n_rows - 1; /* notimestamps up to the last text token */
    float *m = malloc((size_t)(to - from) * (size_t)t->n_pos * sizeof(*m));
    int r = m ? pn_align_matrix(p->weights, t->n_heads, p->n_rows, t->n_pos, from, to, m) : -PN_ENOMEM;
    if (r == 0)
        r = pn_align_path(m, to - from, t->n_pos, jump);
    if (r == 0)
        memcpy(prob, p->prob, (size_t)t->n * sizeof(*prob));
    free(m);
    return r;
}
