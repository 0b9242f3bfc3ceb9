/* encoder.c - a window through the encoder, as a list of phases of independent tasks.
 *
 * Rows go in tiles: a task takes its rows from one attention to the next (out-projection, MLP, queries, keys
 * and values of the next layer) while they lie in its core's L2 cache. Only attention needs all rows, so that
 * is where phases end:
 *
 *   front | pack, attend, block (for each layer) | cross, cross pack (for each decoder layer)
 *
 * A row's result depends neither on its tile nor on the thread nor on how steps cut the list. */
#include "asr/whisper/cache.h"
#include "asr/whisper/engine.h"
#include "base/clock.h"
#include "nn/attention.h"

#include <assert.h>
#include <string.h>

enum phase {
    FRONT,      /* tiles: convolutions, positions, queries, keys, values of layer 0 */
    PACK,       /* heads: keys and values as attention reads them */
    ATTEND,     /* heads x blocks of queries */
    BLOCK,      /* tiles: the rest of the layer, then the next one's queries, keys, values, or ln_post */
    CROSS,      /* tiles: keys and values for one decoder layer */
    CROSS_PACK, /* heads of that layer */
    DONE,
    N_PHASES = DONE
};

struct pn_encoder_run {
    struct pn_whisper_engine *engine;
    struct pn_cross *cross; /* NULL once taken */
    int n_ctx, tile_rows;
    enum phase phase;
    int layer, next;           /* `next`: first task of the phase that has not been run */
    int64_t task_us[N_PHASES]; /* time of one task on one thread, as last seen; 0 = not yet */

    float *mel;      /* [1 + 2 n_ctx + 1][n_mels], zero rows at both ends */
    float *x;        /* [n_ctx][S]: the residual stream, in the end the output */
    float *wide;     /* [n_ctx][3S]: queries, keys, values; later [n_ctx][2S] */
    float *attended; /* [n_ctx][S] */
    uint8_t *heads;  /* [n_audio_head][head_size] */
    size_t head_size;
};

/* A task's rows and where it works. */
struct tile {
    int from, m;
    float *norm;   /* [m][S] */
    float *hidden; /* [m][4S], or [2m + 1][S] of the first convolution */
    void *linear;
};

static int n_tiles(const struct pn_encoder_run *r)
{
    return (r->n_ctx + r->tile_rows - 1) / r->tile_rows;
}

/* As large as tiles may be, but every thread gets as many of them. */
static int choose_tile_rows(int n_ctx, int threads)
{
    int n = (n_ctx + PN_TILE_ROWS - 1) / PN_TILE_ROWS;
    n = (n + threads - 1) / threads * threads;
    return (n_ctx + n - 1) / n;
}

static int n_query_blocks(const struct pn_encoder_run *r)
{
    return (r->n_ctx + PN_ATTEND_ROWS - 1) / PN_ATTEND_ROWS;
}

static size_t hidden_size(const struct pn_whisper *w)
{
    return pn_floats(4 * PN_TILE_ROWS, w->dims.n_audio_state);
}

static size_t linear_size(const struct pn_whisper *w)
{
    const struct pn_whisper_encoder_layer *l = &w->encoder[0];
    size_t size = pn_linear_scratch(&l->fc2, PN_TILE_ROWS);
    size = PN_MAX(size, pn_linear_scratch(&l->fc1, PN_TILE_ROWS));
    size = PN_MAX(size, pn_linear_scratch(&l->qkv, PN_TILE_ROWS));
    size = PN_MAX(size, pn_linear_scratch(&w->conv1, 2 * PN_TILE_ROWS + 1));
    return PN_MAX(size, pn_linear_scratch(&w->conv2, PN_TILE_ROWS));
}

size_t pn_encoder_scratch_size(const struct pn_whisper *w)
{
    size_t tile = pn_floats(PN_TILE_ROWS, w->dims.n_audio_state) + hidden_size(w) + linear_size(w);
    size_t attend = pn_attention_scratch(w->precision, PN_ATTEND_ROWS, w->dims.n_audio_ctx, PN_WHISPER_HEAD);
    return pn_round64(PN_MAX(tile, attend));
}

