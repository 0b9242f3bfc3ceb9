/* sphinx.c - streams of English speech over a pool of pocketsphinx decoders.
 *
 * A stream gathers samples until a window is full or the audio ends. Then its next work is PHASE_SUBMIT: cut
 * an utterance at a pause and hand it to an idle decoder, so a step takes about a millisecond whatever the
 * decoders do, and the oldest deadline of all streams gets the next idle decoder. Decoders' threads mark
 * utterances done; a transcript is made of the unbroken run of done ones from the start, so results are in
 * order however many are in flight.
 *
 * Threads: owners call feed, finish, status, result, position; the scheduler next and step; decoders
 * utterance_done. What they share is guarded by `mu`, samples by the inbox's own lock.
 * Lock order: mu, then inbox or pool; progress and wake are called under mu, which close takes, so a closed
 * stream is never called back.
 * Bound: a stream holds INBOX samples and, in flight, at most one utterance a decoder; of what is done only
 * words stay. */
#include "asr/sphinx/sphinx.h"

#include "asr/pcm_inbox.h"
#include "asr/sphinx/pool.h"
#include "asr/sphinx/words.h"
#include "asr/vad/pause.h"
#include "audio/decoder.h"
#include "base/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { PHASE_SUBMIT = 1 };
enum {
    WINDOW = 30 * PN_SAMPLE_RATE, /* longest utterance; its cut is sought in the second half */
    INBOX = 45 * PN_SAMPLE_RATE   /* lets a decode child run ahead while a window waits */
};
enum { SUBMIT_COST_US = 1000 }; /* levels of a window and its copy to 16 bits */

struct sphinx {
    struct pn_recognizer base;
    pthread_mutex_t mu;
    struct pn_sphinx_pool *pool;
    int n_streams; /* guarded by mu */
    float *window; /* WINDOW samples; the scheduler's thread alone */
};

struct sphinx_stream {
    struct pn_stream base;
    struct sphinx *sphinx;
    struct pn_pcm_inbox inbox;
    /* Guarded by sphinx->mu. */
    int64_t ready_us; /* since when an utterance could be cut; 0: it cannot */
    int64_t n_cut;    /* samples taken from the inbox */
    int error;        /* -PN_E*; final */
    struct pn_sphinx_utterance *first, *last;
    struct pn_sphinx_utterance *settled; /* the last of the unbroken run of done ones; NULL: none */
    size_t n_settled, n_utterances;
    int64_t settled_end; /* samples */
};

static struct sphinx *sphinx_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct sphinx, base);
}

static struct sphinx_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct sphinx_stream, base);
}

static bool can_cut(struct sphinx_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    return n >= WINDOW || (finished && n > 0);
}

/* Under mu, whenever samples came or went. */
static void note_readiness(struct sphinx_stream *s)
{
    if (!can_cut(s))
        s->ready_us = 0;
    else if (s->ready_us == 0)
        s->ready_us = pn_now_us();
}

/* Under mu: moves `settled` over what is done. */
static void settle(struct sphinx_stream *s)
{
    struct pn_sphinx_utterance *u;
    while ((u = s->settled ? s->settled->next : s->first) && u->done) {
        if (u->error < 0 && s->error == 0)
            s->error = u->error;
        s->settled = u;
        s->n_settled++;
        s->settled_end = u->end_sample;
    }
}

/* ---- open and close ---- */

static int sphinx_check(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err)
{
    (void)r;
    if (strcmp(want->task, "translate") == 0)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "sphinx cannot translate; set WHISPER_MODEL or --model to a Whisper model "
                       "(docs/models.md)");
    if (want->language[0] != '\0' && strcmp(want->language, "en") != 0)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "sphinx knows English only; for '%.20s' set WHISPER_MODEL or --model to a Whisper or "
                       "Paraformer model (docs/models.md)",
                       want->language);
    return 0;
}

