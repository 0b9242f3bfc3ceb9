/* decoder.c - see decoder.h.
 *
 *   think (tokens): t = norm2(w2(inner(relu(w1(norm1(y))))))
 *   remember (sequence): y += t + FSMN(history ++ t)
 *   ask (tokens): q = linear_q(norm3(y));  recall (memory rows): keys and values
 *   attend (sequence x head);  answer (tokens): y += out(attended)
 *
 * Neither the feed-forward nor the last block has a residual of its own (spec 3.4). */
#include "asr/paraformer/decoder.h"

#include "nn/attention.h"

#include <stdlib.h>
#include <string.h>

struct call {
    const struct pn_pf_decoder *d;
    const struct pn_pf_decoder_block *block;
    const struct pn_pf_feed_forward *ff;
    struct pn_pf_decoder_work *w;
    int index;
    float *y, *to; /* `to`: where think() writes */
    const float *memory;
    const struct pn_pf_dec_seq *seq;
    const int *from; /* first token of each sequence */
};

static size_t norm_size(const struct pn_pf_decoder *d)
{
    return pn_round_up(PN_TILE_MAX * (size_t)d->dims.size * sizeof(float), 64);
}

static size_t hidden_size(const struct pn_pf_decoder *d)
{
    return pn_round_up(PN_TILE_MAX * (size_t)d->dims.hidden * sizeof(float), 64);
}

static size_t linear_size(const struct pn_pf_decoder *d)
{
    const struct pn_pf_decoder_block *b = &d->block[0]; /* all blocks are alike */
    const struct pn_linear *all[] = { &d->last.w1, &d->last.w2, &b->q, &b->kv, &b->out };
    size_t size = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(all); i++)
        size = PN_MAX(size, all[i]->n > 0 ? pn_linear_scratch(all[i], PN_TILE_MAX) : 0);
    return size;
}

int pn_pf_decoder_work_init(struct pn_pf_decoder_work *w, const struct pn_pf_decoder *d, struct pn_pool *pool)
{
    *w = (struct pn_pf_decoder_work){ .pool = pool };
    return pn_rows_init(&w->rows, pool, norm_size(d) + hidden_size(d) + linear_size(d));
}

void pn_pf_decoder_work_done(struct pn_pf_decoder_work *w)
{
    pn_rows_done(&w->rows);
    pn_attend_room_done(&w->room);
    free(w->block);
    *w = (struct pn_pf_decoder_work){ 0 };
}

static int reserve(struct pn_pf_decoder_work *w, const struct pn_pf_decoder *d, int tokens, int n_memory)
{
    size_t row = (size_t)d->dims.size, each = pn_round_up((size_t)tokens * row, 16);
    size_t need = 3 * each + 2 * (size_t)n_memory * row;
    if (need > w->block_floats) {
        void *block = NULL;
        if (posix_memalign(&block, 64, need * sizeof(float)) != 0)
            return -PN_ENOMEM;
        free(w->block);
        w->block = block;
        w->block_floats = need;
    }
    w->t = w->block;
    w->q = w->t + each;
    w->attended = w->q + each;
    w->kv = w->attended + each;
    return 0;
}

static float *row(float *x, int i, const struct pn_pf_decoder *d)
{
    return x + (size_t)i * (size_t)d->dims.size;
}

/* ---- rows ---- */

static void think(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const struct pn_pf_decoder *d = c->d;
    const struct pn_pf_feed_forward *ff = c->ff;
    const size_t size = (size_t)d->dims.size, wide = (size_t)d->dims.hidden;
    float *norm = scratch, *hidden = (float *)(void *)((char *)scratch + norm_size(d));
    void *linear = (char *)hidden + hidden_size(d);
    pn_kern()->layer_norm(m, d->dims.size, row(c->y, from, d), size, ff->norm1.gamma, ff->norm1.beta,
                          PN_SANM_EPS, norm, size);
    pn_linear_pool(pool, &ff->w1, m, norm, size, hidden, wide, PN_RELU, linear);
    pn_kern()->layer_norm(m, d->dims.hidden, hidden, wide, ff->inner.gamma, ff->inner.beta, PN_SANM_EPS,
                          hidden, wide);
    float *to = row(c->to, from, d);
    pn_linear_pool(pool, &ff->w2, m, hidden, wide, to, size, PN_STORE, linear);
    const struct pn_norm *after = c->block ? &c->block->norm2 : &d->after;
    pn_kern()->layer_norm(m, d->dims.size, to, size, after->gamma, after->beta, PN_SANM_EPS, to, size);
}

static void *linear_scratch(const struct pn_pf_decoder *d, void *scratch)
{
    return (char *)scratch + norm_size(d) + hidden_size(d);
}