/* Cuts the arrays for `n_ctx` rows from the block; returns its size. `r` NULL: only the size. */
static size_t lay_out(const struct pn_whisper *w, int n_ctx, struct pn_encoder_run *r)
{
    const int s = w->dims.n_audio_state;
    size_t head = pn_attention_packed_size(w->precision, n_ctx, PN_WHISPER_HEAD);
    size_t at = pn_round64(sizeof(*r));
    size_t mel = at, x = mel + pn_floats(2 * n_ctx + 2, w->dims.n_mels);
    size_t wide = x + pn_floats(n_ctx, s), attended = wide + pn_floats(n_ctx, 3 * s);
    size_t heads = attended + pn_floats(n_ctx, s);
    if (r) {
        char *base = (char *)r;
        r->mel = (float *)(void *)(base + mel);
        r->x = (float *)(void *)(base + x);
        r->wide = (float *)(void *)(base + wide);
        r->attended = (float *)(void *)(base + attended);
        r->heads = (uint8_t *)(base + heads);
        r->head_size = head;
    }
    return heads + (size_t)w->dims.n_audio_head * head;
}

size_t pn_encoder_run_size(const struct pn_whisper *w)
{
    return lay_out(w, w->dims.n_audio_ctx, NULL);
}

int pn_encoder_run_new(struct pn_whisper_engine *e, int n_ctx, struct pn_encoder_run **ret)
{
    const struct pn_whisper *w = e->w;
    struct pn_cross *cross = NULL;
    if (n_ctx < 1 || n_ctx > w->dims.n_audio_ctx)
        return -PN_EINVAL;
    struct pn_encoder_run *r = pn_engine_take(e, PN_BLOCK_RUN);
    if (!r)
        return -PN_ENOMEM;
    if (pn_cross_new(e, n_ctx, &cross) < 0) {
        pn_engine_give(e, PN_BLOCK_RUN, r);
        return -PN_ENOMEM;
    }
    *r = (struct pn_encoder_run){ .engine = e, .cross = cross, .n_ctx = n_ctx, .phase = FRONT };
    r->tile_rows = choose_tile_rows(n_ctx, e->threads);
    lay_out(w, n_ctx, r);
    size_t row = (size_t)w->dims.n_mels;
    memset(r->mel, 0, row * sizeof(float));
    memset(r->mel + (size_t)(2 * n_ctx + 1) * row, 0, row * sizeof(float));
    *ret = r;
    return 0;
}

struct pn_encoder_run *pn_encoder_run_free(struct pn_encoder_run *r)
{
    if (r) {
        pn_cross_unref(r->cross);
        pn_engine_give(r->engine, PN_BLOCK_RUN, r);
    }
    return NULL;
}

float *pn_encoder_run_mel(struct pn_encoder_run *r)
{
    return r->mel + r->engine->w->dims.n_mels;
}

const float *pn_encoder_run_output(const struct pn_encoder_run *r)
{
    return r->x;
}

struct pn_cross *pn_encoder_run_take_cross(struct pn_encoder_run *r)
{
    struct pn_cross *c = r->cross;
    assert(c && r->phase == DONE);
    r->cross = NULL;
    return c;
}

static struct tile tile_of(const struct pn_encoder_run *r, int i, int thread)
{
    const struct pn_whisper *w = r->engine->w;
    char *at = pn_engine_scratch(r->engine, thread);
    struct tile t = { .from = i * r->tile_rows };
    t.m = PN_MIN(r->tile_rows, r->n_ctx - t.from);
    t.norm = (float *)(void *)at;
    at += pn_floats(PN_TILE_ROWS, w->dims.n_audio_state);
    t.hidden = (float *)(void *)at;
    t.linear = at + hidden_size(w);
    return t;
}

static float *row(float *array, int i, int width)
{
    return array + (size_t)i * (size_t)width;
}

/* The tile's attn_ln and its queries, keys and values for `layer`. */
static void project(struct pn_encoder_run *r, const struct tile *t, int layer)
{
    const struct pn_whisper_encoder_layer *l = &r->engine->w->encoder[layer];
    const int s = r->engine->w->dims.n_audio_state;
    pn_kern()->layer_norm(t->m, s, row(r->x, t->from, s), (size_t)s, l->attn_ln.gamma, l->attn_ln.beta,
                          PN_WHISPER_EPS, t->norm, (size_t)s);
    pn_linear(&l->qkv, t->m, t->norm, (size_t)s, row(r->wide, t->from, 3 * s), (size_t)(3 * s), PN_STORE,
              t->linear);
}

