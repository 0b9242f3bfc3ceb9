/* batch.c - choosing a batch: the lead, then those that may join it, sorted into the places there are. No
 * memory, no state. */
#include "asr/batch.h"

#include "base/attr.h"

#include <math.h>
#include <string.h>

int pn_batch_rank(double seconds_left)
{
    const double least_s = 4; /* about the shortest that anybody asks to have recognised */
    return seconds_left > least_s ? ilogb(seconds_left / least_s) + 1 : 0;
}

static bool more_urgent(const struct pn_candidate *a, const struct pn_candidate *b)
{
    if (a->live != b->live)
        return a->live;
    if (a->work.optional != b->work.optional)
        return b->work.optional;
    if (a->rank != b->rank)
        return a->rank < b->rank;
    return a->work.deadline_us < b->work.deadline_us;
}

/* n when nobody has work. */
static size_t find_lead(const struct pn_candidate *c, size_t n)
{
    size_t lead = n;
    for (size_t i = 0; i < n; i++)
        if (c[i].work.phase != 0 && (lead == n || more_urgent(&c[i], &c[lead])))
            lead = i;
    return lead;
}

/* The max most urgent ones that may join `lead`, itself among them, in order. */
static size_t sort_joining(const struct pn_candidate *c, size_t n, const struct pn_candidate *lead,
                           size_t max, size_t *chosen)
{
    size_t n_chosen = 0;
    for (size_t i = 0; i < n; i++) {
        if (c[i].recognizer != lead->recognizer || c[i].work.phase != lead->work.phase)
            continue;
        size_t at = n_chosen;
        while (at > 0 && more_urgent(&c[i], &c[chosen[at - 1]]))
            at--;
        if (at == max)
            continue;
        n_chosen = PN_MIN(n_chosen + 1, max);
        memmove(chosen + at + 1, chosen + at, (n_chosen - at - 1) * sizeof(*chosen));
        chosen[at] = i;
    }
    return n_chosen;
}

size_t pn_batch_choose(const struct pn_candidate *c, size_t n, size_t max_streams, int row_budget,
                       size_t *chosen)
{
    size_t lead = find_lead(c, n), fits = 1;
    if (lead == n || max_streams == 0)
        return 0;
    size_t n_chosen = sort_joining(c, n, &c[lead], max_streams, chosen);
    /* Never past the next in line: a small one behind it would starve it. */
    for (int64_t rows = c[lead].work.rows; fits < n_chosen; fits++) {
        rows += c[chosen[fits]].work.rows;
        if (rows > row_budget)
            break;
    }
    return fits;
}
