/* decoder.c - rows of tokens through the decoder.
 *
 * Every linear layer is one product over all rows, so its weights are read once for the whole batch. Between
 * them rows are independent: self-attention goes row by row, cross-attention by groups of neighbouring rows
 * that share a window, whose keys and values are then read once for all its beams. */
#include "asr/whisper/cache.h"
#include "asr/whisper/engine.h"
#include "nn/attention.h"

#include <stdlib.h>
#include <string.h>

/* Neighbouring rows that share a window. */
struct pn_decoder_group {
    int first, m;
    bool scores; /* one of them wants its scores */
};

/* Work on a few rows is done by the caller: waking the threads costs more. */
enum { ROWS_ALONE = 8, ROWS_TASK = 8 };

struct pass {
    struct pn_whisper_engine *e;
    const struct pn_decoder_row *rows;
    int n, n_groups, layer;
    int head_split; /* tasks that share a row's self-attention heads */
    struct pn_norm norm;
    void (*each)(struct pass *p, int i); /* what each_row() does */
};

static size_t buffers_size(const struct pn_whisper *w, int cap, size_t linear)
{
    const int s = w->dims.n_text_state;
    return 3 * pn_floats(cap, s) + pn_floats(cap, 3 * s) + pn_floats(cap, 4 * s) +
           pn_round64((size_t)cap * sizeof(struct pn_decoder_group)) + pn_round64(linear);
}

static size_t linear_size(const struct pn_whisper *w, int m)
{
    const struct pn_whisper_decoder_layer *l = &w->decoder[0];
    size_t size = pn_linear_scratch(&l->fc2, m);
    size = PN_MAX(size, pn_linear_scratch(&l->fc1, m));
    return PN_MAX(size, pn_linear_scratch(&w->embedding, m));
}

static void *carve(char **at, size_t size)
{
    void *p = *at;
    *at += size;
    return p;
}

/* Makes room for n rows; what was there is lost. */
static int reserve_rows(struct pn_whisper_engine *e, int n)
{
    struct pn_decoder_buffers *b = &e->decoder;
    const int s = e->w->dims.n_text_state;
    void *memory = NULL;
    if (n <= b->cap)
        return 0;
    int cap = PN_MIN((n + 15) / 16 * 16, PN_DECODER_MAX_ROWS);
    size_t linear = linear_size(e->w, cap);
    if (posix_memalign(&memory, 64, buffers_size(e->w, cap, linear)) != 0)
        return -PN_ENOMEM;
    free(b->memory);
    char *at = b->memory = memory;
    b->cap = cap;
    b->x = carve(&at, pn_floats(cap, s));
    b->norm = carve(&at, pn_floats(cap, s));
    b->attended = carve(&at, pn_floats(cap, s));
    b->qkv = carve(&at, pn_floats(cap, 3 * s));
    b->hidden = carve(&at, pn_floats(cap, 4 * s));
    b->group = carve(&at, pn_round64((size_t)cap * sizeof(*b->group)));
    b->linear = at;
    return 0;
}

static int reserve_logits(struct pn_whisper_engine *e, int n)
{
    struct pn_decoder_buffers *b = &e->decoder;
    void *memory = NULL;
    if (n <= 1 || n <= b->n_logits)
        return 0;
    if (posix_memalign(&memory, 64, pn_floats(n, e->w->dims.n_vocab)) != 0)
        return -PN_ENOMEM;
    free(b->logits);
    b->logits = memory;
    b->n_logits = n;
    return 0;
}

void pn_decoder_buffers_done(struct pn_decoder_buffers *b)
{
    free(b->memory);
    free(b->logits);
    *b = (struct pn_decoder_buffers){ 0 };
}

size_t pn_decoder_scratch_size(const struct pn_whisper *w)
{
    size_t cross = pn_cross_scratch(w->precision, PN_CROSS_ROWS, w->dims.n_audio_ctx, PN_WHISPER_HEAD);
    return pn_round64(PN_MAX(cross, pn_floats(1, w->dims.n_text_ctx)));
}

static void rows_task(void *ctx, int i, int thread)
{
    struct pass *p = ctx;
    for (int at = i * ROWS_TASK; at < PN_MIN(p->n, (i + 1) * ROWS_TASK); at++)
        p->each(p, at);
}

static void each_row(struct pass *p, void (*each)(struct pass *p, int i))
{
    p->each = each;
    pn_pool_run(p->n > ROWS_ALONE ? p->e->pool : NULL, (p->n + ROWS_TASK - 1) / ROWS_TASK, rows_task, p);
}

