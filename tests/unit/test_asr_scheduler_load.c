/* test_asr_scheduler_load.c - who goes first, by a clock that the test moves: people before recordings that
 * are pushed, short files before what is left of long ones; and what the scheduler says of its load. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/scheduler.h"
#include "fake_clock.h"
#include "fake_recognizer.h"

#include <math.h>
#include <unistd.h>

static struct fake fake; /* too large for a stack */
static const struct pn_recognition FILE_WANT = { .language = "", .task = "transcribe", .live = false };
static const struct pn_recognition LIVE_WANT = { .language = "", .task = "transcribe", .live = true };
static const float SILENCE[FAKE_INBOX];
enum { UNIT_US = 100000 };

static struct pn_scheduler *start(void)
{
    struct pn_scheduler *s = NULL;
    const struct pn_scheduler_options opt = { .max_streams = 8, .batch_size = 1, .row_budget = 1000 };
    fake_init(&fake);
    fake.by_due = true;
    assert_int_equal(pn_scheduler_new(&opt, &s, NULL), 0);
    return s;
}

static void stop(struct pn_scheduler *s)
{
    assert_null(pn_scheduler_free(s));
    fake_done(&fake);
}

static struct pn_stream *open_stream(struct pn_scheduler *s, const struct pn_recognition *want)
{
    struct pn_stream *st = NULL;
    assert_int_equal(pn_scheduler_open(s, &fake.base, want, NULL, NULL, &st, NULL), 0);
    return st;
}

static void feed_units(struct pn_scheduler *s, struct pn_stream *st, size_t units)
{
    assert_int_equal(pn_scheduler_feed(s, st, SILENCE, units * FAKE_UNIT), 0);
}

static void wait_for_steps(size_t n)
{
    for (int i = 0; i < 20000 && fake_n_steps(&fake) < n; i++)
        usleep(500);
    assert_true(fake_n_steps(&fake) >= n);
}

/* Every step waits to be let go from now on; the scheduler is in one of a stream of its own. */
static struct pn_stream *hold(struct pn_scheduler *s)
{
    atomic_store(&fake.gated, true);
    struct pn_stream *st = open_stream(s, &FILE_WANT);
    feed_units(s, st, 1);
    sem_wait(&fake.entered);
    return st;
}

/* Lets the step that runs end after `us`, and waits until the next one has begun. */
static void step(int64_t us)
{
    fake_clock_pass(us);
    sem_post(&fake.gate);
    sem_wait(&fake.entered);
}

static void let_go(void)
{
    atomic_store(&fake.gated, false);
    sem_post(&fake.gate);
}