static int sphinx_open(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                       struct pn_err *err)
{
    int e = sphinx_check(r, want, err);
    if (e < 0)
        return e;
    struct sphinx_stream *s = calloc(1, sizeof(*s));
    if (!s || pn_pcm_inbox_init(&s->inbox, INBOX) < 0) {
        free(s);
        return pn_fail(err, PN_ENOMEM, "no memory for another stream");
    }
    s->sphinx = sphinx_of(r);
    pthread_mutex_lock(&s->sphinx->mu);
    s->sphinx->n_streams++;
    pthread_mutex_unlock(&s->sphinx->mu);
    *ret = &s->base;
    return 0;
}

static void sphinx_close(struct pn_stream *st)
{
    struct sphinx_stream *s = stream_of(st);
    pthread_mutex_lock(&s->sphinx->mu);
    s->sphinx->n_streams--;
    struct pn_sphinx_utterance *next;
    for (struct pn_sphinx_utterance *u = s->first; u; u = next) {
        next = u->next;
        u->owner = NULL; /* a decoder that has it drops it */
        if (u->done)
            pn_sphinx_utterance_free(u);
        else
            atomic_store_explicit(&u->abandoned, true, memory_order_relaxed);
    }
    pthread_mutex_unlock(&s->sphinx->mu);
    pn_pcm_inbox_done(&s->inbox);
    free(s);
}

/* ---- samples ---- */

static int sphinx_feed(struct pn_stream *st, const float *pcm, size_t n)
{
    struct sphinx_stream *s = stream_of(st);
    int r = pn_pcm_inbox_push(&s->inbox, pcm, n);
    if (r == 0) {
        pthread_mutex_lock(&s->sphinx->mu);
        note_readiness(s);
        pthread_mutex_unlock(&s->sphinx->mu);
    }
    return r;
}

static int sphinx_finish(struct pn_stream *st)
{
    struct sphinx_stream *s = stream_of(st);
    pn_pcm_inbox_finish(&s->inbox);
    pthread_mutex_lock(&s->sphinx->mu);
    note_readiness(s);
    pthread_mutex_unlock(&s->sphinx->mu);
    return 0;
}

/* ---- the scheduler's side ---- */

static struct pn_work sphinx_next(const struct pn_stream *st)
{
    struct sphinx_stream *s = stream_of(st);
    struct pn_work work = { 0 };
    pthread_mutex_lock(&s->sphinx->mu);
    if (s->ready_us != 0 && s->error == 0 && pn_sphinx_pool_idle(s->sphinx->pool) > 0)
        work = (struct pn_work){
            .phase = PHASE_SUBMIT, .rows = 1, .cost_us = SUBMIT_COST_US, .deadline_us = s->ready_us
        };
    pthread_mutex_unlock(&s->sphinx->mu);
    return work;
}

/* Samples of the next utterance, which are then in the window. */
static size_t find_utterance(struct sphinx_stream *s)
{
    bool last;
    size_t n = pn_pcm_inbox_peek(&s->inbox, s->sphinx->window, WINDOW, &last);
    return last ? n : pn_pause_cut(s->sphinx->window, n, n / 2);
}

/* Under mu. */
static void append_utterance(struct sphinx_stream *s, struct pn_sphinx_utterance *u)
{
    u->owner = s;
    *(s->last ? &s->last->next : &s->first) = u;
    s->last = u;
    s->n_utterances++;
}

/* Takes an utterance of n samples, which are in the window, out of the inbox and gives it to a decoder. One
 * that is only a pause is done at once. */
static void submit_utterance(struct sphinx_stream *s, size_t n)
{
    struct sphinx *x = s->sphinx;
    struct pn_sphinx_utterance *u = NULL;
    bool speech = !pn_pause_only(x->window, n);
    int r = pn_sphinx_utterance_new(x->window, speech ? n : 0, s->n_cut, &u);

    pthread_mutex_lock(&x->mu);
    pn_pcm_inbox_drop(&s->inbox,
                      n); /* under mu: an empty inbox without its utterance would look like the end */
    s->n_cut += (int64_t)n;
    s->ready_us = 0;
    note_readiness(s);
    if (r == 0) {
        u->end_sample = s->n_cut;
        append_utterance(s, u);
        if (speech)
            r = pn_sphinx_pool_submit(x->pool, u);
        u->done = !speech || r < 0;
        settle(s);
    }
    if (r < 0 && s->error == 0)
        s->error = r;
    pthread_mutex_unlock(&x->mu);
}

