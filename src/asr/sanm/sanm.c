/* sanm.c - see sanm.h.
 *
 *   project (rows): norm1, queries, keys, values
 *   attend (sequence x head): attention into `attended`
 *   remember (sequence): x += v + FSMN(v), keys and values into the cache
 *   forward (rows): x += out(attended); x += w2(relu(w1(norm2(x)))) */
#include "asr/sanm/sanm.h"

#include "asr/sanm/attend.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct call {
    const struct pn_sanm *m;
    const struct pn_sanm_block *block;
    struct pn_sanm_work *w;
    int index;
    float *x;
    const struct pn_sanm_seq *seq;
    const int *from; /* first row of each sequence */
};

/* What a call of pn_rows_run() needs for up to PN_TILE_MAX rows. */
static size_t norm_size(const struct pn_sanm *m)
{
    return pn_round_up(PN_TILE_MAX * (size_t)pn_sanm_ld(m) * sizeof(float), 64);
}

static size_t hidden_size(const struct pn_sanm *m)
{
    return pn_round_up(PN_TILE_MAX * (size_t)m->hidden * sizeof(float), 64);
}

static size_t linear_size(const struct pn_sanm *m)
{
    size_t size = 0;
    for (int i = 0; i < PN_MIN(m->n_blocks, 2); i++) { /* all but block 0 are alike */
        const struct pn_sanm_block *b = &m->block[i];
        const struct pn_linear *all[] = { &b->qkv, &b->out, &b->w1, &b->w2 };
        for (size_t j = 0; j < PN_ARRAY_LEN(all); j++)
            size = PN_MAX(size, pn_linear_scratch(all[j], PN_TILE_MAX));
    }
    return size;
}

int pn_sanm_work_init(struct pn_sanm_work *w, const struct pn_sanm *m, struct pn_pool *pool)
{
    *w = (struct pn_sanm_work){ .pool = pool };
    return pn_rows_init(&w->rows, pool, norm_size(m) + hidden_size(m) + linear_size(m));
}

void pn_sanm_work_done(struct pn_sanm_work *w)
{
    pn_rows_done(&w->rows);
    pn_attend_room_done(&w->room);
    free(w->wide);
    *w = (struct pn_sanm_work){ 0 };
}

/* Room for `rows` rows; what was in it is gone. */
static int reserve(struct pn_sanm_work *w, const struct pn_sanm *m, int rows)
{
    if (rows <= w->cap)
        return 0;
    void *memory = NULL;
    size_t cap = pn_round_up((size_t)rows, 16);
    if (posix_memalign(&memory, 64, cap * 4 * (size_t)m->size * sizeof(float)) != 0)
        return -PN_ENOMEM;
    free(w->wide);
    w->wide = memory;
    w->attended = w->wide + cap * 3 * (size_t)m->size;
    w->cap = (int)cap;
    return 0;
}

static void project(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const size_t ld = (size_t)pn_sanm_ld(c->m), wide = 3 * (size_t)c->m->size;
    const struct pn_sanm_block *b = c->block;
    float *norm = scratch;
    pn_kern()->layer_norm(m, b->qkv.k, c->x + (size_t)from * ld, ld, b->norm1.gamma, b->norm1.beta,
                          PN_SANM_EPS, norm, ld);
    pn_linear_pool(pool, &b->qkv, m, norm, ld, c->w->wide + (size_t)from * wide, wide, PN_STORE,
                   (char *)scratch + norm_size(c->m) + hidden_size(c->m));
}

static void forward(void *ctx, int from, int m, struct pn_pool *pool, void *scratch)
{
    const struct call *c = ctx;
    const size_t ld = (size_t)pn_sanm_ld(c->m), size = (size_t)c->m->size, wide = (size_t)c->m->hidden;
    const struct pn_sanm_block *b = c->block;
    float *x = c->x + (size_t)from * ld, *norm = scratch;
    float *hidden = (float *)(void *)((char *)scratch + norm_size(c->m));
    void *linear = (char *)hidden + hidden_size(c->m);
    pn_linear_pool(pool, &b->out, m, c->w->attended + (size_t)from * size, size, x, ld, PN_ADD, linear);
    pn_kern()->layer_norm(m, c->m->size, x, ld, b->norm2.gamma, b->norm2.beta, PN_SANM_EPS, norm, ld);
    pn_linear_pool(pool, &b->w1, m, norm, ld, hidden, wide, PN_RELU, linear);
    pn_linear_pool(pool, &b->w2, m, hidden, wide, x, ld, PN_ADD, linear);
}

/* ---- a sequence's own ---- */