/* Convolution over rows that overlap: output t of the second reads outputs 2t - 1 .. 2t + 1 of the first;
 * output -1 is the zero padding of the second, not a convolution of anything. */
static void front_tile(struct pn_encoder_run *r, const struct tile *t)
{
    const struct pn_whisper *w = r->engine->w;
    const int s = w->dims.n_audio_state, mels = w->dims.n_mels;
    int first = 2 * t->from - 1, skip = first < 0;
    if (skip)
        memset(t->hidden, 0, (size_t)s * sizeof(float));
    pn_linear(&w->conv1, 2 * t->m + 1 - skip, row(r->mel, first + skip, mels), (size_t)mels,
              row(t->hidden, skip, s), (size_t)s, PN_GELU, t->linear);
    float *x = row(r->x, t->from, s);
    pn_linear(&w->conv2, t->m, t->hidden, (size_t)(2 * s), x, (size_t)s, PN_GELU, t->linear);
    pn_kern()->add(x, w->audio_positions + (size_t)t->from * (size_t)s, (size_t)t->m * (size_t)s);
    project(r, t, 0);
}

static void block_tile(struct pn_encoder_run *r, const struct tile *t)
{
    const struct pn_whisper *w = r->engine->w;
    const struct pn_whisper_encoder_layer *l = &w->encoder[r->layer];
    const size_t s = (size_t)w->dims.n_audio_state;
    float *x = r->x + (size_t)t->from * s;
    pn_linear(&l->out, t->m, r->attended + (size_t)t->from * s, s, x, s, PN_ADD, t->linear);
    pn_kern()->layer_norm(t->m, (int)s, x, s, l->mlp_ln.gamma, l->mlp_ln.beta, PN_WHISPER_EPS, t->norm, s);
    pn_linear(&l->fc1, t->m, t->norm, s, t->hidden, 4 * s, PN_GELU, t->linear);
    pn_linear(&l->fc2, t->m, t->hidden, 4 * s, x, s, PN_ADD, t->linear);
    if (r->layer + 1 < w->dims.n_audio_layer)
        project(r, t, r->layer + 1);
    else
        pn_kern()->layer_norm(t->m, (int)s, x, s, w->ln_post.gamma, w->ln_post.beta, PN_WHISPER_EPS, x, s);
}

static void pack_head(struct pn_encoder_run *r, int head)
{
    const struct pn_whisper *w = r->engine->w;
    const size_t s = (size_t)w->dims.n_audio_state;
    const float *k = r->wide + s + (size_t)head * PN_WHISPER_HEAD;
    pn_attention_pack(w->precision, r->n_ctx, PN_WHISPER_HEAD, k, 3 * s, k + s, 3 * s,
                      r->heads + (size_t)head * r->head_size);
}

static void attend(struct pn_encoder_run *r, int i, int thread)
{
    const struct pn_whisper *w = r->engine->w;
    const size_t s = (size_t)w->dims.n_audio_state;
    int head = i / n_query_blocks(r), from = i % n_query_blocks(r) * PN_ATTEND_ROWS;
    size_t column = (size_t)head * PN_WHISPER_HEAD;
    const struct pn_attend a = {
        .m = PN_MIN(PN_ATTEND_ROWS, r->n_ctx - from),
        .n = r->n_ctx,
        .d = PN_WHISPER_HEAD,
        .q = r->wide + (size_t)from * 3 * s + column,
        .ldq = 3 * s,
        .packed = r->heads + (size_t)head * r->head_size,
        .out = r->attended + (size_t)from * s + column,
        .ldo = s,
        .scratch = pn_engine_scratch(r->engine, thread),
    };
    pn_attention(w->precision, &a);
}

/* The decoder reads these keys and values at every token, and the encoder's output has channels that are far
 * larger than the others: a byte for it costs more than anywhere else, so this product has two. */
