/* offline.c - Paraformer over whole utterances (spec paraformer 3).
 *
 * Samples become rows as they arrive. When the audio has ended: encoder, predictor, decoder, a few layers a
 * step, for all utterances that are as far, their rows below each other without padding. Only the scheduler's
 * thread touches what is not behind the stream's lock. */
#include "asr/paraformer/cif.h"
#include "asr/paraformer/head.h"
#include "asr/paraformer/seaco.h"
#include "asr/paraformer/stamps.h"
#include "asr/paraformer/stream.h"
#include "audio/decoder.h"
#include "base/clock.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    INBOX = 45 * PN_SAMPLE_RATE,
    PIECE = 5 * PN_SAMPLE_RATE, /* worth a step */
    MAX_ROWS = 2000,            /* two minutes */
    PHASE_HEAR = 1,
    PHASE_ENCODE, /* + block; then come the blocks of the decoder, then the time-stamp head */
};

enum stage { HEARING, ENCODING, DECODING, TIMING, ENDED };

struct offline_stream {
    struct pn_pf_stream s;
    struct pn_fbank_stream *fbank;
    float *pcm; /* PIECE, while audio comes */
    int cap;    /* rows that item.x holds */
    enum stage stage;
    float *peaks;
    struct pn_pf_hot *hot; /* the request's hot words, or NULL */
};

static struct offline_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(pn_pf_stream_of(s), struct offline_stream, s);
}

static const struct pn_paraformer *model_of(const struct offline_stream *s)
{
    return s->s.recognizer->model;
}

/* ---- open and close ---- */

static void free_work(struct offline_stream *s)
{
    free(s->peaks);
    free(s->pcm);
    pn_pf_item_done(&s->s.item);
    s->peaks = s->pcm = NULL;
    s->fbank = pn_fbank_stream_free(s->fbank);
    s->hot = pn_pf_hot_free(s->hot);
}

static void offline_close(struct pn_stream *st)
{
    struct offline_stream *s = stream_of(st);
    free_work(s);
    pn_pf_stream_done(&s->s);
    free(s);
}

static int offline_open(struct pn_recognizer *rec, const struct pn_recognition *want, struct pn_stream **ret,
                        struct pn_err *err)
{
    struct pn_pf_recognizer *r = pn_pf_recognizer_of(rec);
    int e = pn_pf_check(rec, want, err);
    if (e < 0)
        return e;
    struct offline_stream *s = calloc(1, sizeof(*s));
    e = s ? pn_pf_stream_init(&s->s, r, want, INBOX) : -PN_ENOMEM;
    if (e == 0)
        e = pn_fbank_stream_new(r->model->fbank, &s->fbank);
    if (e == 0 && want->hotwords && want->hotwords[0])
        e = pn_pf_hot_new(r->model, pn_str(want->hotwords), &s->hot, err);
    if (e == 0 && !(s->pcm = malloc(PIECE * sizeof(float))))
        e = -PN_ENOMEM;
    if (e < 0) {
        if (s)
            offline_close(&s->s.base);
        return pn_fail(err, (enum pn_error) - e, "cannot open a stream of model '%s': %s", rec->name,
                       pn_error_name(e));
    }
    *ret = &s->s.base;
    return 0;
}

/* ---- what comes next ---- */

static struct pn_work hearing_work(struct offline_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->s.inbox, &finished);
    if (n < PIECE && !finished)
        return (struct pn_work){ 0 };
    if (s->s.ready_us == 0)
        s->s.ready_us = pn_now_us();
    return (struct pn_work){ .phase = PHASE_HEAR, .rows = 1, .cost_us = 1000, .deadline_us = s->s.ready_us };
}

static int phase_timing(const struct pn_paraformer *p)
{
    return PHASE_ENCODE + p->encoder.n_blocks + p->dims.decoder.n_cross + p->dims.decoder.n_plain;
}

