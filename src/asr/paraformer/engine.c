/* engine.c - see engine.h. A call gathers the rows of its items below each other, computes, and hands them
 * back: the batch may be another one at the next call. */
#include "asr/paraformer/engine.h"

#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOGIT_ROWS = 32 }; /* whose logits lie in memory at once, a thread */

static int blocks_of(const struct pn_pf_stack *s)
{
    return s->n_cross + s->n_plain;
}

struct room {
    float *at;
    size_t floats;
};

struct pn_pf_engine {
    const struct pn_paraformer *p;
    struct pn_pool *pool;
    struct pn_sanm_work encoder;
    struct pn_pf_decoder_work decoder;
    struct pn_rows rows; /* of the predictor and the output layer */
    struct room x, y, result;
};

static size_t predict_size(const struct pn_paraformer *p)
{
    size_t conv = pn_round_up(PN_TILE_MAX * (size_t)p->encoder.size * sizeof(float), 64);
    return conv + pn_linear_scratch(&p->predictor.conv, PN_TILE_MAX);
}

static size_t logits_size(const struct pn_paraformer *p)
{
    return pn_round_up(LOGIT_ROWS * (size_t)p->dims.n_vocab * sizeof(float), 64);
}

int pn_pf_engine_new(const struct pn_paraformer *p, struct pn_pool *pool, struct pn_pf_engine **ret)
{
    struct pn_pf_engine *e = calloc(1, sizeof(*e));
    if (!e)
        return -PN_ENOMEM;
    e->p = p;
    e->pool = pool;
    size_t scratch = PN_MAX(predict_size(p), logits_size(p) + pn_linear_scratch(&p->output, LOGIT_ROWS));
    int r = pn_rows_init(&e->rows, pool, scratch);
    if (r == 0)
        r = pn_sanm_work_init(&e->encoder, &p->encoder, pool);
    if (r == 0)
        r = pn_pf_decoder_work_init(&e->decoder, &p->decoder, pool);
    if (r < 0)
        pn_pf_engine_free(e);
    else
        *ret = e;
    return r;
}

struct pn_pf_engine *pn_pf_engine_free(struct pn_pf_engine *e)
{
    if (!e)
        return NULL;
    pn_sanm_work_done(&e->encoder);
    pn_pf_decoder_work_done(&e->decoder);
    pn_rows_done(&e->rows);
    free(e->x.at);
    free(e->y.at);
    free(e->result.at);
    free(e);
    return NULL;
}

const struct pn_paraformer *pn_pf_engine_model(const struct pn_pf_engine *e)
{
    return e->p;
}

/* At least `rows` x `width` floats; what was there is gone. */
static int reserve(struct room *r, int rows, int width)
{
    size_t need = (size_t)rows * (size_t)width;
    if (need <= r->floats)
        return 0;
    void *at = NULL;
    if (posix_memalign(&at, 64, need * sizeof(float)) != 0)
        return -PN_ENOMEM;
    free(r->at);
    *r = (struct room){ at, need };
    return 0;
}

static void copy_rows(float *to, size_t ld_to, const float *from, size_t ld_from, int rows, int width)
{
    for (int i = 0; i < rows; i++)
        memcpy(to + (size_t)i * ld_to, from + (size_t)i * ld_from, (size_t)width * sizeof(float));
}

static int all_rows(struct pn_pf_item *const *item, int n)
{
    int rows = 0;
    for (int i = 0; i < n; i++)
        rows += item[i]->rows;
    return rows;
}

static int all_tokens(struct pn_pf_item *const *item, int n)
{
    int tokens = 0;
    for (int i = 0; i < n; i++)
        tokens += item[i]->tokens;
    return tokens;
}

/* ---- encoder ---- */

static int encode_blocks(struct pn_pf_engine *e, const struct pn_sanm_seq *seq, int n, int *block,
                         int64_t budget_us)
{
    const int64_t until = pn_now_us() + budget_us;
    int r;
    do
        r = pn_sanm_run(&e->p->encoder, &e->encoder, *block, e->x.at, seq, n);
    while (r == 0 && ++*block < e->p->encoder.n_blocks && pn_now_us() < until);
    return r;
}

static void encoded(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    const struct pn_sanm *m = &e->p->encoder;
    pn_sanm_finish(m, all_rows(item, n), e->x.at, e->x.at, (size_t)pn_sanm_ld(m));
    for (int i = 0; i < n; i++) {
        if (item[i]->keys)
            pn_kv_advance(item[i]->keys, item[i]->store);
    }
}

