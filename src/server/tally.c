/* tally.c - see tally.h. */
#include "server/tally.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

struct pn_tally {
    atomic_int shares;
    _Atomic int64_t bytes;
};

struct pn_tally *pn_tally_new(void)
{
    struct pn_tally *t = calloc(1, sizeof(*t));
    if (t)
        atomic_init(&t->shares, 2);
    return t;
}

void pn_tally_unref(struct pn_tally *t)
{
    if (t && atomic_fetch_sub_explicit(&t->shares, 1, memory_order_acq_rel) == 1)
        free(t);
}

/* The socket between the two threads orders its bytes with what was counted before. */
void pn_tally_add(struct pn_tally *t, int64_t bytes)
{
    atomic_fetch_add_explicit(&t->bytes, bytes, memory_order_release);
}

int64_t pn_tally_read(const struct pn_tally *t)
{
    return atomic_load_explicit(&t->bytes, memory_order_acquire);
}
