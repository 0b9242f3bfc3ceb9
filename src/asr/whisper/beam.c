/* beam.c - see beam.h. */
#include "asr/whisper/beam.h"

#include "base/error.h"
#include "nn/kern.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CANDIDATES = PN_MAX_BEAMS * (PN_MAX_BEAMS + 1) };

struct candidate {
    float score;
    int beam;
    int32_t token;
};

int pn_beam_init(struct pn_beam *b, int size, double patience)
{
    int most = PN_MAX((int)nearbyint(size * patience), 1);
    struct pn_beam made = { .size = size, .max_finished = most };
    made.live = calloc((size_t)size, sizeof(*made.live));
    made.next = calloc((size_t)size, sizeof(*made.next));
    made.finished = calloc((size_t)PN_MAX(size, most), sizeof(*made.finished));
    if (!made.live || !made.next || !made.finished) {
        pn_beam_done(&made);
        return -PN_ENOMEM;
    }
    *b = made;
    return 0;
}

void pn_beam_done(struct pn_beam *b)
{
    free(b->live);
    free(b->next);
    free(b->finished);
    *b = (struct pn_beam){ 0 };
}

void pn_beam_start(struct pn_beam *b)
{
    b->n_live = 1;
    b->n_finished = 0;
    b->live[0].sum = 0;
    b->live[0].n = 0;
    b->source[0] = 0;
}

static int gather(const struct pn_beam *b, const float *const *rows, int n_vocab, struct candidate *out)
{
    int n = 0, k = PN_MIN(b->size + 1, n_vocab);
    for (int i = 0; i < b->n_live; i++) {
        int32_t ids[PN_MAX_BEAMS + 1];
        pn_top_k(rows[i], n_vocab, k, ids);
        float norm = pn_kern()->logsumexp(rows[i], (size_t)n_vocab);
        for (int j = 0; j < k; j++) {
            float score = b->live[i].sum + (rows[i][ids[j]] - norm);
            out[n++] = (struct candidate){ isnan(score) ? -INFINITY : score, i, ids[j] };
        }
    }
    return n;
}

/* Stable, descending; a few hundred at most. */
static void sort(struct candidate *c, int n)
{
    for (int i = 1; i < n; i++) {
        struct candidate x = c[i];
        int at = i;
        for (; at > 0 && c[at - 1].score < x.score; at--)
            c[at] = c[at - 1];
        c[at] = x;
    }
}

static void copy_sequence(struct pn_sequence *to, const struct pn_sequence *from, float sum)
{
    to->sum = sum;
    to->n = from->n;
    memcpy(to->tokens, from->tokens, (size_t)from->n * sizeof(*from->tokens));
}

bool pn_beam_step(struct pn_beam *b, const float *const *rows, int n_vocab, int32_t eot)
{
    struct candidate c[MAX_CANDIDATES];
    int n = gather(b, rows, n_vocab, c), n_next = 0;
    sort(c, n);
    for (int i = 0; i < n && n_next < b->size; i++) {
        const struct pn_sequence *from = &b->live[c[i].beam];
        if (c[i].token != eot) {
            copy_sequence(&b->next[n_next], from, c[i].score);
            b->next[n_next].tokens[b->next[n_next].n++] = c[i].token;
            b->source[n_next++] = c[i].beam;
        } else if (b->n_finished < b->max_finished) {
            copy_sequence(&b->finished[b->n_finished++], from, c[i].score);
        }
    }
    struct pn_sequence *old = b->live;
    b->live = b->next;
    b->next = old;
    b->n_live = n_next;
    return b->n_finished >= b->max_finished;
}

void pn_beam_finish(struct pn_beam *b)
{
    bool used[PN_MAX_BEAMS] = { false };
    while (b->n_finished < b->size) {
        int best = -1;
        for (int i = 0; i < b->n_live;
             i++) /* later ones first on ties, as a reversed ascending sort has it */
            if (!used[i] && (best < 0 || b->live[i].sum >= b->live[best].sum))
                best = i;
        if (best < 0)
            return;
        used[best] = true;
        copy_sequence(&b->finished[b->n_finished++], &b->live[best], b->live[best].sum);
    }
}