static struct pn_work offline_next(const struct pn_stream *st)
{
    struct offline_stream *s = stream_of(st);
    int phase = PHASE_ENCODE + s->s.block;
    if (s->s.error < 0)
        return (struct pn_work){ 0 };
    switch (s->stage) {
    case HEARING:
        return hearing_work(s);
    case ENCODING:
        break;
    case DECODING:
        phase += model_of(s)->encoder.n_blocks;
        break;
    case TIMING:
        phase = phase_timing(model_of(s));
        break;
    case ENDED:
        return (struct pn_work){ 0 };
    }
    return (struct pn_work){
        .phase = phase, .rows = s->s.item.rows, .cost_us = PN_PF_SLICE_US, .deadline_us = s->s.ready_us
    };
}

/* ---- hearing ---- */

/* `rows` more fit behind the rows that are there. */
static int grow(struct offline_stream *s, int rows)
{
    int need = s->s.item.rows + rows;
    if (need > MAX_ROWS)
        return -PN_ELIMIT;
    if (need <= s->cap)
        return 0;
    int cap = PN_MAX(need, PN_MIN(2 * s->cap, (int)MAX_ROWS));
    size_t ld = (size_t)pn_sanm_ld(&model_of(s)->encoder);
    float *x = reallocarray(s->s.item.x, (size_t)cap * ld, sizeof(*x));
    if (!x)
        return -PN_ENOMEM;
    s->s.item.x = x;
    s->cap = cap;
    return 0;
}

static int take_rows(struct offline_stream *s)
{
    const struct pn_sanm *m = &model_of(s)->encoder;
    int rows = (int)PN_MIN(pn_fbank_stream_ready(s->fbank), (size_t)MAX_ROWS + 1);
    int r = grow(s, rows);
    size_t ld = (size_t)pn_sanm_ld(m);
    for (int i = 0; i < rows && r == 0; i++) {
        float *x = s->s.item.x + (size_t)s->s.item.rows * ld;
        pn_fbank_stream_take(s->fbank, 1, x);
        pn_sanm_positions(m, 1 + s->s.item.rows, 1, x, ld);
        s->s.item.rows++;
    }
    return r;
}

static void end(struct offline_stream *s, int error)
{
    s->stage = ENDED;
    pthread_mutex_lock(&s->s.mu);
    s->s.error = error;
    s->s.done = true;
    s->s.position = s->s.duration;
    pthread_mutex_unlock(&s->s.mu);
    free_work(s);
    pn_pcm_inbox_release(&s->s.inbox);
}

static void hear(void *ctx, int i, int thread)
{
    (void)thread;
    struct offline_stream *s = stream_of(((struct pn_stream *const *)ctx)[i]);
    bool last = false;
    size_t n = pn_pcm_inbox_take(&s->s.inbox, s->pcm, PIECE, &last);
    int r = pn_fbank_stream_feed(s->fbank, s->pcm, n);
    if (r == 0 && last)
        pn_fbank_stream_end(s->fbank);
    if (r == 0)
        r = take_rows(s);
    pthread_mutex_lock(&s->s.mu);
    s->s.duration += (double)n / PN_SAMPLE_RATE;
    pthread_mutex_unlock(&s->s.mu);
    s->s.ready_us = 0;
    if (r < 0 || (last && s->s.item.rows == 0)) {
        end(s, r);
    } else if (last) {
        s->stage = ENCODING;
        s->s.ready_us = pn_now_us();
    }
}

/* ---- computing ---- */

/* As many of the batch, from the most urgent on, as make a step of bearable length; at least one. */
static size_t choose(struct pn_pf_recognizer *r, struct pn_stream *const *batch, size_t n)
{
    int rows = 0;
    size_t taken = 0;
    if (pn_pf_reserve(r, n) < 0)
        return 0;
    while (taken < n && (taken == 0 || rows + pn_pf_stream_of(batch[taken])->item.rows <= r->max_rows)) {
        r->some[taken] = batch[taken];
        r->items[taken] = &pn_pf_stream_of(batch[taken])->item;
        rows += r->items[taken++]->rows;
    }
    return taken;
}