static void ask(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const size_t size = (size_t)c->d->dims.size;
    const struct pn_norm *norm3 = &c->block->norm3;
    float *norm = scratch;
    pn_kern()->layer_norm(m, c->d->dims.size, row(c->y, from, c->d), size, norm3->gamma, norm3->beta,
                          PN_SANM_EPS, norm, size);
    pn_linear_pool(pool, &c->block->q, m, norm, size, row(c->w->q, from, c->d), size, PN_STORE,
                   linear_scratch(c->d, scratch));
}

static void recall(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const size_t size = (size_t)c->d->dims.size;
    pn_linear_pool(pool, &c->block->kv, m, c->memory + (size_t)from * size, size,
                   c->w->kv + (size_t)from * 2 * size, 2 * size, PN_STORE, linear_scratch(c->d, scratch));
}

static void answer(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const size_t size = (size_t)c->d->dims.size;
    pn_linear_pool(pool, &c->block->out, m, row(c->w->attended, from, c->d), size, row(c->y, from, c->d),
                   size, PN_ADD, linear_scratch(c->d, scratch));
}

/* ---- sequences ---- */

/* The rows that came before, these tokens', in one piece; then the newest of them are what comes before. */
static void remember_history(const struct call *c, const struct pn_pf_dec_seq *s, struct pn_memory *a,
                             float *room)
{
    const size_t size = (size_t)c->d->dims.size, before = (size_t)c->d->dims.kernel - 1;
    float *history = s->history + (size_t)c->index * before * size;
    memcpy(room, history, before * size * sizeof(float));
    memcpy(room + before * size, a->x, (size_t)s->tokens * size * sizeof(float));
    a->x = room + before * size;
    a->before = (int)before;
    pn_kern()->memory(a);
    memcpy(history, room + (size_t)s->tokens * size, before * size * sizeof(float));
}

static void remember(void *ctx, int i, int thread)
{
    const struct call *c = ctx;
    const struct pn_pf_dec_seq *s = &c->seq[i];
    const size_t size = (size_t)c->d->dims.size;
    struct pn_memory a = { .m = s->tokens,
                           .n = c->d->dims.size,
                           .taps = c->d->dims.kernel,
                           .left = c->d->dims.left,
                           .x = row(c->w->t, c->from[i], c->d),
                           .ldx = size,
                           .w = c->block->taps,
                           .y = row(c->y, c->from[i], c->d),
                           .ldy = size };
    if (s->history)
        remember_history(c, s, &a, pn_attend_room(&c->w->room, thread));
    else
        pn_kern()->memory(&a);
}

static void attend(void *ctx, int i, int thread)
{
    const struct call *c = ctx;
    const struct pn_pf_decoder *d = c->d;
    const struct pn_pf_dec_seq *s = &c->seq[i / d->dims.heads];
    const size_t size = (size_t)d->dims.size;
    const float *kv = c->w->kv + (size_t)s->memory_from * 2 * size;
    const struct pn_attend_rows a = { .precision = d->precision,
                                      .heads = d->dims.heads,
                                      .width = d->dims.size,
                                      .m = s->tokens,
                                      .q = row(c->w->q, c->from[i / d->dims.heads], d),
                                      .ldq = size,
                                      .n = s->memory,
                                      .k = kv,
                                      .v = kv + size,
                                      .ldkv = 2 * size,
                                      .cache = s->cache,
                                      .layer = c->index,
                                      .out = row(c->w->attended, c->from[i / d->dims.heads], d),
                                      .ldo = size };
    pn_attend_head(&a, i % d->dims.heads, pn_attend_room(&c->w->room, thread));
}

static void keep_memory(const struct call *c, int n_seq)
{
    const size_t size = (size_t)c->d->dims.size;
    for (int i = 0; i < n_seq; i++) {
        const struct pn_pf_dec_seq *s = &c->seq[i];
        const float *kv = c->w->kv + (size_t)s->memory_from * 2 * size;
        if (s->cache)
            pn_kv_store(s->cache, c->index, s->memory, kv, kv + size, 2 * size);
    }
}

/* Tokens in all; as in sanm.c. */
static int count(const struct pn_pf_decoder *d, const struct pn_pf_dec_seq *seq, int n_seq, int *from,
                 size_t *ret_room)
{
    int tokens = 0;
    size_t room = 0;
    for (int i = 0; i < n_seq; i++) {
        const struct pn_pf_dec_seq *s = &seq[i];
        from[i] = tokens;
        tokens += s->tokens;
        room = PN_MAX(room, pn_attend_room_size(d->precision, s->tokens, s->memory,
                                                s->cache ? s->cache->have : 0, d->dims.size / d->dims.heads));
        if (s->history)
            room =
                PN_MAX(room, (size_t)(d->dims.kernel - 1 + s->tokens) * (size_t)d->dims.size * sizeof(float));
    }
    *ret_room = room;
    return tokens;
}

