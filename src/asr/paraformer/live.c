/* live.c - Paraformer over audio as it comes, chunk by chunk (spec paraformer 4).
 *
 * A chunk is `step` rows of 60 ms. It is computed together with the `left + ahead` rows before it, which were
 * computed before: their successors are known now. A step of the scheduler takes some layers of the chunks of
 * all streams that are as far. What a stream remembers while somebody talks (keys, values, history) comes
 * with the first chunk and goes with the last. Only the scheduler's thread touches what is not behind the
 * stream's lock. */
#include "asr/paraformer/cif.h"
#include "asr/paraformer/stream.h"
#include "audio/decoder.h"
#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

enum {
    INBOX = 5 * PN_SAMPLE_RATE,
    ROW = 960,            /* samples */
    TAIL = ROW,           /* a last piece that is shorter is not heard (4.2) */
    MAX_STEP = 100,       /* rows of each part of a chunk */
    MAX_LOOK_BACK = 1024, /* rows: a minute stands for "all" */
    MS_A_ROW = 60,
    LAG_MS = 90,      /* a token begins this long before the row in which it fires (3.7) */
    LONGEST_MS = 720, /* and lasts no longer than this */
    PHASE_ENCODE = 1, /* + block; then come the blocks of the decoder */
};

enum stage { HEARING, ENCODING, DECODING, ENDED };

struct live_stream {
    struct pn_pf_stream s;
    struct pn_chunking chunking;
    enum stage stage;
    bool last; /* the chunk that is computed */

    /* From the first chunk to the last. */
    struct pn_fbank_stream *fbank;
    float *context; /* [left + ahead][in] rows before the chunk, with their positions */
    int64_t rows;   /* made so far */
    struct pn_kv_cache keys, memory;
    float *history;
    struct pn_cif cif;
};

static struct live_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(pn_pf_stream_of(s), struct live_stream, s);
}

static const struct pn_paraformer *model_of(const struct live_stream *s)
{
    return s->s.recognizer->model;
}

static int context_rows(const struct live_stream *s)
{
    return s->chunking.left + s->chunking.ahead;
}

static size_t chunk_samples(const struct live_stream *s)
{
    return (size_t)s->chunking.step * ROW;
}

/* ---- open and close ---- */

static void forget(struct live_stream *s)
{
    s->fbank = pn_fbank_stream_free(s->fbank);
    pn_kv_cache_done(&s->keys);
    pn_kv_cache_done(&s->memory);
    free(s->context);
    free(s->history);
    free(s->cif.sum);
    s->context = s->history = NULL;
    s->cif = (struct pn_cif){ 0 };
    pn_pf_item_done(&s->s.item);
}

static void live_close(struct pn_stream *st)
{
    struct live_stream *s = stream_of(st);
    forget(s);
    pn_pf_stream_done(&s->s);
    free(s);
}

static const struct pn_chunking USUAL_CHUNKING = { 0, 10, 5, 4, 1 };

static int check_chunking(const struct pn_chunking *c, struct pn_err *err)
{
    if (c->left < 0 || c->left > MAX_STEP || c->step < 1 || c->step > MAX_STEP || c->ahead < 0 ||
        c->ahead > MAX_STEP)
        return pn_fail(err, PN_EINVAL, "chunk_size: [%d, %d, %d]: 0 to %d rows, and at least 1 in the middle",
                       c->left, c->step, c->ahead, MAX_STEP);
    if (c->encoder_look_back < -1 || c->decoder_look_back < -1)
        return pn_fail(err, PN_EINVAL, "chunk_look_back: %d, %d: a number of chunks, or -1",
                       c->encoder_look_back, c->decoder_look_back);
    return 0;
}

static int live_check(const struct pn_recognizer *rec, const struct pn_recognition *want, struct pn_err *err)
{
    int r = pn_pf_check(rec, want, err);
    return r < 0 || !want->chunking ? r : check_chunking(want->chunking, err);
}

static int live_open(struct pn_recognizer *rec, const struct pn_recognition *want, struct pn_stream **ret,
                     struct pn_err *err)
{
    struct pn_pf_recognizer *r = pn_pf_recognizer_of(rec);
    int e = live_check(rec, want, err);
    if (e < 0)
        return e;
    struct live_stream *s = calloc(1, sizeof(*s));
    e = s ? pn_pf_stream_init(&s->s, r, want, INBOX) : -PN_ENOMEM;
    if (e < 0) {
        if (s)
            live_close(&s->s.base);
        return pn_fail(err, (enum pn_error) - e, "cannot open a stream of model '%s': %s", rec->name,
                       pn_error_name(e));
    }
    s->chunking = want->chunking ? *want->chunking : USUAL_CHUNKING;
    *ret = &s->s.base;
    return 0;
}

