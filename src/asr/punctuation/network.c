/* network.c - see network.h: computing. */
#include "asr/punctuation/network.h"

#include <stdlib.h>

int pn_mark_run_init(struct pn_mark_run *r, const struct pn_mark_network *n)
{
    *r = (struct pn_mark_run){ .network = n };
    return pn_sanm_work_init(&r->work, &n->encoder, NULL);
}

void pn_mark_run_done(struct pn_mark_run *r)
{
    pn_sanm_work_done(&r->work);
    free(r->x);
    free(r->logits);
    free(r->limits);
    *r = (struct pn_mark_run){ 0 };
}

static int grow(void *array, size_t size)
{
    void **p = array, *memory = NULL;
    if (posix_memalign(&memory, 64, size) != 0)
        return -PN_ENOMEM;
    free(*p);
    *p = memory;
    return 0;
}

static int reserve(struct pn_mark_run *r, size_t n)
{
    const struct pn_mark_network *w = r->network;
    if (n <= r->cap)
        return 0;
    size_t cap = pn_round_up(n, 64);
    r->cap = 0;
    if (grow(&r->x, cap * (size_t)pn_sanm_ld(&w->encoder) * sizeof(*r->x)) < 0 ||
        grow(&r->logits, cap * (size_t)w->n_classes * sizeof(*r->logits)) < 0 ||
        grow(&r->limits, cap * sizeof(*r->limits)) < 0)
        return -PN_ENOMEM;
    r->cap = cap;
    return 0;
}

/* What each word sees in block `block`; NULL: everything. */
static const int *limits_of(const struct pn_mark_run *r, int block, size_t n, size_t n_cached)
{
    const struct pn_mark_network *w = r->network;
    bool last = block > 0 && block == w->encoder.n_blocks - 1;
    if (!w->causal || (last && (n_cached == 0 || n_cached >= n)))
        return NULL;
    for (size_t i = 0; i < n; i++) {
        size_t end = !last ? i + 1 : i + 1 < n_cached ? n_cached : n;
        r->limits[i] = (int)end;
    }
    return r->limits;
}

static void embed(const struct pn_mark_run *r, const int32_t *ids, size_t n)
{
    const struct pn_sanm *m = &r->network->encoder;
    const size_t ld = (size_t)pn_sanm_ld(m);
    for (size_t i = 0; i < n; i++)
        pn_mark_embedding_row(&r->network->embedding, (size_t)ids[i], r->x + i * ld);
    pn_sanm_positions(m, 1, (int)n, r->x, ld);
}

/* logits = output(norm(x)) */
static int finish(struct pn_mark_run *r, int n)
{
    const struct pn_mark_network *w = r->network;
    const size_t ld = (size_t)pn_sanm_ld(&w->encoder);
    void *scratch = NULL;
    if (posix_memalign(&scratch, 64, pn_round_up(pn_linear_scratch(&w->output, n) + 1, 64)) != 0)
        return -PN_ENOMEM;
    pn_sanm_finish(&w->encoder, n, r->x, r->x, ld);
    pn_linear(&w->output, n, r->x, ld, r->logits, (size_t)w->n_classes, PN_STORE, scratch);
    free(scratch);
    return 0;
}

int pn_mark_run_logits(struct pn_mark_run *r, const int32_t *ids, size_t n, size_t n_cached)
{
    const struct pn_sanm *m = &r->network->encoder;
    int result = reserve(r, n);
    if (result < 0)
        return result;
    embed(r, ids, n);
    for (int block = 0; block < m->n_blocks && result == 0; block++) {
        const struct pn_sanm_seq seq = { .rows = (int)n, .limits = limits_of(r, block, n, n_cached) };
        result = pn_sanm_run(m, &r->work, block, r->x, &seq, 1);
    }
    return result < 0 ? result : finish(r, (int)n);
}

int pn_mark_run_judge(void *ctx, const int32_t *ids, size_t n, size_t n_cached, uint8_t *ret_marks)
{
    struct pn_mark_run *r = ctx;
    int result = pn_mark_run_logits(r, ids, n, n_cached);
    for (size_t i = 0; i < n && result == 0; i++) {
        const float *row = r->logits + i * (size_t)r->network->n_classes;
        int best = 0;
        for (int c = 1; c < r->network->n_classes; c++)
            if (row[c] > row[best])
                best = c;
        ret_marks[i] = r->network->mark[best];
    }
    return result;
}