static void end_all(struct pn_stream *const *batch, size_t n, int error)
{
    for (size_t i = 0; i < n; i++)
        end(stream_of(batch[i]), error);
}

/* Tokens that the weights make, at most. */
static int most_tokens(const struct pn_pf_dims *d, const struct pn_pf_item *item)
{
    double sum = d->tail;
    for (int i = 0; i < item->rows; i++)
        sum += item->alpha[i] > 0 ? (double)item->alpha[i] : 0;
    return (int)fmin(sum / d->threshold + 1, item->rows + 1);
}

static int fire_tokens(struct offline_stream *s)
{
    const struct pn_paraformer *p = model_of(s);
    struct pn_pf_item *item = &s->s.item;
    const size_t size = (size_t)p->encoder.size, rows = (size_t)item->rows;
    int most = most_tokens(&p->dims, item);
    struct pn_cif cif = { .sum = calloc(size, sizeof(float)),
                          .size = (int)size,
                          .threshold = p->dims.threshold };
    item->y = malloc((size_t)most * size * sizeof(float));
    item->ids = malloc((size_t)most * sizeof(*item->ids));
    item->logprob = malloc((size_t)most * sizeof(*item->logprob));
    s->peaks = malloc((rows + 1) * sizeof(*s->peaks));
    int r = cif.sum && item->y && item->ids && item->logprob && s->peaks ? 0 : -PN_ENOMEM;
    if (r == 0) {
        size_t ld = (size_t)pn_sanm_ld(&p->encoder);
        int n = pn_cif_add(&cif, item->rows, item->alpha, item->x, ld, item->y, s->peaks);
        item->alpha[rows] = (float)p->dims.tail;
        n += pn_cif_add_zero(&cif, item->alpha[rows], item->y + (size_t)n * size, &s->peaks[rows]);
        item->tokens = n;
    }
    if (r == 0 && s->hot && item->tokens > 0)
        r = pn_pf_hot_keep(s->hot, item);
    free(cif.sum);
    return r;
}

static void fire(void *ctx, int i, int thread)
{
    (void)thread;
    struct offline_stream *s = stream_of(((struct pn_stream *const *)ctx)[i]);
    int r = fire_tokens(s);
    s->s.block = 0;
    s->stage = DECODING;
    if (r < 0 || s->s.item.tokens == 0)
        end(s, r);
}

static int predict(struct pn_pf_recognizer *r, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        r->items[i]->alpha = malloc(((size_t)r->items[i]->rows + 1) * sizeof(float));
        if (!r->items[i]->alpha)
            return -PN_ENOMEM;
    }
    return pn_pf_predict(r->engine, r->items, (int)n);
}

static void step_encode(struct pn_pf_recognizer *r, size_t n)
{
    int block = pn_pf_stream_of(r->some[0])->block;
    int e = pn_pf_encode(r->engine, r->items, (int)n, &block, PN_PF_SLICE_US);
    pn_pf_set_blocks(r->some, n, block);
    if (e == 0 && block == r->model->encoder.n_blocks) {
        e = predict(r, n);
        if (e == 0)
            pn_pool_run(r->pool, (int)n, fire, r->some);
    }
    if (e < 0)
        end_all(r->some, n, e);
}

/* ---- the end ---- */

static size_t count_text(const struct pn_pf_item *item)
{
    size_t n = 0;
    for (int i = 0; i < item->tokens; i++)
        n += pn_heard_is_text(item->ids[i]);
    return n;
}

static bool wants_head(const struct offline_stream *s)
{
    return s->s.word_times && model_of(s)->dims.upsample > 0;
}