/* ---- what comes next ---- */

/* A whole chunk is as old as its last sample; a tail, however short, as the end of the audio. */
static int64_t chunk_due_us(struct live_stream *s, size_t n)
{
    int64_t due_us = 0;
    if (n >= chunk_samples(s))
        due_us = pn_stream_due_us(&s->s.base, s->rows * ROW + (int64_t)chunk_samples(s));
    return due_us ? due_us : pn_now_us();
}

static bool chunk_is_there(struct live_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->s.inbox, &finished);
    if (n < chunk_samples(s) && !finished)
        return false;
    if (s->s.ready_us == 0)
        s->s.ready_us = chunk_due_us(s, n);
    return true;
}

static struct pn_work live_next(const struct pn_stream *st)
{
    struct live_stream *s = stream_of(st);
    int phase = PHASE_ENCODE + s->s.block;
    if (s->s.error < 0 || s->stage == ENDED || (s->stage == HEARING && !chunk_is_there(s)))
        return (struct pn_work){ 0 };
    if (s->stage == DECODING)
        phase += model_of(s)->encoder.n_blocks;
    return (struct pn_work){ .phase = phase,
                             .rows = context_rows(s) + s->chunking.step,
                             .cost_us = PN_PF_SLICE_US,
                             .deadline_us = s->s.ready_us };
}

/* ---- hearing: from samples to the rows of a chunk ---- */

static int keep_rows(int chunks, int step)
{
    int64_t rows = chunks < 0 ? MAX_LOOK_BACK : (int64_t)chunks * step;
    return (int)PN_MIN(rows, (int64_t)MAX_LOOK_BACK);
}

static int make_caches(struct live_stream *s)
{
    const struct pn_paraformer *p = model_of(s);
    const struct pn_chunking *c = &s->chunking;
    const struct pn_pf_stack *d = &p->dims.decoder;
    bool half = p->precision == PN_INT8;
    int back = keep_rows(c->encoder_look_back, c->step), r = 0;
    if (back > 0)
        r = pn_kv_cache_init(&s->keys, p->encoder.n_blocks, p->encoder.size, back, c->left + c->step, half);
    back = c->decoder_look_back > 0 ? keep_rows(c->decoder_look_back, c->step) : 0;
    if (r == 0 && back > 0)
        r = pn_kv_cache_init(&s->memory, d->n_cross, d->size, back, back, half);
    return r;
}

static int make_arrays(struct live_stream *s)
{
    const struct pn_paraformer *p = model_of(s);
    const struct pn_pf_stack *d = &p->dims.decoder;
    const size_t size = (size_t)p->encoder.size;
    size_t rows = (size_t)(context_rows(s) + s->chunking.step + 1); /* and tokens */
    s->context = calloc((size_t)context_rows(s) * (size_t)p->encoder.in + 1, sizeof(float));
    s->history =
        calloc((size_t)(d->n_cross + d->n_plain) * (size_t)(d->kernel - 1) * size + 1, sizeof(float));
    s->cif = (struct pn_cif){ .sum = calloc(size, sizeof(float)),
                              .size = (int)size,
                              .threshold = p->dims.threshold };
    s->s.item = (struct pn_pf_item){ .x = malloc(rows * (size_t)pn_sanm_ld(&p->encoder) * sizeof(float)),
                                     .alpha = malloc(rows * sizeof(float)),
                                     .y = malloc(rows * size * sizeof(float)),
                                     .ids = malloc(rows * sizeof(int32_t)),
                                     .logprob = malloc(rows * sizeof(float)),
                                     .keys = s->keys.rows ? &s->keys : NULL,
                                     .memory = s->memory.rows ? &s->memory : NULL,
                                     .history = s->history };
    bool made = s->context && s->history && s->cif.sum && s->s.item.x && s->s.item.alpha && s->s.item.y &&
                s->s.item.ids && s->s.item.logprob;
    return made ? 0 : -PN_ENOMEM;
}

static int begin(struct live_stream *s)
{
    int r = pn_fbank_stream_new(model_of(s)->fbank, &s->fbank);
    if (r == 0)
        r = make_caches(s);
    if (r == 0)
        r = make_arrays(s);
    s->rows = 0;
    return r;
}

/* The next chunk's samples into the front-end, ROW by ROW; returns how many there were. */
static int take_samples(struct live_stream *s, size_t *ret_n)
{
    float pcm[ROW];
    bool end = false;
    size_t left = chunk_samples(s), n = 0;
    int r = 0;
    do {
        n = pn_pcm_inbox_take(&s->s.inbox, pcm, PN_MIN(left, (size_t)ROW), &end);
        left -= n;
        r = pn_fbank_stream_feed(s->fbank, pcm, n);
    } while (r == 0 && left > 0 && !end && n > 0);
    *ret_n = chunk_samples(s) - left;
    s->last = *ret_n < chunk_samples(s);
    return r;
}