static void cross_tile(struct pn_encoder_run *r, const struct tile *t)
{
    const struct pn_whisper *w = r->engine->w;
    const size_t s = (size_t)w->dims.n_audio_state;
    const float *x = r->x + (size_t)t->from * s;
    float *kv = r->wide + (size_t)t->from * 2 * s;
    struct pn_linear l = w->decoder[r->layer].cross_kv;
    pn_linear(&l, t->m, x, s, kv, 2 * s, PN_STORE, t->linear);
    if (l.precision != PN_INT8)
        return;
    pn_linear_lost(&l, t->m, x, s, t->linear, t->norm, s);
    l.bias = r->engine->no_bias;
    pn_linear(&l, t->m, t->norm, s, kv, 2 * s, PN_ADD, t->linear);
}

static void pack_cross_head(struct pn_encoder_run *r, int head)
{
    const struct pn_whisper *w = r->engine->w;
    const size_t s = (size_t)w->dims.n_audio_state;
    const float *k = r->wide + (size_t)head * PN_WHISPER_HEAD;
    pn_cross_pack(w->precision, r->n_ctx, PN_WHISPER_HEAD, k, 2 * s, k + s, 2 * s,
                  pn_cross_head(r->cross, r->layer, head));
}

static int phase_tasks(const struct pn_encoder_run *r)
{
    const struct pn_whisper_dims *d = &r->engine->w->dims;
    switch (r->phase) {
    case FRONT:
    case BLOCK:
    case CROSS:
        return n_tiles(r);
    case PACK:
        return d->n_audio_head;
    case ATTEND:
        return d->n_audio_head * n_query_blocks(r);
    case CROSS_PACK:
        return d->n_text_head;
    case DONE:
        return 0;
    }
    PN_UNREACHABLE();
}

static void run_task(void *ctx, int i, int thread)
{
    struct pn_encoder_run *r = ctx;
    struct tile t;
    i += r->next;
    switch (r->phase) {
    case FRONT:
        t = tile_of(r, i, thread);
        front_tile(r, &t);
        return;
    case PACK:
        pack_head(r, i);
        return;
    case ATTEND:
        attend(r, i, thread);
        return;
    case BLOCK:
        t = tile_of(r, i, thread);
        block_tile(r, &t);
        return;
    case CROSS:
        t = tile_of(r, i, thread);
        cross_tile(r, &t);
        return;
    case CROSS_PACK:
        pack_cross_head(r, i);
        return;
    case DONE:
        return;
    }
}

static void next_phase(struct pn_encoder_run *r)
{
    const struct pn_whisper_dims *d = &r->engine->w->dims;
    r->next = 0;
    switch (r->phase) {
    case FRONT:
    case PACK:
    case ATTEND:
    case CROSS:
        r->phase++;
        return;
    case BLOCK:
        r->phase = ++r->layer < d->n_audio_layer ? PACK : CROSS;
        if (r->phase == CROSS)
            r->layer = 0;
        return;
    case CROSS_PACK:
        r->phase = ++r->layer < d->n_text_layer ? CROSS : DONE;
        return;
    case DONE:
        return;
    }
}

/* How many tasks fit into `left_us`; 0 when not even one a thread does. */
static int affordable(const struct pn_encoder_run *r, int64_t left_us)
{
    int64_t rounds = r->task_us[r->phase] ? left_us / r->task_us[r->phase] : left_us > 0;
    int64_t tasks = PN_MIN(rounds, (int64_t)phase_tasks(r)) * r->engine->threads;
    return (int)PN_MIN(tasks, (int64_t)(phase_tasks(r) - r->next));
}

int pn_encoder_run_step(struct pn_encoder_run *r, int64_t budget_us)
{
    const int threads = r->engine->threads;
    const int64_t start = pn_now_us();
    int64_t now = start;
    while (r->phase != DONE) {
        int n = affordable(r, budget_us - (now - start));
        if (n == 0 && now != start)
            break;
        n = PN_MAX(n, PN_MIN(threads, phase_tasks(r) - r->next));
        pn_pool_run(r->engine->pool, n, run_task, r);
        int64_t end = pn_now_us(), rounds = (n + threads - 1) / threads;
        r->task_us[r->phase] = PN_MAX((end - now) / rounds, 1);
        now = PN_MAX(end, start + 1);
        r->next += n;
        if (r->next == phase_tasks(r))
            next_phase(r);
    }
    return r->phase == DONE;
}