static void check_order(size_t from, struct pn_stream *const *want, size_t n)
{
    wait_for_steps(from + n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(fake_step_at(&fake, from + i).ids[0], fake_id(want[i]));
}

/* ---- live ---- */

/* Somebody who begins to talk goes before the three seconds that were pushed at once. */
static void test_people_before_recordings_that_are_pushed(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *pushed = open_stream(s, &LIVE_WANT), *talks = open_stream(s, &LIVE_WANT);
    for (size_t i = 1; i <= 2; i++) {
        feed_units(s, pushed, 10);
        wait_for_steps(10 * i);
    }
    struct pn_stream *held = hold(s);
    feed_units(s, pushed, 10); /* would come a second from now at the earliest */
    fake_clock_pass(5 * UNIT_US);
    feed_units(s, talks, 5);
    let_go();
    struct pn_stream *want[15];
    for (size_t i = 0; i < 15; i++)
        want[i] = i < 5 ? talks : pushed;
    check_order(21, want, 15);
    pn_scheduler_close(s, pushed);
    pn_scheduler_close(s, talks);
    pn_scheduler_close(s, held);
    stop(s);
}

/* How much older than a moment ago the newest sample is, microseconds. */
static int64_t age_of_newest(const struct pn_stream *st)
{
    return fake_clock_now() - pn_stream_due_us(st, atomic_load(&st->fed));
}

static void talk(struct pn_scheduler *s, struct pn_stream *st, int units)
{
    for (int i = 0; i < units; i++) {
        fake_clock_pass(UNIT_US);
        int r;
        while ((r = pn_scheduler_feed(s, st, SILENCE, FAKE_UNIT)) == -PN_EFULL)
            usleep(200);
        assert_int_equal(r, 0);
    }
}

static void test_audio_is_as_old_as_it_is(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *st = open_stream(s, &LIVE_WANT);
    assert_int_equal(pn_stream_due_us(st, 0), 0); /* not known */
    talk(s, st, 30);
    assert_in_range(age_of_newest(st), 0, UNIT_US);
    fake_clock_pass(60000000); /* a pause without audio */
    talk(s, st, 1);
    assert_in_range(age_of_newest(st), 0, UNIT_US);
    talk(s, st, 30);
    assert_in_range(age_of_newest(st), 0, UNIT_US);
    pn_scheduler_close(s, st);
    stop(s);
}

/* The network stood still for two seconds: afterwards the stream is not taken for a recording for ever. */
static void test_a_burst_is_forgotten(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *st = open_stream(s, &LIVE_WANT);
    talk(s, st, 30);
    fake_clock_pass(20 * UNIT_US);
    for (int i = 0; i < 20; i++) {
        fake_clock_pass(-UNIT_US);
        talk(s, st, 1);
    }
    int64_t early = -age_of_newest(st);
    assert_in_range(early, 5 * UNIT_US, 20 * UNIT_US);
    talk(s, st, 200);
    assert_in_range(age_of_newest(st), 0, UNIT_US);
    pn_scheduler_close(s, st);
    stop(s);
}

/* ---- files ---- */

/* However much of the long file waits, and for how long: the clip is done after its three steps and one of
 * the others. */
static void test_a_short_file_does_not_wait_for_a_long_one(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *first = open_stream(s, &FILE_WANT), *second = open_stream(s, &FILE_WANT);
    struct pn_stream *held = hold(s); /* the first step of files */
    feed_units(s, first, 10);
    feed_units(s, second, 10);
    struct pn_stream *clip = open_stream(s, &FILE_WANT);
    feed_units(s, clip, 3);
    assert_int_equal(pn_scheduler_finish(s, clip), 0);
    let_go();
    struct pn_stream *const want[] = { clip, clip, first, clip, first, first };
    check_order(1, want, PN_ARRAY_LEN(want));
    pn_scheduler_close(s, first);
    pn_scheduler_close(s, second);
    pn_scheduler_close(s, clip);
    pn_scheduler_close(s, held);
    stop(s);
}

/* Clips without end: a long file gets every fourth step all the same. */
static void test_a_long_file_is_not_starved(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *file = open_stream(s, &FILE_WANT), *clips[5];
    struct pn_stream *held = hold(s);
    feed_units(s, file, 10);
    for (size_t i = 0; i < 5; i++) {
        clips[i] = open_stream(s, &FILE_WANT);
        feed_units(s, clips[i], 8);
        assert_int_equal(pn_scheduler_finish(s, clips[i]), 0);
    }
    let_go();
    wait_for_steps(1 + 40);
    size_t n = 0;
    for (size_t i = 1; i <= 40; i++)
        n += fake_step_at(&fake, i).ids[0] == fake_id(file);
    assert_int_equal(n, 10);
    pn_scheduler_close(s, file);
    pn_scheduler_close(s, held);
    for (size_t i = 0; i < 5; i++)
        pn_scheduler_close(s, clips[i]);
    stop(s);
}

/* ---- load ---- */

static void test_load(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *held = hold(s), *file = open_stream(s, &FILE_WANT), *talks = open_stream(s, &LIVE_WANT);
    feed_units(s, file, 10);
    assert_int_equal(pn_scheduler_load(s).level, PN_LOAD_FINE);
    feed_units(s, talks, 10);
    step(6000000); /* a step that kept somebody waiting for six seconds; the next one begins */
    fake_clock_pass(3000000);
    struct pn_load load = pn_scheduler_load(s);
    assert_int_equal(load.level, PN_LOAD_FULL);
    assert_true(load.lag_s > 5 && load.lag_s < 7);
    for (int i = 0; i < 3; i++)
        step(1000000);
    assert_true(pn_scheduler_load(s).busy > 0.6);
    assert_true(fake.base.draft_pace > 1);
    assert_true(pn_scheduler_shed(s));
    assert_false(pn_scheduler_shed(s)); /* one a second */
    let_go();
    wait_for_steps(21);
    pn_scheduler_close(s, talks);
    assert_true(pn_scheduler_load(s).level < PN_LOAD_FULL); /* nobody talks */
    assert_false(pn_scheduler_shed(s));
    pn_scheduler_close(s, held);
    pn_scheduler_close(s, file);
    stop(s);
}

/* The first to come after a crowd that was too large has left is not made to pay for it. */
static void test_overload_leaves_with_its_speakers(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *held = hold(s), *talks = open_stream(s, &LIVE_WANT);
    feed_units(s, talks, 1);
    step(6000000);
    fake_clock_pass(3000000);
    assert_int_equal(pn_scheduler_load(s).level, PN_LOAD_FULL);
    let_go();
    wait_for_steps(2);
    assert_int_equal(pn_scheduler_load(s).level, PN_LOAD_FULL);
    pn_scheduler_close(s, talks);
    struct pn_stream *later = open_stream(s, &LIVE_WANT);
    assert_int_equal(pn_scheduler_load(s).level, PN_LOAD_FINE);
    assert_true(pn_scheduler_load(s).lag_s == 0);
    pn_scheduler_close(s, later);
    pn_scheduler_close(s, held);
    stop(s);
}

/* A file that waits, however long, is no lag. */
static void test_files_are_no_load(void **state)
{
    (void)state;
    struct pn_scheduler *s = start();
    struct pn_stream *held = hold(s), *file = open_stream(s, &FILE_WANT), *idle = open_stream(s, &LIVE_WANT);
    feed_units(s, file, 10);
    for (int i = 0; i < 8; i++)
        step(2000000);
    struct pn_load load = pn_scheduler_load(s);
    assert_int_equal(load.level, PN_LOAD_FINE);
    assert_true(load.lag_s == 0 && load.busy == 0);
    let_go();
    wait_for_steps(11);
    pn_scheduler_close(s, idle);
    pn_scheduler_close(s, held);
    pn_scheduler_close(s, file);
    stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_people_before_recordings_that_are_pushed),
        cmocka_unit_test(test_audio_is_as_old_as_it_is),
        cmocka_unit_test(test_a_burst_is_forgotten),
        cmocka_unit_test(test_a_short_file_does_not_wait_for_a_long_one),
        cmocka_unit_test(test_a_long_file_is_not_starved),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_overload_leaves_with_its_speakers),
        cmocka_unit_test(test_files_are_no_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
