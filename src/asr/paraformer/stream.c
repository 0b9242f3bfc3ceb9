/* stream.c - see stream.h. */
#include "asr/paraformer/stream.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int pn_pf_reserve(struct pn_pf_recognizer *r, size_t n)
{
    if (n <= r->cap)
        return 0;
    struct pn_pf_item **items = reallocarray(r->items, n, sizeof(*items));
    if (items)
        r->items = items;
    struct pn_stream **some = reallocarray(r->some, n, sizeof(*some));
    if (some)
        r->some = some;
    if (!items || !some)
        return -PN_ENOMEM;
    r->cap = n;
    return 0;
}

/* Rows whose share of one layer is about 20 ms of what two cores do. */
static int rows_per_step(const struct pn_paraformer *p)
{
    const struct pn_sanm *s = &p->encoder;
    double ops = 2.0 * s->size * (4.0 * s->size + 2.0 * s->hidden);
    double budget = p->precision == PN_INT8 ? 6e9 : 2e9;
    return (int)fmin(fmax(budget / ops, 64), 4096);
}

int pn_pf_recognizer_init(struct pn_pf_recognizer *r, struct pn_paraformer *model, struct pn_pool *pool)
{
    *r = (struct pn_pf_recognizer){ .base = { .ops = model->streaming ? &pn_pf_live_ops : &pn_pf_offline_ops,
                                              .name = model->name,
                                              .streaming = model->streaming,
                                              .one_utterance = !model->streaming,
                                              .bare_text = true },
                                    .pool = pool,
                                    .max_rows = rows_per_step(model) };
    int e = pn_pf_engine_new(model, pool, &r->engine);
    if (e == 0)
        r->model = model;
    return e;
}

void pn_pf_recognizer_free(struct pn_recognizer *rec)
{
    struct pn_pf_recognizer *r = pn_pf_recognizer_of(rec);
    pn_pf_engine_free(r->engine);
    pn_paraformer_close(r->model);
    free(r->items);
    free(r->some);
    free(r);
}

int pn_paraformer_recognizer_new(struct pn_paraformer *model, struct pn_pool *pool,
                                 struct pn_recognizer **ret, struct pn_err *err)
{
    struct pn_pf_recognizer *r = malloc(sizeof(*r));
    if (!r || pn_pf_recognizer_init(r, model, pool) < 0) {
        free(r);
        return pn_fail(err, PN_ENOMEM, "no memory for model '%s'", model->name);
    }
    *ret = &r->base;
    return 0;
}

/* ---- the owner's side ---- */

int pn_pf_check(const struct pn_recognizer *rec, const struct pn_recognition *want, struct pn_err *err)
{
    const char *name = rec->name;
    if (strcmp(want->task, "translate") == 0)
        return pn_fail(err, PN_EUNSUPPORTED,
                       "model '%s' cannot translate; a multilingual Whisper can (docs/models.md)", name);
    if (want->language[0] && strcmp(want->language, "zh") != 0 && strcmp(want->language, "en") != 0)
        return pn_fail(
            err, PN_EUNSUPPORTED,
            "model '%s' knows Chinese and English, not '%.20s'; a multilingual Whisper may (docs/models.md)",
            name, want->language);
    return 0;
}

int pn_pf_stream_init(struct pn_pf_stream *s, struct pn_pf_recognizer *r, const struct pn_recognition *want,
                      size_t inbox_samples)
{
    if (pn_str_copy(s->language, sizeof(s->language), pn_str(want->language)) < 0 ||
        pn_str_copy(s->task, sizeof(s->task), pn_str(want->task)) < 0)
        return -PN_EINVAL;
    if (pn_pcm_inbox_init(&s->inbox, inbox_samples) < 0)
        return -PN_ENOMEM;
    pthread_mutex_init(&s->mu, NULL);
    s->recognizer = r;
    s->word_times = want->word_timestamps;
    return 0;
}

void pn_pf_stream_done(struct pn_pf_stream *s)
{
    if (!s->inbox.ring)
        return;
    pn_pcm_inbox_done(&s->inbox);
    pthread_mutex_destroy(&s->mu);
    pn_heard_done(&s->heard);
}

void pn_pf_item_done(struct pn_pf_item *item)
{
    free(item->x);
    free(item->alpha);
    free(item->y);
    free(item->ids);
    free(item->logprob);
    *item = (struct pn_pf_item){ 0 };
}

void pn_pf_set_blocks(struct pn_stream *const *batch, size_t n, int block)
{
    for (size_t i = 0; i < n; i++)
        pn_pf_stream_of(batch[i])->block = block;
}

int pn_pf_feed(struct pn_stream *s, const float *pcm, size_t n)
{
    return pn_pcm_inbox_push(&pn_pf_stream_of(s)->inbox, pcm, n);
}

int pn_pf_finish(struct pn_stream *s)
{
    pn_pcm_inbox_finish(&pn_pf_stream_of(s)->inbox);
    return 0;
}

void pn_pf_fail(struct pn_pf_stream *s, int error)
{
    pthread_mutex_lock(&s->mu);
    if (s->error == 0)
        s->error = error;
    pthread_mutex_unlock(&s->mu);
}

int pn_pf_status(const struct pn_stream *st, struct pn_err *err)
{
    struct pn_pf_stream *s = pn_pf_stream_of(st);
    pthread_mutex_lock(&s->mu);
    int r = s->error < 0 ? s->error : s->done;
    pthread_mutex_unlock(&s->mu);
    if (r == -PN_ELIMIT)
        return pn_fail(err, PN_ELIMIT, "an utterance is too long for model '%s': have it cut at pauses (vad)",
                       st->recognizer->name);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", pn_error_name(r)) : r;
}

int pn_pf_result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct pn_pf_stream *s = pn_pf_stream_of(st);
    pthread_mutex_lock(&s->mu);
    const struct pn_heard_context c = { .folder = s->recognizer->model->folder,
                                        .model = s->recognizer->model->name,
                                        .language = s->language,
                                        .task = s->task,
                                        .duration = s->duration,
                                        .word_times = s->word_times,
                                        .final = s->done };
    int r = pn_heard_transcript(&s->heard, &c, ret, err);
    pthread_mutex_unlock(&s->mu);
    return r;
}

double pn_pf_position(const struct pn_stream *st)
{
    struct pn_pf_stream *s = pn_pf_stream_of(st);
    pthread_mutex_lock(&s->mu);
    double position = s->position;
    pthread_mutex_unlock(&s->mu);
    return position;
}
