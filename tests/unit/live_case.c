/* live_case.c - see live_case.h. */
#include "live_case.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S 60

struct fake fake;
struct pn_scheduler *scheduler;
struct pn_live_engine *engine;

/* ---- models ---- */

atomic_int acquire_says, n_asked, n_lent;

struct pn_recognizer *__wrap_pn_models_live(struct pn_models *m);
int __wrap_pn_models_acquire(struct pn_models *m, struct pn_str name, struct pn_recognizer **ret,
                             struct pn_err *err);
void __wrap_pn_models_release(struct pn_models *m, struct pn_recognizer *r);

struct pn_recognizer *__wrap_pn_models_live(struct pn_models *m)
{
    (void)m;
    return &fake.base;
}

int __wrap_pn_models_acquire(struct pn_models *m, struct pn_str name, struct pn_recognizer **ret,
                             struct pn_err *err)
{
    (void)m;
    assert_true(pn_str_is(name, "named"));
    atomic_fetch_add(&n_asked, 1);
    int r = atomic_load(&acquire_says);
    if (r < 0)
        return r == -PN_EAGAIN ? r : pn_fail(err, (enum pn_error) - r, "told to fail");
    atomic_fetch_add(&n_lent, 1);
    *ret = &fake.base;
    return 0;
}

void __wrap_pn_models_release(struct pn_models *m, struct pn_recognizer *r)
{
    (void)m;
    assert_ptr_equal(r, &fake.base);
    atomic_fetch_sub(&n_lent, 1);
}

/* ---- load ---- */

atomic_int load_level;
atomic_bool shed_says;

struct pn_load __wrap_pn_scheduler_load(struct pn_scheduler *s);
bool __wrap_pn_scheduler_shed(struct pn_scheduler *s);

struct pn_load __wrap_pn_scheduler_load(struct pn_scheduler *s)
{
    assert_ptr_equal(s, scheduler);
    return (struct pn_load){ .level = (enum pn_load_level)atomic_load(&load_level) };
}

bool __wrap_pn_scheduler_shed(struct pn_scheduler *s)
{
    assert_ptr_equal(s, scheduler);
    return atomic_exchange(&shed_says, false);
}

/* ---- set up ---- */

void set_up(int sessions, int feed_samples)
{
    struct pn_scheduler_options sched = { sessions, 8, 1000 };
    fake_init(&fake);
    atomic_store(&acquire_says, 0);
    atomic_store(&n_asked, 0);
    atomic_store(&load_level, PN_LOAD_FINE);
    atomic_store(&shed_says, false);
    assert_int_equal(pn_scheduler_new(&sched, &scheduler, NULL), 0);
    struct pn_live_options opt = {
        .scheduler = scheduler, .worker_threads = 3, .max_sessions = sessions, .feed_samples = feed_samples
    };
    assert_int_equal(pn_live_engine_new(&opt, &engine, NULL), 0);
}

void tear_down(void)
{
    assert_null(pn_live_engine_free(engine));
    assert_int_equal(pn_scheduler_stats(scheduler).streams, 0);
    assert_int_equal(atomic_load(&n_lent), 0);
    assert_null(pn_scheduler_free(scheduler));
    fake_done(&fake);
}

void let_steps_pass(int n)
{
    for (int i = 0; i < n; i++)
        sem_post(&fake.gate);
}

/* ---- clients ---- */

void on_moved(void *ctx)
{
    struct client *c = ctx;
    atomic_fetch_add(&c->n_moved, 1);
    sem_post(&c->moved);
}

int try_start(struct client *c, const struct pn_live_request *want)
{
    struct pn_live_request req = *want;
    int retry_ms = 0;
    struct pn_err err = { 0 };
    memset(c, 0, sizeof(*c));
    sem_init(&c->moved, 0, 0);
    req.moved = on_moved;
    req.ctx = c;
    int r = pn_live_open(engine, &req, &c->live, &retry_ms, &err);
    assert_int_equal(r == -PN_EFULL, retry_ms > 0);
    assert_int_equal(-r, err.code);
    return r;
}

void start(struct client *c, const struct pn_live_request *want)
{
    assert_int_equal(try_start(c, want), 0);
}

int try_talk(struct client *c, const char *model, const char *language)
{
    struct pn_live_request req = { .model = pn_str(model),
                                   .want = { .language = language, .task = "transcribe", .live = true },
                                   .format = PN_INTAKE_S16LE,
                                   .rate = 16000 };
    return try_start(c, &req);
}

void talk(struct client *c)
{
    assert_int_equal(try_talk(c, "", "en"), 0);
}

int say(struct client *c, size_t n_bytes)
{
    static const unsigned char silence[1 << 21];
    assert_true(n_bytes <= sizeof(silence));
    return pn_live_feed(c->live, silence, n_bytes);
}

void wait_for_move(struct client *c)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&c->moved, &until), 0);
}

bool fetch(struct client *c)
{
    if (!pn_live_take(c->live, &c->last))
        return false;
    c->n_rooms += c->last.room;
    if (c->last.transcript) {
        c->n_texts++;
        c->final = c->last.transcript->final;
        assert_int_equal(pn_str_copy(c->text, sizeof(c->text), pn_str(c->last.transcript->text)), 0);
    }
    c->last.transcript = pn_transcript_free(c->last.transcript);
    return true;
}

void wait_for_end(struct client *c)
{
    do
        wait_for_move(c);
    while (!(fetch(c) && c->last.ended));
}

void wait_for_text(struct client *c, const char *text)
{
    do
        wait_for_move(c);
    while (!(fetch(c) && strcmp(c->text, text) == 0));
}

void leave(struct client *c)
{
    pn_live_close(c->live);
    sem_destroy(&c->moved);
}

void wait_for_steps(size_t n)
{
    for (int64_t end = pn_now_us() + PATIENCE_S * 1000000LL; fake_n_steps(&fake) < n;) {
        assert_true(pn_now_us() < end);
        usleep(1000);
    }
}

/* Waits until all that were closed are gone. */
void wait_for_open(int n)
{
    for (int64_t end = pn_now_us() + PATIENCE_S * 1000000LL; pn_live_stats(engine).open != n;) {
        assert_true(pn_now_us() < end);
        usleep(1000);
    }
}
