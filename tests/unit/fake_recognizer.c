/* fake_recognizer.c - see fake_recognizer.h. */
#include "fake_recognizer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct fake *fake_of(const struct pn_recognizer *r)
{
    return PN_CONTAINER_OF(r, struct fake, base);
}

static struct fake_stream *stream_of(const struct pn_stream *s)
{
    return PN_CONTAINER_OF(s, struct fake_stream, base);
}

int fake_id(const struct pn_stream *s)
{
    return stream_of(s)->id;
}

static int check_want(const struct pn_recognizer *r, const struct pn_recognition *want, struct pn_err *err)
{
    return strcmp(want->language, "xx") == 0 ? pn_fail(err, PN_EUNSUPPORTED, "no xx here") : 0;
}

static int open_stream(struct pn_recognizer *r, const struct pn_recognition *want, struct pn_stream **ret,
                       struct pn_err *err)
{
    struct fake *f = fake_of(r);
    if (f->fail_open)
        return pn_fail(err, (enum pn_error) - f->fail_open, "told to fail");
    struct fake_stream *s = calloc(1, sizeof(*s));
    if (!s || pn_pcm_inbox_init(&s->inbox, FAKE_INBOX) < 0)
        abort();
    s->fake = f;
    s->phase = 1;
    pthread_mutex_lock(&f->mu);
    s->id = ++f->last_id;
    s->deadline_us = f->next_deadline_us ? f->next_deadline_us : s->id;
    f->n_open++;
    f->max_open = PN_MAX(f->max_open, f->n_open);
    pthread_mutex_unlock(&f->mu);
    *ret = &s->base;
    return 0;
}

static int feed(struct pn_stream *st, const float *pcm, size_t n)
{
    return pn_pcm_inbox_push(&stream_of(st)->inbox, pcm, n);
}

static int finish(struct pn_stream *st)
{
    pn_pcm_inbox_finish(&stream_of(st)->inbox);
    return 0;
}

static bool has_failed(const struct fake_stream *s)
{
    return s->fake->fail_at_samples && atomic_load(&s->done) > s->fake->fail_at_samples;
}

static struct pn_work next_work(const struct pn_stream *st)
{
    struct fake_stream *s = stream_of(st);
    bool finished;
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    if (has_failed(s) || (n < FAKE_UNIT && !(finished && n > 0)))
        return (struct pn_work){ 0 };
    int64_t deadline_us = s->deadline_us;
    if (s->fake->by_due && st->live)
        deadline_us = pn_stream_due_us(st, atomic_load(&s->done) + FAKE_UNIT);
    return (struct pn_work){ .phase = atomic_load(&s->phase), .rows = 1, .deadline_us = deadline_us };
}

static void record(struct fake *f, int phase, struct pn_stream *const *batch, size_t n)
{
    pthread_mutex_lock(&f->mu);
    if (f->n_steps == FAKE_MAX_STEPS || n > FAKE_MAX_BATCH)
        abort();
    struct fake_step *step = &f->steps[f->n_steps++];
    step->phase = phase;
    step->n = n;
    for (size_t i = 0; i < n; i++)
        step->ids[i] = fake_id(batch[i]);
    pthread_mutex_unlock(&f->mu);
}

static void run_step(struct pn_recognizer *r, int phase, struct pn_stream *const *batch, size_t n)
{
    struct fake *f = fake_of(r);
    record(f, phase, batch, n);
    if (atomic_load(&f->gated)) {
        sem_post(&f->entered);
        sem_wait(&f->gate);
    }
    if (f->step_us)
        usleep((useconds_t)f->step_us);
    for (size_t i = 0; i < n; i++) {
        struct fake_stream *s = stream_of(batch[i]);
        float unit[FAKE_UNIT];
        bool end;
        if (atomic_load(&s->phase) != phase)
            abort(); /* batches of one phase only */
        atomic_fetch_add(&s->done, (int)pn_pcm_inbox_take(&s->inbox, unit, FAKE_UNIT, &end));
        atomic_store(&s->phase, 3 - phase);
    }
}

static int status(const struct pn_stream *st, struct pn_err *err)
{
    struct fake_stream *s = stream_of(st);
    bool finished;
    if (has_failed(s))
        return pn_fail(err, PN_EFORMAT, "the fake recogniser gave up");
    size_t n = pn_pcm_inbox_len(&s->inbox, &finished);
    return finished && n == 0;
}

static int result(struct pn_stream *st, struct pn_transcript **ret, struct pn_err *err)
{
    struct fake_stream *s = stream_of(st);
    if (s->fake->only_final && status(st, NULL) == 0)
        return pn_fail(err, PN_EAGAIN, "it has not ended");
    if (pn_transcript_new(1 << 16, ret) < 0)
        abort();
    (*ret)->text = pn_arena_printf((*ret)->arena, "%d", atomic_load(&s->done));
    (*ret)->final = status(st, err) == 1;
    return 0;
}

static double position(const struct pn_stream *st)
{
    return atomic_load(&stream_of(st)->done) / 16000.0;
}

static void close_stream(struct pn_stream *st)
{
    struct fake_stream *s = stream_of(st);
    pthread_mutex_lock(&s->fake->mu);
    s->fake->n_open--;
    pthread_mutex_unlock(&s->fake->mu);
    pn_pcm_inbox_done(&s->inbox);
    free(s);
}

static const struct pn_recognizer_ops OPS = { .check = check_want,
                                              .open = open_stream,
                                              .feed = feed,
                                              .finish = finish,
                                              .next = next_work,
                                              .step = run_step,
                                              .status = status,
                                              .result = result,
                                              .position = position,
                                              .close = close_stream };

void fake_init(struct fake *f)
{
    memset(f, 0, sizeof(*f));
    f->base.ops = &OPS;
    f->base.name = "fake";
    pthread_mutex_init(&f->mu, NULL);
    sem_init(&f->gate, 0, 0);
    sem_init(&f->entered, 0, 0);
}

void fake_done(struct fake *f)
{
    if (f->n_open != 0)
        abort();
    pthread_mutex_destroy(&f->mu);
    sem_destroy(&f->gate);
    sem_destroy(&f->entered);
}

struct fake_step fake_step_at(struct fake *f, size_t i)
{
    pthread_mutex_lock(&f->mu);
    struct fake_step s = f->steps[i];
    pthread_mutex_unlock(&f->mu);
    return s;
}

size_t fake_n_steps(struct fake *f)
{
    pthread_mutex_lock(&f->mu);
    size_t n = f->n_steps;
    pthread_mutex_unlock(&f->mu);
    return n;
}