/* Times of the tokens that are text: from the time-stamp head if words are asked for and there is one. */
static int find_stamps(struct offline_stream *s, size_t n, struct pn_stamp *stamp)
{
    const struct pn_paraformer *p = model_of(s);
    struct pn_fires f = {
        .alphas = s->s.item.alpha, .peaks = s->peaks, .n_steps = (size_t)s->s.item.rows + 1, .upsample = 1
    };
    float *fine = NULL;
    if (wants_head(s)) {
        size_t steps = (size_t)s->s.item.rows * (size_t)p->dims.upsample;
        fine = malloc(2 * steps * sizeof(*fine));
        int r = fine ? pn_pf_head_run(p, s->s.recognizer->pool, s->s.item.x, s->s.item.rows, s->s.item.tokens,
                                      fine)
                     : -PN_ENOMEM;
        if (r < 0) {
            free(fine);
            return r;
        }
        pn_paraformer_peaks(fine, steps, fine + steps);
        f = (struct pn_fires){
            .alphas = fine, .peaks = fine + steps, .n_steps = steps, .upsample = p->dims.upsample
        };
    }
    pn_paraformer_stamps(&f, 0, n, stamp);
    free(fine);
    return 0;
}

static int tell(struct offline_stream *s)
{
    size_t n = count_text(&s->s.item), at = 0;
    struct pn_stamp *stamp = calloc(n + 1, sizeof(*stamp));
    int r = stamp ? find_stamps(s, n, stamp) : -PN_ENOMEM;
    pthread_mutex_lock(&s->s.mu);
    for (int i = 0; i < s->s.item.tokens && r == 0; i++) {
        if (pn_heard_is_text(s->s.item.ids[i]))
            r = pn_heard_add(&s->s.heard,
                             &(struct pn_heard_token){ s->s.item.ids[i], s->s.item.logprob[i], stamp[at++] });
    }
    pthread_mutex_unlock(&s->s.mu);
    free(stamp);
    return r;
}

static int output(struct pn_pf_recognizer *r, size_t n)
{
    int e = pn_pf_output(r->engine, r->items, (int)n);
    for (size_t i = 0; i < n && e == 0; i++) {
        struct offline_stream *s = stream_of(r->some[i]);
        e = s->hot ? pn_pf_hot_apply(s->hot, &s->s.item, r->pool) : 0;
    }
    return e;
}

static void step_decode(struct pn_pf_recognizer *r, size_t n)
{
    int block = pn_pf_stream_of(r->some[0])->block;
    int e = pn_pf_decode(r->engine, r->items, (int)n, &block, PN_PF_SLICE_US);
    pn_pf_set_blocks(r->some, n, block);
    bool last = block == r->model->decoder.dims.n_cross + r->model->decoder.dims.n_plain;
    if (e == 0 && last)
        e = output(r, n);
    for (size_t i = 0; i < n && (e < 0 || last); i++) {
        struct offline_stream *s = stream_of(r->some[i]);
        if (e == 0 && wants_head(s))
            s->stage = TIMING; /* the head takes a while: a step of its own */
        else
            end(s, e < 0 ? e : tell(s));
    }
}

static void offline_step(struct pn_recognizer *rec, int phase, struct pn_stream *const *batch, size_t n)
{
    struct pn_pf_recognizer *r = pn_pf_recognizer_of(rec);
    if (phase == PHASE_HEAR) {
        pn_pool_run(r->pool, (int)n, hear, (void *)(uintptr_t)batch);
        return;
    }
    if (phase == phase_timing(r->model)) {
        end(stream_of(batch[0]), tell(stream_of(batch[0])));
        return;
    }
    size_t taken = choose(r, batch, n);
    if (taken == 0)
        end_all(batch, n, -PN_ENOMEM);
    else if (phase < PHASE_ENCODE + r->model->encoder.n_blocks)
        step_encode(r, taken);
    else
        step_decode(r, taken);
}

const struct pn_recognizer_ops pn_pf_offline_ops = {
    .check = pn_pf_check,
    .open = offline_open,
    .feed = pn_pf_feed,
    .finish = pn_pf_finish,
    .next = offline_next,
    .step = offline_step,
    .status = pn_pf_status,
    .result = pn_pf_result,
    .position = pn_pf_position,
    .close = offline_close,
    .free = pn_pf_recognizer_free,
};