static void embed_row(struct pass *p, int i)
{
    const struct pn_whisper *w = p->e->w;
    const size_t s = (size_t)w->dims.n_text_state;
    float *x = p->e->decoder.x + (size_t)i * s;
    pn_linear_row(&w->embedding, p->rows[i].token, x);
    pn_kern()->add(x, w->text_positions + (size_t)p->rows[i].position * s, s);
}

static void norm_row(struct pass *p, int i)
{
    const size_t s = (size_t)p->e->w->dims.n_text_state;
    const struct pn_decoder_buffers *b = &p->e->decoder;
    pn_kern()->layer_norm(1, (int)s, b->x + (size_t)i * s, s, p->norm.gamma, p->norm.beta, PN_WHISPER_EPS,
                          b->norm + (size_t)i * s, s);
}

/* A row's key and value into its sequence's cache. */
static void remember_row(struct pass *p, int i)
{
    const size_t s = (size_t)p->e->w->dims.n_text_state;
    const struct pn_decoder_row *row = &p->rows[i];
    const float *qkv = p->e->decoder.qkv + (size_t)i * 3 * s;
    for (int values = 0; values < 2; values++)
        memcpy(pn_self_cache_at(row->cache, p->layer, values) + (size_t)row->position * s,
               qkv + (size_t)(1 + values) * s, s * sizeof(float));
}

static void self_task(void *ctx, int task, int thread)
{
    struct pass *p = ctx;
    const struct pn_whisper_dims *d = &p->e->w->dims;
    const size_t s = (size_t)d->n_text_state;
    int i = task / p->head_split, part = task % p->head_split;
    const struct pn_decoder_row *row = &p->rows[i];
    const float *k = pn_self_cache_at(row->cache, p->layer, 0),
                *v = pn_self_cache_at(row->cache, p->layer, 1);
    int to = d->n_text_head * (part + 1) / p->head_split;
    for (int head = d->n_text_head * part / p->head_split; head < to; head++) {
        size_t column = (size_t)head * PN_WHISPER_HEAD;
        const struct pn_attend a = {
            .m = 1,
            .n = row->position + 1,
            .d = PN_WHISPER_HEAD,
            .q = p->e->decoder.qkv + (size_t)i * 3 * s + column,
            .ldq = 3 * s,
            .out = p->e->decoder.attended + (size_t)i * s + column,
            .ldo = s,
            .scratch = pn_engine_scratch(p->e, thread),
        };
        pn_self_attention(&a, k + column, v + column, s);
    }
}

/* Rows [first, first + m) over one head of their window; `scores` is for m = 1. */
static void attend_rows(struct pass *p, int first, int m, int head, float *scores, int thread)
{
    const size_t s = (size_t)p->e->w->dims.n_text_state, column = (size_t)head * PN_WHISPER_HEAD;
    const struct pn_cross *cross = p->rows[first].cross;
    const struct pn_attend a = {
        .m = m,
        .n = cross->n_ctx,
        .d = PN_WHISPER_HEAD,
        .q = p->e->decoder.qkv + (size_t)first * s + column,
        .ldq = s,
        .packed = pn_cross_head(cross, p->layer, head),
        .out = p->e->decoder.attended + (size_t)first * s + column,
        .ldo = s,
        .scores = scores,
        .scratch = pn_engine_scratch(p->e, thread),
    };
    pn_cross_attention(p->e->w->precision, &a);
}

static void cross_task(void *ctx, int task, int thread)
{
    struct pass *p = ctx;
    const int n_head = p->e->w->dims.n_text_head;
    const struct pn_decoder_group *g = &p->e->decoder.group[task / n_head];
    int head = task % n_head, index = p->e->align_index[p->layer * n_head + head];
    if (index < 0 || !g->scores) {
        attend_rows(p, g->first, g->m, head, NULL, thread);
        return;
    }
    for (int i = g->first; i < g->first + g->m; i++) {
        float *scores = p->rows[i].scores;
        attend_rows(p, i, 1, head, scores ? scores + (size_t)index * (size_t)p->rows[i].cross->n_ctx : NULL,
                    thread);
    }
}

static void linear(struct pass *p, const struct pn_linear *l, const float *x, float *y, enum pn_epilogue e)
{
    pn_linear_pool(p->e->pool, l, p->n, x, (size_t)l->k, y, (size_t)l->n, e, p->e->decoder.linear);
}