static void sphinx_step(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    (void)phase;
    struct sphinx *x = sphinx_of(r);
    for (size_t i = 0; i < n && pn_sphinx_pool_idle(x->pool) > 0; i++) {
        struct sphinx_stream *s = stream_of(batch[i]);
        submit_utterance(s, find_utterance(s));
    }
}

/* A decoder's thread. */
static void utterance_done(void *ctx, struct pn_sphinx_utterance *u)
{
    struct sphinx *x = ctx;
    pthread_mutex_lock(&x->mu);
    struct sphinx_stream *s = u->owner;
    if (s) {
        u->done = true;
        settle(s);
        if (s->base.progress)
            s->base.progress(s->base.progress_ctx);
    } else {
        pn_sphinx_utterance_free(u);
    }
    if (x->n_streams > 0 && x->base.wake)
        x->base.wake(x->base.wake_ctx); /* a decoder is idle for whoever waits */
    pthread_mutex_unlock(&x->mu);
}

/* ---- results ---- */

static bool is_final(struct sphinx_stream *s)
{
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    return finished && n == 0 && s->n_settled == s->n_utterances;
}

static int sphinx_status(const struct pn_stream *st, struct pn_err *err)
{
    struct sphinx_stream *s = stream_of(st);
    pthread_mutex_lock(&s->sphinx->mu);
    int r = s->error < 0 ? s->error : is_final(s);
    pthread_mutex_unlock(&s->sphinx->mu);
    if (r < 0)
        pn_fail(err, (enum pn_error) - r, "sphinx: an utterance could not be decoded: %s", pn_error_name(r));
    return r;
}

/* Settled utterances do not change any more, so the transcript is built without the lock. */
static int sphinx_result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct sphinx_stream *s = stream_of(st);
    pthread_mutex_lock(&s->sphinx->mu);
    struct pn_sphinx_utterance *first = s->first;
    size_t n = s->n_settled;
    bool final = is_final(s), finished;
    int64_t n_samples = s->n_cut + (int64_t)pn_pcm_inbox_len(&s->inbox, &finished);
    pthread_mutex_unlock(&s->sphinx->mu);
    return pn_sphinx_transcript(first, n, (double)n_samples / PN_SAMPLE_RATE, final, ret, err);
}

static double sphinx_position(const struct pn_stream *st)
{
    struct sphinx_stream *s = stream_of(st);
    pthread_mutex_lock(&s->sphinx->mu);
    int64_t samples = s->settled_end;
    pthread_mutex_unlock(&s->sphinx->mu);
    return (double)samples / PN_SAMPLE_RATE;
}

/* ---- the recogniser ---- */

static void sphinx_free(struct pn_recognizer *r)
{
    struct sphinx *x = sphinx_of(r);
    pn_sphinx_pool_free(x->pool);
    pthread_mutex_destroy(&x->mu);
    free(x->window);
    free(x);
}

static const struct pn_recognizer_ops SPHINX_OPS = {
    .check = sphinx_check,
    .open = sphinx_open,
    .feed = sphinx_feed,
    .finish = sphinx_finish,
    .next = sphinx_next,
    .step = sphinx_step,
    .status = sphinx_status,
    .result = sphinx_result,
    .position = sphinx_position,
    .close = sphinx_close,
    .free = sphinx_free,
};

int pn_sphinx_new(const char *model_dir, int threads, struct pn_recognizer **ret, struct pn_err *err)
{
    struct sphinx *x = calloc(1, sizeof(*x));
    if (!x)
        return pn_fail(err, PN_ENOMEM, "no memory for the recogniser");
    x->base = (struct pn_recognizer){ .ops = &SPHINX_OPS, .name = "sphinx", .bare_text = true };
    pthread_mutex_init(&x->mu, NULL);
    x->window = malloc(WINDOW * sizeof(*x->window));
    int r = x->window ? pn_sphinx_pool_new(model_dir, threads, utterance_done, x, &x->pool, err)
                      : pn_fail(err, PN_ENOMEM, "no memory for the recogniser");
    if (r < 0)
        sphinx_free(&x->base);
    else
        *ret = &x->base;
    return r;
}