/* The rows before the chunk, then its own (none in a tail, 4.3). */
static void lay_out(struct live_stream *s, int rows)
{
    const struct pn_sanm *m = &model_of(s)->encoder;
    const size_t ld = (size_t)pn_sanm_ld(m), in = (size_t)m->in;
    const int context = context_rows(s);
    for (int i = 0; i < context; i++)
        memcpy(s->s.item.x + (size_t)i * ld, s->context + (size_t)i * in, in * sizeof(float));
    float *new = s->s.item.x + (size_t)context *ld;
    for (int i = 0; i < rows; i++)
        pn_fbank_stream_take(s->fbank, 1, new + (size_t)i *ld);
    pn_sanm_positions(m, s->rows + 1, rows, new, ld);
    s->rows += rows;
    s->s.item.rows = context + rows;
    s->s.item.store = s->s.item.keys && !s->last ? s->chunking.left + s->chunking.step : 0;
    for (int i = 0; i < context; i++)
        memcpy(s->context + (size_t)i * in, s->s.item.x + (size_t)(rows + i) * ld, in * sizeof(float));
}

static void end(struct live_stream *s, int error)
{
    s->stage = ENDED;
    forget(s);
    pn_pcm_inbox_release(&s->s.inbox);
    pthread_mutex_lock(&s->s.mu);
    if (s->s.error == 0)
        s->s.error = error;
    s->s.done = true;
    s->s.position = s->s.duration;
    pthread_mutex_unlock(&s->s.mu);
}

static void hear(void *ctx, int i, int thread)
{
    (void)thread;
    struct live_stream *s = stream_of(((struct pn_stream *const *)ctx)[i]);
    size_t n = 0;
    if (s->stage != HEARING)
        return;
    int r = s->fbank ? 0 : begin(s);
    if (r == 0)
        r = take_samples(s, &n);
    if (r < 0) {
        end(s, r);
        return;
    }
    if (s->last && n >= TAIL)
        pn_fbank_stream_end(s->fbank);
    size_t ready = s->last && n < TAIL ? 0 : pn_fbank_stream_ready(s->fbank);
    lay_out(s, (int)PN_MIN(ready, (size_t)s->chunking.step));
    pthread_mutex_lock(&s->s.mu);
    s->s.duration += (double)n / PN_SAMPLE_RATE;
    pthread_mutex_unlock(&s->s.mu);
    s->stage = s->s.item.rows > 0 ? ENCODING : ENDED;
    if (s->stage == ENDED)
        end(s, 0);
}

/* ---- computing ---- */

static size_t choose(struct pn_pf_recognizer *r, struct pn_stream *const *batch, size_t n)
{
    int rows = 0;
    size_t taken = 0;
    for (size_t i = 0; i < n && rows <= r->max_rows; i++) {
        struct live_stream *s = stream_of(batch[i]);
        if (s->stage == ENDED)
            continue;
        r->some[taken] = batch[i];
        r->items[taken++] = &s->s.item;
        rows += s->s.item.rows;
    }
    return taken;
}

/* The chunk is done: the next one may come. */
static void end_chunk(struct live_stream *s)
{
    s->stage = HEARING;
    s->s.block = 0;
    s->s.ready_us = 0;
    pthread_mutex_lock(&s->s.mu);
    s->s.position = (double)(s->rows * MS_A_ROW) / 1000;
    pthread_mutex_unlock(&s->s.mu);
    if (s->last)
        end(s, 0);
}

/* Weights of rows that another chunk counts are none here (4.4). */
static void mask(struct live_stream *s)
{
    int to = s->last ? s->s.item.rows : s->chunking.left + s->chunking.step;
    for (int i = 0; i < s->s.item.rows; i++)
        if (i < s->chunking.left || i >= to)
            s->s.item.alpha[i] = 0;
}

/* A token that fired in row `row` of the stream. */
static void note(struct pn_heard *h, int64_t row, struct pn_heard_token *t)
{
    int64_t begin = PN_MAX(row * MS_A_ROW - LAG_MS, (int64_t)0);
    if (h->n > 0)
        h->token[h->n - 1].at.end = PN_MIN(h->token[h->n - 1].at.end, begin);
    t->at = (struct pn_stamp){ begin, begin + LONGEST_MS };
}