int pn_pf_encode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block, int64_t budget_us)
{
    const int ld = pn_sanm_ld(&e->p->encoder);
    struct pn_sanm_seq *seq = calloc((size_t)n, sizeof(*seq));
    int r = seq ? reserve(&e->x, all_rows(item, n), ld) : -PN_ENOMEM;
    if (r == 0) {
        float *x = e->x.at;
        for (int i = 0; i < n; x += (size_t)item[i++]->rows * (size_t)ld) {
            seq[i] = (struct pn_sanm_seq){ .rows = item[i]->rows,
                                           .cache = item[i]->keys,
                                           .store = item[i]->store };
            memcpy(x, item[i]->x, (size_t)item[i]->rows * (size_t)ld * sizeof(float));
        }
        r = encode_blocks(e, seq, n, block, budget_us);
        if (r == 0 && *block == e->p->encoder.n_blocks)
            encoded(e, item, n);
        x = e->x.at;
        for (int i = 0; i < n; x += (size_t)item[i++]->rows * (size_t)ld)
            memcpy(item[i]->x, x, (size_t)item[i]->rows * (size_t)ld * sizeof(float));
    }
    free(seq);
    return r;
}

/* ---- predictor ---- */

static float dot(const float *a, const float *b, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)(a[i] * b[i]);
    return (float)sum;
}

/* Weights of rows that have one before and one behind them. */
static void predict(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct pn_pf_engine *e = ctx;
    const struct pn_pf_predictor *p = &e->p->predictor;
    const size_t size = (size_t)e->p->encoder.size;
    float *conv = scratch;
    void *linear = (char *)scratch + pn_round_up(PN_TILE_MAX * size * sizeof(float), 64);
    pn_linear_pool(pool, &p->conv, m, e->x.at + (size_t)from * size, size, conv, size, PN_RELU, linear);
    for (int i = 0; i < m; i++) {
        float z = dot(conv + (size_t)i * size, p->weight, (int)size) + p->bias[0];
        double alpha = e->p->dims.smooth / (1 + exp(-(double)z)) - e->p->dims.noise;
        e->result.at[from + i] = alpha > 0 ? (float)alpha : isnan(alpha) ? NAN : 0;
    }
}

/* The convolution sees a zero row at both ends of each item: one row of zeros between them does for two. */
int pn_pf_predict(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    const int size = e->p->encoder.size, ld = pn_sanm_ld(&e->p->encoder);
    int outputs = all_rows(item, n) + n - 1;
    int r = reserve(&e->x, outputs + 2, size);
    if (r == 0)
        r = reserve(&e->result, outputs, 1);
    if (r < 0)
        return r;
    float *x = e->x.at;
    for (int i = 0; i < n; i++) {
        memset(x, 0, (size_t)size * sizeof(float));
        copy_rows(x + size, (size_t)size, item[i]->x, (size_t)ld, item[i]->rows, size);
        x += (size_t)(1 + item[i]->rows) * (size_t)size;
    }
    memset(x, 0, (size_t)size * sizeof(float));
    pn_rows_run(&e->rows, outputs, predict, e);
    const float *alpha = e->result.at;
    for (int i = 0; i < n; alpha += item[i++]->rows + 1)
        memcpy(item[i]->alpha, alpha, (size_t)item[i]->rows * sizeof(float));
    return 0;
}

/* ---- decoder ---- */

static int decode_blocks(struct pn_pf_engine *e, const struct pn_pf_dec_seq *seq, int n, int n_memory,
                         int *block, int64_t budget_us)
{
    const int64_t until = pn_now_us() + budget_us;
    int r;
    do
        r = pn_pf_decoder_run(&e->p->decoder, &e->decoder, *block, e->y.at, e->x.at, n_memory, seq, n);
    while (r == 0 && ++*block < blocks_of(&e->p->decoder.dims) && pn_now_us() < until);
    return r;
}

static void decoded(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    pn_pf_decoder_finish(&e->p->decoder, &e->decoder, e->y.at, all_tokens(item, n));
    for (int i = 0; i < n; i++) {
        if (item[i]->memory)
            pn_kv_advance(item[i]->memory, item[i]->rows);
    }
}

/* Tokens and memory rows of all items, and who has which. */
static void gather(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, struct pn_pf_dec_seq *seq)
{
    const int size = e->p->encoder.size, ld = pn_sanm_ld(&e->p->encoder);
    float *y = e->y.at, *x = e->x.at;
    int from = 0;
    for (int i = 0; i < n; i++) {
        seq[i] = (struct pn_pf_dec_seq){ .tokens = item[i]->tokens,
                                         .memory_from = from,
                                         .memory = item[i]->rows,
                                         .history = item[i]->history,
                                         .cache = item[i]->memory };
        copy_rows(y, (size_t)size, item[i]->y, (size_t)size, item[i]->tokens, size);
        copy_rows(x, (size_t)size, item[i]->x, (size_t)ld, item[i]->rows, size);
        y += (size_t)item[i]->tokens * (size_t)size;
        x += (size_t)item[i]->rows * (size_t)size;
        from += item[i]->rows;
    }
}

