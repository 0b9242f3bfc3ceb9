/* batch.c - choosing a batch. Quadratic in the batch, which is a few dozen at most; no memory, no state. */
#include "asr/batch.h"

static bool more_urgent(const struct pn_candidate *a, const struct pn_candidate *b)
{
    if (a->live != b->live)
        return a->live;
    return a->work.deadline_us < b->work.deadline_us;
}

static bool is_chosen(const size_t *chosen, size_t n_chosen, size_t i)
{
    for (size_t k = 0; k < n_chosen; k++)
        if (chosen[k] == i)
            return true;
    return false;
}

static bool may_join(const struct pn_candidate *c, const struct pn_candidate *lead)
{
    return c->work.phase != 0 &&
           (!lead || (c->recognizer == lead->recognizer && c->work.phase == lead->work.phase));
}

/* The most urgent one that may join `lead` and is not in yet; n when there is none. */
static size_t next_in_line(const struct pn_candidate *c, size_t n, const struct pn_candidate *lead,
                           const size_t *chosen, size_t n_chosen)
{
    size_t best = n;
    for (size_t i = 0; i < n; i++)
        if (may_join(&c[i], lead) && !is_chosen(chosen, n_chosen, i) &&
            (best == n || more_urgent(&c[i], &c[best])))
            best = i;
    return best;
}

size_t pn_batch_choose(const struct pn_candidate *c, size_t n, size_t max_streams, int row_budget,
                       size_t *chosen)
{
    size_t n_chosen = 0;
    int64_t rows = 0;
    while (n_chosen < max_streams) {
        const struct pn_candidate *lead = n_chosen ? &c[chosen[0]] : NULL;
        size_t i = next_in_line(c, n, lead, chosen, n_chosen);
        if (i == n)
            break;
        rows += c[i].work.rows;
        if (lead && rows > row_budget)
            break; /* never past the next in line: a small one behind it would starve it */
        chosen[n_chosen++] = i;
    }
    return n_chosen;
}