static void run(const struct call *c, int tokens, int n_memory, int n_seq)
{
    struct pn_pf_decoder_work *w = c->w;
    void *ctx = (void *)(uintptr_t)c;
    pn_rows_run(&w->rows, tokens, think, ctx);
    pn_pool_run(w->pool, n_seq, remember, ctx);
    if (c->index >= c->d->dims.n_cross)
        return;
    pn_rows_run(&w->rows, tokens, ask, ctx);
    pn_rows_run(&w->rows, n_memory, recall, ctx);
    pn_pool_run(w->pool, n_seq * c->d->dims.heads, attend, ctx);
    pn_rows_run(&w->rows, tokens, answer, ctx);
    keep_memory(c, n_seq);
}

int pn_pf_decoder_run(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w, int block, float *y,
                      const float *memory, int n_memory, const struct pn_pf_dec_seq *seq, int n_seq)
{
    size_t room = 0;
    int *from = malloc((size_t)PN_MAX(n_seq, 1) * sizeof(*from));
    int tokens = from ? count(d, seq, n_seq, from, &room) : 0;
    int r = from ? reserve(w, d, tokens, n_memory) : -PN_ENOMEM;
    if (r == 0)
        r = pn_attend_room_reserve(&w->room, pn_pool_threads(w->pool), room);
    if (r == 0) {
        const struct pn_pf_decoder_block *b = &d->block[block];
        struct call c = { d, b, &b->ff, w, block, y, w->t, memory, seq, from };
        run(&c, tokens, n_memory, n_seq);
    }
    free(from);
    return r;
}

/* Scores of one head before the softmax come from the kernel that attends. */
static void add_interest(const struct call *c, int head, int tokens, int n_memory, float *scores,
                         float *score)
{
    const size_t size = (size_t)c->d->dims.size, d = size / (size_t)c->d->dims.heads,
                 column = (size_t)head * d;
    const struct pn_small_attend a = { .m = tokens,
                                       .d = (int)d,
                                       .q = c->w->q + column,
                                       .ldq = size,
                                       .span = { [1] = { .n = n_memory,
                                                         .k = c->w->kv + column,
                                                         .v = c->w->kv + size + column,
                                                         .ld = 2 * size } },
                                       .out = c->w->attended + column,
                                       .ldo = size,
                                       .scores = scores,
                                       .scratch = pn_attend_room(&c->w->room, 0) };
    pn_small_attention(&a);
    for (int i = 0; i < tokens; i++, scores += n_memory) {
        pn_kern()->softmax(scores, (size_t)n_memory);
        pn_kern()->add(score, scores, (size_t)n_memory);
    }
}

int pn_pf_decoder_interest(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w, int block,
                           const float *y, int tokens, const float *memory, int n_memory, float *score)
{
    const struct pn_pf_dec_seq seq = { .tokens = tokens, .memory = n_memory };
    size_t room, n = (size_t)tokens * (size_t)d->dims.size;
    int from;
    float *copy = malloc(n * sizeof(*copy)),
          *scores = malloc((size_t)tokens * (size_t)n_memory * sizeof(*scores));
    int r = copy && scores ? reserve(w, d, tokens, n_memory) : -PN_ENOMEM;
    count(d, &seq, 1, &from, &room);
    if (r == 0)
        r = pn_attend_room_reserve(&w->room, pn_pool_threads(w->pool), room);
    if (r == 0) {
        const struct pn_pf_decoder_block *b = &d->block[block];
        struct call c = { d, b, &b->ff, w, block, copy, w->t, memory, &seq, &from };
        memcpy(copy, y, n * sizeof(*copy));
        memset(score, 0, (size_t)n_memory * sizeof(*score));
        pn_rows_run(&w->rows, tokens, think, &c);
        pn_pool_run(w->pool, 1, remember, &c);
        pn_rows_run(&w->rows, tokens, ask, &c);
        pn_rows_run(&w->rows, n_memory, recall, &c);
        for (int head = 0; head < d->dims.heads; head++)
            add_interest(&c, head, tokens, n_memory, scores, score);
    }
    free(copy);
    free(scores);
    return r;
}

void pn_pf_decoder_finish(const struct pn_pf_decoder *d, struct pn_pf_decoder_work *w, float *y, int tokens)
{
    struct call c = { .d = d, .ff = &d->last, .w = w, .y = y, .to = y };
    pn_rows_run(&w->rows, tokens, think, &c);
}