int pn_pf_decode(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n, int *block, int64_t budget_us)
{
    const int size = e->p->encoder.size, rows = all_rows(item, n);
    struct pn_pf_dec_seq *seq = calloc((size_t)n, sizeof(*seq));
    int r = seq ? reserve(&e->y, all_tokens(item, n), size) : -PN_ENOMEM;
    if (r == 0)
        r = reserve(&e->x, rows, size);
    if (r == 0) {
        gather(e, item, n, seq);
        r = decode_blocks(e, seq, n, rows, block, budget_us);
        if (r == 0 && *block == blocks_of(&e->p->decoder.dims))
            decoded(e, item, n);
        const float *y = e->y.at;
        for (int i = 0; i < n; y += (size_t)item[i++]->tokens * (size_t)size)
            copy_rows(item[i]->y, (size_t)size, y, (size_t)size, item[i]->tokens, size);
    }
    free(seq);
    return r;
}

/* ---- output layer ---- */

struct output {
    struct pn_pf_engine *e;
    int32_t *ids;
    float *logprob, *logits;
};

int32_t pn_pf_best(const float *logits, size_t n)
{
    float max = pn_kern()->max(logits, n);
    size_t best = 0;
    while (best + 1 < n && logits[best] < max)
        best++;
    return (int32_t)best;
}

static void choose(const struct output *o, int row, const float *logits)
{
    const size_t n = (size_t)o->e->p->dims.n_vocab;
    int32_t best = pn_pf_best(logits, n);
    o->ids[row] = best;
    o->logprob[row] = logits[best] - pn_kern()->logsumexp(logits, n);
    if (o->logits)
        memcpy(o->logits + (size_t)row * n, logits, n * sizeof(float));
}

static void output(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct output *o = ctx;
    const struct pn_paraformer *p = o->e->p;
    const size_t n = (size_t)p->dims.n_vocab, size = (size_t)p->encoder.size;
    float *logits = scratch;
    for (int i = 0; i < m; i += LOGIT_ROWS) {
        int rows = PN_MIN(m - i, (int)LOGIT_ROWS);
        pn_linear_pool(pool, &p->output, rows, o->e->y.at + (size_t)(from + i) * size, size, logits, n,
                       PN_STORE, (char *)scratch + logits_size(p));
        for (int j = 0; j < rows; j++)
            choose(o, from + i + j, logits + (size_t)j * n);
    }
}

static void hand_out(const struct output *o, struct pn_pf_item *const *item, int n)
{
    const size_t n_vocab = (size_t)o->e->p->dims.n_vocab;
    size_t at = 0;
    for (int i = 0; i < n; at += (size_t)item[i++]->tokens) {
        size_t tokens = (size_t)item[i]->tokens;
        memcpy(item[i]->ids, o->ids + at, tokens * sizeof(*o->ids));
        memcpy(item[i]->logprob, o->logprob + at, tokens * sizeof(*o->logprob));
        if (item[i]->logits)
            memcpy(item[i]->logits, o->logits + at * n_vocab, tokens * n_vocab * sizeof(*o->logits));
    }
}

static bool logits_wanted(struct pn_pf_item *const *item, int n)
{
    bool wanted = false;
    for (int i = 0; i < n; i++)
        wanted |= item[i]->logits != NULL;
    return wanted;
}

int pn_pf_output(struct pn_pf_engine *e, struct pn_pf_item *const *item, int n)
{
    const int size = e->p->encoder.size, tokens = all_tokens(item, n);
    struct output o = { .e = e };
    int r = reserve(&e->y, tokens, size);
    o.ids = malloc((size_t)tokens * sizeof(*o.ids));
    o.logprob = malloc((size_t)tokens * sizeof(*o.logprob));
    if (logits_wanted(item, n))
        o.logits = malloc((size_t)tokens * (size_t)e->p->dims.n_vocab * sizeof(*o.logits));
    if (r == 0 && o.ids && o.logprob && (o.logits || !logits_wanted(item, n))) {
        float *y = e->y.at;
        for (int i = 0; i < n; y += (size_t)item[i++]->tokens * (size_t)size)
            copy_rows(y, (size_t)size, item[i]->y, (size_t)size, item[i]->tokens, size);
        pn_rows_run(&e->rows, tokens, output, &o);
        hand_out(&o, item, n);
    } else {
        r = -PN_ENOMEM;
    }
    free(o.ids);
    free(o.logprob);
    free(o.logits);
    return r;
}
