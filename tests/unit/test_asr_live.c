/* test_asr_live.c - sessions of the live engine with a recogniser that can be held up. The models are the
 * test's own: linking wraps pn_models_live(), _acquire() and _release(). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/live/live.h"
#include "base/clock.h"
#include "fake_recognizer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATIENCE_S 60
#define SECOND     32000 /* bytes of s16le at 16 kHz */

static struct fake fake;
static struct pn_scheduler *scheduler;
static struct pn_live_engine *engine;

/* ---- models ---- */

static atomic_int acquire_says; /* what asking for a model by name gives */
static atomic_int n_asked, n_lent;

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

/* ---- set up ---- */

static void set_up(int sessions, int feed_samples)
{
    struct pn_scheduler_options sched = { sessions, 8, 1000 };
    fake_init(&fake);
    atomic_store(&acquire_says, 0);
    atomic_store(&n_asked, 0);
    assert_int_equal(pn_scheduler_new(&sched, &scheduler, NULL), 0);
    struct pn_live_options opt = {
        .scheduler = scheduler, .worker_threads = 3, .max_sessions = sessions, .feed_samples = feed_samples
    };
    assert_int_equal(pn_live_engine_new(&opt, &engine, NULL), 0);
}

static void tear_down(void)
{
    assert_null(pn_live_engine_free(engine));
    assert_int_equal(pn_scheduler_stats(scheduler).streams, 0);
    assert_int_equal(atomic_load(&n_lent), 0);
    assert_null(pn_scheduler_free(scheduler));
    fake_done(&fake);
}

static void let_steps_pass(int n)
{
    for (int i = 0; i < n; i++)
        sem_post(&fake.gate);
}

/* ---- clients ---- */

struct client {
    struct pn_live *live;
    sem_t moved;
    atomic_int n_moved;
    struct pn_live_news last;
    int n_texts, n_rooms;
    char text[32]; /* of the last transcript */
    bool final;    /* it was */
};

static void on_moved(void *ctx)
{
    struct client *c = ctx;
    atomic_fetch_add(&c->n_moved, 1);
    sem_post(&c->moved);
}

static int try_talk(struct client *c, const char *model, const char *language)
{
    struct pn_live_request req = { .model = pn_str(model),
                                   .want = { .language = language, .task = "transcribe", .live = true },
                                   .format = PN_INTAKE_S16LE,
                                   .rate = 16000,
                                   .moved = on_moved,
                                   .ctx = c };
    int retry_ms = 0;
    memset(c, 0, sizeof(*c));
    sem_init(&c->moved, 0, 0);
    struct pn_err err = { 0 };
    int r = pn_live_open(engine, &req, &c->live, &retry_ms, &err);
    assert_int_equal(r == -PN_EFULL, retry_ms > 0);
    assert_int_equal(-r, err.code);
    return r;
}

static void talk(struct client *c)
{
    assert_int_equal(try_talk(c, "", "en"), 0);
}

static int say(struct client *c, size_t n_bytes)
{
    static const unsigned char silence[1 << 21];
    assert_true(n_bytes <= sizeof(silence));
    return pn_live_feed(c->live, silence, n_bytes);
}

static void wait_for_move(struct client *c)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE_S;
    assert_int_equal(sem_timedwait(&c->moved, &until), 0);
}

static bool fetch(struct client *c)
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

static void wait_for_end(struct client *c)
{
    do
        wait_for_move(c);
    while (!(fetch(c) && c->last.ended));
}

static void wait_for_text(struct client *c, const char *text)
{
    do
        wait_for_move(c);
    while (!(fetch(c) && strcmp(c->text, text) == 0));
}

static void leave(struct client *c)
{
    pn_live_close(c->live);
    sem_destroy(&c->moved);
}

/* Waits until all that were closed are gone. */
static void wait_for_open(int n)
{
    for (int64_t end = pn_now_us() + PATIENCE_S * 1000000LL; pn_live_stats(engine).open != n;) {
        assert_true(pn_now_us() < end);
        usleep(1000);
    }
}

/* ---- tests ---- */

static void test_news_come_in_order(void **state)
{
    (void)state;
    struct client c;
    set_up(4, 1600);
    talk(&c);
    assert_int_equal(say(&c, 2 * 1600), 0);
    wait_for_text(&c, "1600");
    assert_false(c.final);
    assert_false(c.last.ended);
    assert_int_equal(say(&c, 2 * 1600), 0);
    wait_for_text(&c, "3200");
    assert_int_equal(say(&c, 2 * 100), 0);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_string_equal(c.text, "3300");
    assert_true(c.final);
    assert_int_equal(c.n_texts, 3);
    assert_int_equal(c.last.code, 0);
    assert_true(c.last.audio_s == 3300 / 16000.0);
    assert_true(c.last.processing_s > 0);
    assert_false(fetch(&c));
    assert_int_equal(say(&c, 100), 0); /* nobody listens any more */
    pn_live_finish(c.live);
    leave(&c);
    wait_for_open(0);
    struct pn_live_stats stats = pn_live_stats(engine);
    assert_int_equal(stats.opened, 1);
    assert_int_equal(stats.ended, 1);
    assert_int_equal(stats.dropped + stats.failed + stats.refused + stats.shed, 0);
    assert_true(stats.audio_s == 3300 / 16000.0);
    tear_down();
}

static void test_audio_is_handed_on_in_pieces(void **state)
{
    (void)state;
    struct client c;
    set_up(4, 4000);
    talk(&c);
    for (int i = 0; i < 3999; i++)
        assert_int_equal(say(&c, 2), 0);
    usleep(20000);
    assert_int_equal(fake_n_steps(&fake), 0); /* one sample is missing */
    assert_int_equal(say(&c, 1), 0);
    assert_int_equal(say(&c, 1), 0);
    wait_for_text(&c, "3200");
    assert_int_equal(say(&c, 2 * 10), 0);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_string_equal(c.text, "4010");
    leave(&c);
    tear_down();
}

static void test_nothing_said(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    talk(&c);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_string_equal(c.text, "0");
    assert_true(c.final);
    leave(&c);
    tear_down();
}

static void test_faster_than_the_recogniser(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    atomic_store(&fake.gated, true);
    talk(&c);
    size_t said = 0;
    int r = 0;
    while (r == 0) {
        r = say(&c, SECOND);
        said += SECOND;
    }
    assert_int_equal(r, 1);
    assert_int_equal(say(&c, PN_LIVE_MAX + 1), -PN_ELIMIT);
    assert_true(said <= PN_LIVE_HIGH + 4 * SECOND + 2 * FAKE_INBOX);
    assert_int_equal(c.n_rooms, 0);
    atomic_store(&fake.gated, false);
    let_steps_pass(1);
    while (c.n_rooms == 0) {
        wait_for_move(&c);
        fetch(&c);
    }
    assert_int_equal(say(&c, SECOND), 0);
    said += SECOND;
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_int_equal(c.n_rooms, 1);
    assert_int_equal(strtol(c.text, NULL, 10), said / 2);
    leave(&c);
    tear_down();
}

static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(test_news_come_in_order),
    cmocka_unit_test(test_audio_is_handed_on_in_pieces),
    cmocka_unit_test(test_nothing_said),
    cmocka_unit_test(test_faster_than_the_recogniser),
};

int main(void)
{
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
