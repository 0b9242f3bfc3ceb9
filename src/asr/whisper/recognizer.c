/* recognizer.c - streams of Whisper: continuous batching over transcriptions.
 *
 * A stream's samples become features as they arrive. When the audio ends, a transcription (transcription.h)
 * says what is to be computed; the steps compute it: an encoder window a slice at a time for one stream,
 * decoder rows for every stream that wants some. Encoder windows are taken in the order in which they became
 * ready; a stream that is being decoded waits for those that were ready before it, at most DECODE_PATIENCE_US
 * longer, so that decoder steps find company: sixteen rows cost little more than one.
 *
 * Threads: owners call feed, finish, status, result, position; the scheduler everything else. Only the
 * scheduler's thread changes a transcription, under the stream's `mu`; owners read it under `mu`. */
#include "asr/whisper/recognizer.h"

#include "asr/pcm_inbox.h"
#include "asr/whisper/transcription.h"
#include "audio/decoder.h"
#include "base/clock.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum phase { PHASE_FEATURES = 1, PHASE_ENCODE, PHASE_DECODE };
enum {
    INBOX = 45 * PN_SAMPLE_RATE,
    FEATURE_PIECE = 5 * PN_SAMPLE_RATE, /* worth a step */
    PADDING = 30 * PN_SAMPLE_RATE,
    ENCODE_SLICE_US = 25000,
    DECODE_PATIENCE_US = 200000,
    ALONE = 1 << 20 /* rows of a step that takes one stream: more than any budget */
};

struct whisper {
    struct pn_recognizer base;
    struct pn_whisper *model;
    struct pn_pool *pool; /* borrowed */
    struct pn_whisper_engine *engine;
    int max_rows; /* decoder rows that take about 20 ms */
    /* The scheduler's thread alone. */
    struct pn_decoder_row rows[PN_DECODER_MAX_ROWS];
};

struct whisper_stream {
    struct pn_stream base;
    struct whisper *whisper;
    struct pn_pcm_inbox inbox;
    struct pn_transcribe_options options;
    char language[16];
    char *prompt;

    /* The scheduler's thread alone. */
    struct pn_features *features;
    struct pn_encoder_run *run; /* in progress */
    int64_t ready_us;           /* since when the present phase could go on */
    int n_rows;                 /* of the step that runs */
    float *pcm;                 /* FEATURE_PIECE samples, while audio comes */

    pthread_mutex_t mu;
    struct pn_transcription *transcription; /* changed under mu; NULL until the audio has ended */
    bool done;                              /* guarded by mu: nothing is wanted, nothing is out */
    int error;                              /* guarded by mu; -PN_E*, final */
    struct pn_err err;                      /* guarded by mu */
};

static struct whisper *whisper_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct whisper, base);
}

static struct whisper_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct whisper_stream, base);
}

/* ---- open and close ---- */

static int whisper_check(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err)
{
    const struct pn_whisper *w = whisper_of(r)->model;
    if (strcmp(want->task, "translate") == 0 && !w->vocab->multilingual)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "model '%s' knows English only and cannot translate; use one without .en", w->name);
    if (want->language[0] == '\0' || pn_vocab_language(w->vocab, want->language) >= 0 ||
        (!w->vocab->multilingual && strcmp(want->language, "en") == 0))
        return 0;
    return pn_fail(err, PN_EUNSUPPORTED, "model '%s' does not know the language '%.20s'; %s", w->name,
                   want->language,
                   w->vocab->multilingual ? "large-v3 knows the most (docs/models.md)"
                                          : "it knows English only: use one without .en (docs/models.md)");
}

/* The fallback's temperatures from `start` on, as the reference's command line makes them. */
static void set_temperatures(struct pn_transcribe_options *o, double start)
{
    if (start < 0)
        return;
    o->n_temperatures = 0;
    for (int i = 0; i < PN_MAX_TEMPERATURES; i++) {
        double t = start + 0.2 * i;
        if (t > 1.0 + 1e-6)
            break;
        o->temperature[o->n_temperatures++] = t;
    }
}

static int set_options(struct whisper_stream *s, const struct pn_recognition *want)
{
    struct pn_transcribe_options *o = &s->options;
    pn_transcribe_defaults(o);
    if (pn_str_copy(s->language, sizeof(s->language), pn_str(want->language)) < 0)
        return -PN_EINVAL;
    s->prompt = strdup(want->prompt ? want->prompt : "");
    if (!s->prompt)
        return -PN_ENOMEM;
    o->language = s->language;
    o->initial_prompt = s->prompt;
    o->translate = strcmp(want->task, "translate") == 0;
    o->beam_size = want->beam_size;
    if (want->best_of > 0)
        o->best_of = want->best_of;
    o->word_timestamps = want->word_timestamps;
    o->batch = want->batch;
    o->auto_context = want->auto_context;
    set_temperatures(o, want->temperature);
    return 0;
}