static void run_layer(struct pass *p)
{
    const struct pn_whisper_decoder_layer *l = &p->e->w->decoder[p->layer];
    const struct pn_decoder_buffers *b = &p->e->decoder;
    p->norm = l->attn_ln;
    each_row(p, norm_row);
    linear(p, &l->qkv, b->norm, b->qkv, PN_STORE);
    each_row(p, remember_row);
    pn_pool_run(p->e->pool, p->n * p->head_split, self_task, p);
    linear(p, &l->out, b->attended, b->x, PN_ADD);

    p->norm = l->cross_ln;
    each_row(p, norm_row);
    linear(p, &l->cross_q, b->norm, b->qkv, PN_STORE);
    pn_pool_run(p->e->pool, p->n_groups * p->e->w->dims.n_text_head, cross_task, p);
    linear(p, &l->cross_out, b->attended, b->x, PN_ADD);

    p->norm = l->mlp_ln;
    each_row(p, norm_row);
    linear(p, &l->fc1, b->norm, b->hidden, PN_GELU);
    linear(p, &l->fc2, b->hidden, b->x, PN_ADD);
}

static int group_rows(const struct pn_decoder_row *rows, int n, struct pn_decoder_group *group)
{
    int n_groups = 0;
    for (int i = 0; i < n; i++) {
        struct pn_decoder_group *g = n_groups ? &group[n_groups - 1] : NULL;
        if (!g || rows[g->first].cross != rows[i].cross || g->m == PN_CROSS_ROWS)
            group[n_groups++] = (struct pn_decoder_group){ i, 1, rows[i].scores != NULL };
        else
            *g = (struct pn_decoder_group){ g->first, g->m + 1, g->scores || rows[i].scores };
    }
    return n_groups;
}

struct logits_copy {
    const struct pn_decoder_row *rows;
    const int *which; /* rows with logits */
    const float *from;
    size_t n_vocab;
};

static void copy_logits(void *ctx, int i, int thread)
{
    const struct logits_copy *c = ctx;
    memcpy(c->rows[c->which[i]].logits, c->from + (size_t)i * c->n_vocab, c->n_vocab * sizeof(float));
}

/* Logits of rows which[0..m). Their buffers lie anywhere, so more than one are computed side by side first.
 */
static void some_logits(struct pass *p, const int *which, int m)
{
    const struct pn_whisper *w = p->e->w;
    const struct pn_decoder_buffers *b = &p->e->decoder;
    const size_t s = (size_t)w->dims.n_text_state, v = (size_t)w->dims.n_vocab;
    for (int i = 0; i < m; i++)
        pn_kern()->layer_norm(1, (int)s, b->x + (size_t)which[i] * s, s, w->ln.gamma, w->ln.beta,
                              PN_WHISPER_EPS, b->norm + (size_t)i * s, s);
    float *to = m == 1 ? p->rows[which[0]].logits : b->logits;
    pn_linear_pool(p->e->pool, &w->embedding, m, b->norm, s, to, v, PN_STORE, b->linear);
    if (m > 1)
        pn_pool_run(p->e->pool, m, copy_logits, &(struct logits_copy){ p->rows, which, to, v });
}

static void all_logits(struct pass *p)
{
    int which[PN_LOGIT_ROWS], m = 0;
    for (int i = 0; i < p->n; i++) {
        if (p->rows[i].logits)
            which[m++] = i;
        if (m == PN_LOGIT_ROWS || (m > 0 && i == p->n - 1)) {
            some_logits(p, which, m);
            m = 0;
        }
    }
}

static bool rows_fine(const struct pn_whisper_dims *d, const struct pn_decoder_row *rows, int n)
{
    bool fine = n >= 0 && n <= PN_DECODER_MAX_ROWS;
    for (int i = 0; i < n && fine; i++) {
        const struct pn_decoder_row *r = &rows[i];
        fine = r->cache && r->cross && r->token >= 0 && r->token < d->n_vocab && r->position >= 0 &&
               r->position < d->n_text_ctx &&
               (i == 0 || rows[i - 1].cache != r->cache || rows[i - 1].position < r->position);
    }
    return fine;
}

static int count_logits(const struct pn_decoder_row *rows, int n)
{
    int count = 0;
    for (int i = 0; i < n; i++)
        count += rows[i].logits != NULL;
    return count;
}

int pn_decoder_run(struct pn_whisper_engine *e, const struct pn_decoder_row *rows, int n)
{
    const struct pn_whisper_dims *d = &e->w->dims;
    if (!rows_fine(d, rows, n))
        return -PN_EINVAL;
    if (n == 0)
        return 0;
    if (reserve_rows(e, n) < 0 || reserve_logits(e, PN_MIN(count_logits(rows, n), PN_LOGIT_ROWS)) < 0)
        return -PN_ENOMEM;
    struct pass p = { .e = e, .rows = rows, .n = n };
    p.n_groups = group_rows(rows, n, e->decoder.group);
    p.head_split = n < 2 * e->threads ? PN_MIN(e->threads, d->n_text_head) : 1;
    each_row(&p, embed_row);
    for (p.layer = 0; p.layer < d->n_text_layer; p.layer++)
        run_layer(&p);
    all_logits(&p);
    return 0;
}