static void fire(void *ctx, int i, int thread)
{
    (void)thread;
    struct live_stream *s = stream_of(((struct pn_stream *const *)ctx)[i]);
    struct pn_pf_item *item = &s->s.item;
    const size_t ld = (size_t)pn_sanm_ld(&model_of(s)->encoder), size = (size_t)s->cif.size;
    mask(s);
    item->tokens = 0;
    for (int row = 0; row < item->rows; row++) {
        int fired = pn_cif_add(&s->cif, 1, &item->alpha[row], item->x + (size_t)row * ld, ld,
                               item->y + (size_t)item->tokens * size, NULL);
        if (fired)
            item->ids[item->tokens++] = row; /* until the decoder says which */
    }
    if (s->last &&
        pn_cif_add_zero(&s->cif, (float)model_of(s)->dims.tail, item->y + (size_t)item->tokens * size, NULL))
        item->ids[item->tokens++] = item->rows;
    s->s.block = 0;
    s->stage = DECODING;
    if (item->tokens == 0)
        end_chunk(s);
}

static void end_all(struct pn_stream *const *batch, size_t n, int error)
{
    for (size_t i = 0; i < n; i++)
        end(stream_of(batch[i]), error);
}

static void step_encode(struct pn_pf_recognizer *r, struct pn_stream *const *batch, size_t n_batch)
{
    pn_pool_run(r->pool, (int)n_batch, hear, (void *)(uintptr_t)batch);
    size_t n = choose(r, batch, n_batch);
    if (n == 0)
        return;
    int block = pn_pf_stream_of(r->some[0])->block;
    int e = pn_pf_encode(r->engine, r->items, (int)n, &block, PN_PF_SLICE_US);
    pn_pf_set_blocks(r->some, n, block);
    if (e == 0 && block == r->model->encoder.n_blocks) {
        e = pn_pf_predict(r->engine, r->items, (int)n);
        if (e == 0)
            pn_pool_run(r->pool, (int)n, fire, r->some);
    }
    if (e < 0)
        end_all(r->some, n, e);
}

/* `row[i]`: in which row of the chunk token i fired. */
static int tell(struct live_stream *s, const int32_t *row)
{
    int64_t first = s->rows - s->s.item.rows;
    int r = 0;
    pthread_mutex_lock(&s->s.mu);
    for (int i = 0; i < s->s.item.tokens && r == 0; i++) {
        struct pn_heard_token t = { .id = s->s.item.ids[i], .logprob = s->s.item.logprob[i] };
        note(&s->s.heard, first + row[i], &t);
        r = pn_heard_add(&s->s.heard, &t);
    }
    pthread_mutex_unlock(&s->s.mu);
    return r;
}

static int output(struct pn_pf_recognizer *r, size_t n)
{
    size_t tokens = 0, at = 0;
    for (size_t i = 0; i < n; i++)
        tokens += (size_t)r->items[i]->tokens;
    int32_t *row = malloc(tokens * sizeof(*row));
    if (!row)
        return -PN_ENOMEM;
    for (size_t i = 0; i < n; at += (size_t)r->items[i++]->tokens)
        memcpy(row + at, r->items[i]->ids, (size_t)r->items[i]->tokens * sizeof(*row));
    int e = pn_pf_output(r->engine, r->items, (int)n);
    at = 0;
    for (size_t i = 0; i < n && e == 0; at += (size_t)r->items[i++]->tokens)
        e = tell(stream_of(r->some[i]), row + at);
    free(row);
    return e;
}

static void step_decode(struct pn_pf_recognizer *r, struct pn_stream *const *batch, size_t n_batch)
{
    size_t n = choose(r, batch, n_batch);
    int block = pn_pf_stream_of(r->some[0])->block;
    int e = pn_pf_decode(r->engine, r->items, (int)n, &block, PN_PF_SLICE_US);
    pn_pf_set_blocks(r->some, n, block);
    bool last = block == r->model->decoder.dims.n_cross + r->model->decoder.dims.n_plain;
    if (e == 0 && last)
        e = output(r, n);
    if (e < 0)
        end_all(r->some, n, e);
    for (size_t i = 0; i < n && e == 0 && last; i++)
        end_chunk(stream_of(r->some[i]));
}

static void live_step(struct pn_recognizer *rec, int phase, struct pn_stream *const *batch, size_t n)
{
    struct pn_pf_recognizer *r = pn_pf_recognizer_of(rec);
    if (pn_pf_reserve(r, n) < 0)
        end_all(batch, n, -PN_ENOMEM);
    else if (phase < PHASE_ENCODE + r->model->encoder.n_blocks)
        step_encode(r, batch, n);
    else
        step_decode(r, batch, n);
}

const struct pn_recognizer_ops pn_pf_live_ops = {
    .check = live_check,
    .open = live_open,
    .feed = pn_pf_feed,
    .finish = pn_pf_finish,
    .next = live_next,
    .step = live_step,
    .status = pn_pf_status,
    .result = pn_pf_result,
    .position = pn_pf_position,
    .close = live_close,
    .free = pn_pf_recognizer_free,
};