static void whisper_close(struct pn_stream *st)
{
    struct whisper_stream *s = stream_of(st);
    pn_encoder_run_free(s->run);
    pn_transcription_free(s->transcription);
    pn_features_free(s->features);
    pn_pcm_inbox_done(&s->inbox);
    pthread_mutex_destroy(&s->mu);
    free(s->pcm);
    free(s->prompt);
    free(s);
}

static int whisper_open(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                        struct pn_err *err)
{
    int e = whisper_check(r, want, err);
    if (e < 0)
        return e;
    struct whisper_stream *s = calloc(1, sizeof(*s));
    if (!s || pn_pcm_inbox_init(&s->inbox, INBOX) < 0) {
        free(s);
        return pn_fail(err, PN_ENOMEM, "no memory for another stream");
    }
    s->whisper = whisper_of(r);
    pthread_mutex_init(&s->mu, NULL);
    e = set_options(s, want);
    if (e == 0)
        e = pn_features_new(s->whisper->model->mel, &s->features);
    s->pcm = malloc(FEATURE_PIECE * sizeof(float));
    if (e == 0 && !s->pcm)
        e = -PN_ENOMEM;
    if (e < 0) {
        whisper_close(&s->base);
        return pn_fail(err, (enum pn_error) - e, "whisper: cannot open a stream: %s", pn_error_name(e));
    }
    *ret = &s->base;
    return 0;
}

/* ---- samples ---- */

static int whisper_feed(struct pn_stream *st, const float *pcm, size_t n)
{
    return pn_pcm_inbox_push(&stream_of(st)->inbox, pcm, n);
}

static int whisper_finish(struct pn_stream *st)
{
    pn_pcm_inbox_finish(&stream_of(st)->inbox);
    return 0;
}

/* ---- the scheduler's side ---- */

static struct pn_work feature_work(struct whisper_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    if (n < FEATURE_PIECE && !finished)
        return (struct pn_work){ 0 };
    if (s->ready_us == 0)
        s->ready_us = pn_now_us();
    return (
        struct pn_work){ .phase = PHASE_FEATURES, .rows = 1, .cost_us = 2000, .deadline_us = s->ready_us };
}

static struct pn_work whisper_next(const struct pn_stream *st)
{
    struct whisper_stream *s = stream_of(st);
    if (s->error < 0)
        return (struct pn_work){ 0 };
    if (!s->transcription)
        return feature_work(s);
    unsigned want = pn_transcription_want(s->transcription);
    if (s->run || (want & PN_WANT_ENCODER))
        return (struct pn_work){
            .phase = PHASE_ENCODE, .rows = ALONE, .cost_us = ENCODE_SLICE_US, .deadline_us = s->ready_us
        };
    if (want & PN_WANT_DECODER)
        return (struct pn_work){ .phase = PHASE_DECODE,
                                 .rows = pn_transcription_n_rows(s->transcription, s->whisper->max_rows),
                                 .cost_us = 5000,
                                 .deadline_us = s->ready_us + (s->base.live ? 0 : DECODE_PATIENCE_US) };
    return (struct pn_work){ 0 };
}

static void fail(struct whisper_stream *s, int code, const struct pn_err *err)
{
    pthread_mutex_lock(&s->mu);
    if (s->error == 0) {
        s->error = code;
        if (err)
            s->err = *err;
    }
    pthread_mutex_unlock(&s->mu);
}

/* Under mu, after the transcription was told something. A run that is out belongs to it still. */
static void note_done(struct whisper_stream *s)
{
    s->done = !s->run && pn_transcription_want(s->transcription) == 0;
}

/* The audio has ended: its transcription begins. */
static void begin_transcription(struct whisper_stream *s)
{
    struct pn_err err = { 0 };
    struct pn_transcription *t = NULL;
    int r = pn_features_end(s->features, PADDING);
    if (r == 0)
        r = pn_transcription_new(s->whisper->engine, s->features, &s->options, &t, &err);
    free(s->pcm);
    s->pcm = NULL;
    s->ready_us = pn_now_us();
    if (r < 0) {
        fail(s, r, &err);
        return;
    }
    pthread_mutex_lock(&s->mu);
    s->transcription = t;
    note_done(s);
    pthread_mutex_unlock(&s->mu);
}

static void step_features(void *ctx, int i, int thread)
{
    (void)thread;
    struct whisper_stream *s = stream_of(((struct pn_stream *const *)ctx)[i]);
    bool end = false;
    size_t n = pn_pcm_inbox_take(&s->inbox, s->pcm, FEATURE_PIECE, &end);
    int r = pn_features_feed(s->features, s->pcm, n);
    s->ready_us = 0;
    if (r < 0)
        fail(s, r, NULL);
    else if (end)
        begin_transcription(s);
}

static void step_encode(struct whisper_stream *s)
{
    if (!s->run) {
        pthread_mutex_lock(&s->mu);
        int r = pn_transcription_begin(s->transcription, &s->run);
        pthread_mutex_unlock(&s->mu);
        if (r < 0) {
            fail(s, r, NULL);
            return;
        }
    }
    if (pn_encoder_run_step(s->run, ENCODE_SLICE_US) == 0)
        return;
    pthread_mutex_lock(&s->mu);
    pn_transcription_encoded(s->transcription, s->run);
    s->run = NULL;
    note_done(s);
    pthread_mutex_unlock(&s->mu);
    s->ready_us = pn_now_us();
}