static struct pn_attend_rows rows_of(const struct call *c, int i)
{
    const struct pn_sanm *m = c->m;
    const struct pn_sanm_seq *s = &c->seq[i];
    const size_t wide = 3 * (size_t)m->size;
    const float *q = c->w->wide + (size_t)c->from[i] * wide;
    return (struct pn_attend_rows){
        .precision = m->precision,
        .heads = m->heads,
        .width = m->size,
        .m = s->rows,
        .q = q,
        .ldq = wide,
        .n = s->rows,
        .k = q + m->size,
        .v = q + 2 * (size_t)m->size,
        .ldkv = wide,
        .cache = s->cache,
        .layer = c->index,
        .limits = s->limits,
        .out = c->w->attended + (size_t)c->from[i] * (size_t)m->size,
        .ldo = (size_t)m->size,
    };
}

static void attend(void *ctx, int i, int thread)
{
    const struct call *c = ctx;
    const struct pn_attend_rows a = rows_of(c, i / c->m->heads);
    pn_attend_head(&a, i % c->m->heads, pn_attend_room(&c->w->room, thread));
}

static void remember(void *ctx, int i, int thread)
{
    (void)thread;
    const struct call *c = ctx;
    const struct pn_sanm *m = c->m;
    const struct pn_sanm_seq *s = &c->seq[i];
    const size_t ld = (size_t)pn_sanm_ld(m), wide = 3 * (size_t)m->size;
    const float *k = c->w->wide + (size_t)c->from[i] * wide + m->size, *v = k + m->size;
    const struct pn_memory memory = { .m = s->rows,
                                      .n = m->size,
                                      .taps = m->kernel,
                                      .left = m->left,
                                      .x = v,
                                      .ldx = wide,
                                      .w = c->block->taps,
                                      .y = c->x + (size_t)c->from[i] * ld,
                                      .ldy = ld };
    if (c->block->qkv.k != m->size) { /* no residual */
        for (int row = 0; row < s->rows; row++)
            memset(memory.y + (size_t)row * ld, 0, (size_t)m->size * sizeof(float));
    }
    pn_kern()->memory(&memory);
    if (s->store > 0)
        pn_kv_store(s->cache, c->index, s->store, k, v, wide);
}

/* Rows in all; `from` gets where each sequence begins, `ret_room` what one head's attention needs at most. */
static int count(const struct pn_sanm *m, const struct pn_sanm_seq *seq, int n_seq, int *from,
                 size_t *ret_room)
{
    int rows = 0;
    *ret_room = 0;
    for (int i = 0; i < n_seq; i++) {
        from[i] = rows;
        rows += seq[i].rows;
        *ret_room =
            PN_MAX(*ret_room, pn_attend_room_size(m->precision, seq[i].rows, seq[i].rows,
                                                  seq[i].cache ? seq[i].cache->have : 0, m->size / m->heads));
    }
    return rows;
}

int pn_sanm_run(const struct pn_sanm *m, struct pn_sanm_work *w, int block, float *x,
                const struct pn_sanm_seq *seq, int n_seq)
{
    size_t room;
    int *from = malloc((size_t)PN_MAX(n_seq, 1) * sizeof(*from));
    int rows = from ? count(m, seq, n_seq, from, &room) : 0;
    int r = from ? reserve(w, m, rows) : -PN_ENOMEM;
    if (r == 0)
        r = pn_attend_room_reserve(&w->room, pn_pool_threads(w->pool), room);
    if (r == 0) {
        struct call c = { m, &m->block[block], w, block, x, seq, from };
        pn_rows_run(&w->rows, rows, project, &c);
        pn_pool_run(w->pool, n_seq * m->heads, attend, &c);
        pn_pool_run(w->pool, n_seq, remember, &c);
        pn_rows_run(&w->rows, rows, forward, &c);
    }
    free(from);
    return r;
}

void pn_sanm_finish(const struct pn_sanm *m, int rows, const float *x, float *out, size_t ldo)
{
    pn_kern()->layer_norm(rows, m->size, x, (size_t)pn_sanm_ld(m), m->after.gamma, m->after.beta, PN_SANM_EPS,
                          out, ldo);
}

/* Angles in f32, as in the reference. */
void pn_sanm_positions(const struct pn_sanm *m, int64_t from, int rows, float *x, size_t ldx)
{
    const int half = m->in / 2;
    const float scale = sqrtf((float)m->size), step = -logf(10000.0f) / (float)(half - 1);
    for (int c = 0; c < half; c++) {
        float inverse = expf((float)c * step);
        for (int i = 0; i < rows; i++) {
            float *row = x + (size_t)i * ldx;
            float angle = (float)(from + i) * inverse;
            row[c] = row[c] * scale + sinf(angle);
            row[half + c] = row[half + c] * scale + cosf(angle);
        }
    }
}