/* What the pool's threads need to hand rows back. */
struct decoded {
    struct pn_stream *const *batch;
    int result;
};

static void hand_back(void *ctx, int i, int thread)
{
    (void)thread;
    const struct decoded *d = ctx;
    struct whisper_stream *s = stream_of(d->batch[i]);
    if (s->n_rows == 0)
        return;
    pthread_mutex_lock(&s->mu);
    pn_transcription_decoded(s->transcription, d->result);
    note_done(s);
    pthread_mutex_unlock(&s->mu);
    s->ready_us = pn_now_us();
}

static void step_decode(struct whisper *w, struct pn_stream *const *batch, size_t n)
{
    int n_rows = 0;
    for (size_t i = 0; i < n; i++) {
        struct whisper_stream *s = stream_of(batch[i]);
        pthread_mutex_lock(&s->mu);
        s->n_rows = pn_transcription_rows(s->transcription, w->rows + n_rows, w->max_rows - n_rows);
        pthread_mutex_unlock(&s->mu);
        n_rows += s->n_rows;
    }
    struct decoded d = { batch, pn_decoder_run(w->engine, w->rows, n_rows) };
    pn_pool_run(w->pool, (int)n, hand_back, &d);
}

static void whisper_step(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    struct whisper *w = whisper_of(r);
    switch ((enum phase)phase) {
    case PHASE_FEATURES:
        pn_pool_run(w->pool, (int)n, step_features, (void *)(uintptr_t)batch);
        return;
    case PHASE_ENCODE:
        step_encode(stream_of(batch[0]));
        return;
    case PHASE_DECODE:
        step_decode(w, batch, n);
        return;
    }
    PN_UNREACHABLE();
}

/* ---- results ---- */

static int whisper_status(const struct pn_stream *st, struct pn_err *err)
{
    struct whisper_stream *s = stream_of(st);
    struct pn_err why = { 0 };
    pthread_mutex_lock(&s->mu);
    int r = s->error;
    if (r < 0)
        why = s->err;
    else if (s->transcription && (r = pn_transcription_status(s->transcription, &why)) == 0)
        r = s->done;
    pthread_mutex_unlock(&s->mu);
    if (r < 0)
        pn_fail(err, (enum pn_error) - r, "%s", why.code ? why.text : pn_error_name(r));
    return r;
}

static int whisper_result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct whisper_stream *s = stream_of(st);
    pthread_mutex_lock(&s->mu);
    int r = s->transcription ? pn_transcription_result(s->transcription, ret, err)
                             : pn_fail(err, PN_EAGAIN, "whisper: the audio has not ended");
    pthread_mutex_unlock(&s->mu);
    return r;
}

static double whisper_position(const struct pn_stream *st)
{
    struct whisper_stream *s = stream_of(st);
    pthread_mutex_lock(&s->mu);
    double position = s->transcription ? pn_transcription_position(s->transcription) : 0;
    pthread_mutex_unlock(&s->mu);
    return position;
}

/* ---- the recogniser ---- */

static void whisper_free(struct pn_recognizer *r)
{
    struct whisper *w = whisper_of(r);
    pn_whisper_engine_free(w->engine);
    pn_whisper_close(w->model);
    free(w);
}

static const struct pn_recognizer_ops WHISPER_OPS = {
    .check = whisper_check,
    .open = whisper_open,
    .feed = whisper_feed,
    .finish = whisper_finish,
    .next = whisper_next,
    .step = whisper_step,
    .status = whisper_status,
    .result = whisper_result,
    .position = whisper_position,
    .close = whisper_close,
    .free = whisper_free,
};

/* Rows in a step of about 20 ms: weights and cross-attention of one row, at what two cores do. */
static int rows_per_step(const struct pn_whisper *w)
{
    const struct pn_whisper_dims *d = &w->dims;
    double state = d->n_text_state;
    double ops = d->n_text_layer * (28.0 * state * state + 4.0 * d->n_audio_ctx * state);
    double budget = w->precision == PN_INT8 ? 10e9 : 3e9;
    return (int)fmin(fmax(budget / ops, 32), PN_DECODER_MAX_ROWS);
}

int pn_whisper_recognizer_new(struct pn_whisper *model, struct pn_pool *pool, struct pn_recognizer **ret,
                              struct pn_err *err)
{
    struct whisper *w = calloc(1, sizeof(*w));
    if (!w || pn_whisper_engine_new(model, pool, &w->engine) < 0) {
        free(w);
        return pn_fail(err, PN_ENOMEM, "no memory for model '%s'", model->name);
    }
    w->base.ops = &WHISPER_OPS;
    w->base.name = model->name;
    w->base.finds_language = model->vocab->multilingual;
    w->base.window_s = 30;
    w->model = model;
    w->pool = pool;
    w->max_rows = rows_per_step(model);
    *ret = &w->base;
    return 0;
}
