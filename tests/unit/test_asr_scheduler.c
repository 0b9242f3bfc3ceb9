/* test_asr_scheduler.c - the scheduler with a recogniser whose steps can be watched and held up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/scheduler.h"
#include "base/clock.h"
#include "fake_recognizer.h"

#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static struct fake fake; /* too large for a stack */
static const struct pn_recognition FILE_WANT = { .language = "", .task = "transcribe", .live = false };
static const struct pn_recognition LIVE_WANT = { .language = "", .task = "transcribe", .live = true };
static const float SILENCE[FAKE_INBOX];

static struct pn_scheduler *start(int max_streams, int batch_size)
{
    struct pn_scheduler *s = NULL;
    struct pn_scheduler_options opt = { max_streams, batch_size, 1000 };
    fake_init(&fake);
    assert_int_equal(pn_scheduler_new(&opt, &s, NULL), 0);
    return s;
}

static void stop(struct pn_scheduler *s)
{
    assert_null(pn_scheduler_free(s));
    fake_done(&fake);
}

static void post(void *ctx)
{
    sem_post(ctx);
}

static struct pn_stream *open_stream(struct pn_scheduler *s, const struct pn_recognition *want, sem_t *moved)
{
    struct pn_stream *st = NULL;
    assert_int_equal(pn_scheduler_open(s, &fake.base, want, moved ? post : NULL, moved, &st, NULL), 0);
    return st;
}

static void feed_units(struct pn_scheduler *s, struct pn_stream *st, size_t units)
{
    assert_int_equal(pn_scheduler_feed(s, st, SILENCE, units * FAKE_UNIT), 0);
}

static void wait_final(struct pn_stream *st, sem_t *moved)
{
    while (st->recognizer->ops->status(st, NULL) == 0)
        sem_wait(moved);
}

static void test_one_stream_through_its_phases(void **state)
{
    struct pn_scheduler *s = start(4, 4);
    sem_t moved;
    sem_init(&moved, 0, 0);
    struct pn_stream *st = open_stream(s, &FILE_WANT, &moved);
    feed_units(s, st, 3);
    assert_int_equal(pn_scheduler_finish(s, st), 0);
    wait_final(st, &moved);
    struct pn_transcript *t = NULL;
    assert_int_equal(st->recognizer->ops->result(st, &t, NULL), 0);
    assert_string_equal(t->text, "4800");
    assert_true(t->final);
    pn_transcript_free(t);
    pn_scheduler_close(s, st);
    assert_int_equal(fake_n_steps(&fake), 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fake_step_at(&fake, i).phase, i % 2 ? 2 : 1);
    struct pn_scheduler_stats stats = pn_scheduler_stats(s);
    assert_int_equal(stats.steps, 3);
    assert_int_equal(stats.rows, 3);
    assert_int_equal(stats.streams, 0);
    sem_destroy(&moved);
    stop(s);
}

/* Holds the scheduler in a step of a stream of its own, so that others can pile up. */
static struct pn_stream *hold(struct pn_scheduler *s)
{
    atomic_store(&fake.gated, true);
    struct pn_stream *st = open_stream(s, &FILE_WANT, NULL);
    feed_units(s, st, 1);
    sem_wait(&fake.entered);
    return st;
}

static void let_go(void)
{
    atomic_store(&fake.gated, false);
    sem_post(&fake.gate);
}

static void wait_for_steps(size_t n)
{
    int64_t end = pn_now_us() + 10000000;
    while (fake_n_steps(&fake) < n && pn_now_us() < end)
        usleep(500);
    assert_true(fake_n_steps(&fake) >= n);
}

static void test_streams_are_stepped_together(void **state)
{
    struct pn_scheduler *s = start(8, 4);
    struct pn_stream *held = hold(s), *st[6];
    for (size_t i = 0; i < 6; i++) {
        st[i] = open_stream(s, &FILE_WANT, NULL);
        feed_units(s, st[i], 1);
    }
    let_go();
    wait_for_steps(3);
    struct fake_step first = fake_step_at(&fake, 1), second = fake_step_at(&fake, 2);
    assert_int_equal(first.n, 4); /* the batch size */
    assert_int_equal(second.n, 2);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(first.ids[i], fake_id(st[i]));
    for (size_t i = 0; i < 6; i++)
        pn_scheduler_close(s, st[i]);
    pn_scheduler_close(s, held);
    assert_int_equal(pn_scheduler_stats(s).rows, 7);
    stop(s);
}

static void test_order_of_deadlines_and_live_streams(void **state)
{
    static const int64_t deadlines[] = { 400, 200, 300, 900 };
    struct pn_scheduler *s = start(8, 1);
    struct pn_stream *held = hold(s), *st[4];
    for (size_t i = 0; i < 4; i++) {
        fake.next_deadline_us = deadlines[i];
        st[i] = open_stream(s, i == 3 ? &LIVE_WANT : &FILE_WANT, NULL);
        feed_units(s, st[i], 1);
    }
    assert_int_equal(pn_scheduler_stats(s).live, 1);
    assert_int_equal(pn_scheduler_stats(s).streams, 5);
    let_go();
    wait_for_steps(5);
    static const size_t want[] = { 3, 1, 2, 0 };
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fake_step_at(&fake, i + 1).ids[0], fake_id(st[want[i]]));
    for (size_t i = 0; i < 4; i++)
        pn_scheduler_close(s, st[i]);
    pn_scheduler_close(s, held);
    assert_int_equal(pn_scheduler_stats(s).live, 0);
    stop(s);
}

struct closing {
    struct pn_scheduler *scheduler;
    struct pn_stream *stream;
    atomic_bool closed;
    atomic_int progress_after;
};

static void count_late_progress(void *ctx)
{
    struct closing *c = ctx;
    if (atomic_load(&c->closed))
        atomic_fetch_add(&c->progress_after, 1);
}

static void *close_it(void *arg)
{
    struct closing *c = arg;
    pn_scheduler_close(c->scheduler, c->stream);
    atomic_store(&c->closed, true);
    return NULL;
}

static void test_close_waits_for_the_step_only(void **state)
{
    static struct closing c;
    struct pn_scheduler *s = start(4, 4);
    c.scheduler = s;
    atomic_store(&fake.gated, true);
    assert_int_equal(pn_scheduler_open(s, &fake.base, &FILE_WANT, count_late_progress, &c, &c.stream, NULL),
                     0);
    feed_units(s, c.stream, 5); /* much more work than the step it is in */
    sem_wait(&fake.entered);
    pthread_t thread;
    pthread_create(&thread, NULL, close_it, &c);
    usleep(50000);
    assert_false(atomic_load(&c.closed));
    /* Others are not held up by the one that closes. */
    struct pn_stream *other = open_stream(s, &FILE_WANT, NULL);
    feed_units(s, other, 1);
    let_go();
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&c.progress_after), 0);
    wait_for_steps(2);
    assert_int_equal(fake_step_at(&fake, 1).n, 1);
    pn_scheduler_close(s, other);
    assert_int_equal(atomic_load(&c.progress_after), 0);
    stop(s);
}

static void test_slots(void **state)
{
    struct pn_scheduler *s = start(2, 2);
    struct pn_stream *a = open_stream(s, &FILE_WANT, NULL), *b = open_stream(s, &FILE_WANT, NULL), *c = a;
    struct pn_err err = { 0 };
    assert_int_equal(pn_scheduler_open(s, &fake.base, &FILE_WANT, NULL, NULL, &c, &err), -PN_EFULL);
    assert_int_equal(err.code, PN_EFULL);
    assert_ptr_equal(c, a);
    pn_scheduler_close(s, a);
    fake.fail_open = -PN_ENOMEM; /* a slot that opening failed for is free again */
    for (int i = 0; i < 3; i++)
        assert_int_equal(pn_scheduler_open(s, &fake.base, &FILE_WANT, NULL, NULL, &c, NULL), -PN_ENOMEM);
    fake.fail_open = 0;
    a = open_stream(s, &FILE_WANT, NULL);
    assert_int_equal(pn_scheduler_stats(s).streams, 2);
    pn_scheduler_close(s, b);
    pn_scheduler_close(s, a);
    stop(s);
}

static void test_full_inbox_tells_when_there_is_room(void **state)
{
    struct pn_scheduler *s = start(2, 2);
    sem_t moved;
    sem_init(&moved, 0, 0);
    fake.step_us = 500;
    struct pn_stream *st = open_stream(s, &FILE_WANT, &moved);
    int full = 0;
    for (int fed = 0; fed < 50; fed++) {
        int r;
        while ((r = pn_scheduler_feed(s, st, SILENCE, FAKE_UNIT)) == -PN_EFULL) {
            full++;
            sem_wait(&moved); /* hangs if nobody says so */
        }
        assert_int_equal(r, 0);
    }
    assert_true(full > 0);
    assert_int_equal(pn_scheduler_finish(s, st), 0);
    assert_int_equal(pn_scheduler_feed(s, st, SILENCE, 1), -PN_ECANCELLED);
    wait_final(st, &moved);
    pn_scheduler_close(s, st);
    sem_destroy(&moved);
    stop(s);
}

/* A recogniser's own thread wakes the scheduler: without it, nobody would ask again. */
static void test_wake_from_the_recogniser(void **state)
{
    struct pn_scheduler *s = start(2, 2);
    struct pn_stream *st = open_stream(s, &FILE_WANT, NULL);
    feed_units(s, st, 1);
    wait_for_steps(1);
    usleep(50000);                                                          /* it sleeps again */
    assert_int_equal(st->recognizer->ops->feed(st, SILENCE, FAKE_UNIT), 0); /* behind its back */
    fake.base.wake(fake.base.wake_ctx);
    wait_for_steps(2);
    pn_scheduler_close(s, st);
    stop(s);
}

static void test_options_are_checked(void **state)
{
    struct pn_scheduler *s = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_scheduler_new(&(struct pn_scheduler_options){ 0, 1, 1 }, &s, &err), -PN_EINVAL);
    assert_null(s);
    assert_null(pn_scheduler_free(NULL));
}

/* ---- many owners at once ---- */

enum { OWNERS = 6, ROUNDS = 30 };

static void *own_streams(void *arg)
{
    struct pn_scheduler *s = arg;
    sem_t moved;
    sem_init(&moved, 0, 0);
    for (int round = 0; round < ROUNDS; round++) {
        struct pn_stream *st = NULL;
        if (pn_scheduler_open(s, &fake.base, round % 3 ? &FILE_WANT : &LIVE_WANT, post, &moved, &st, NULL) <
            0)
            abort();
        int units = round % 5;
        if (pn_scheduler_feed(s, st, SILENCE, (size_t)units * FAKE_UNIT) < 0)
            abort();
        if (round % 4 != 3) { /* every fourth is left in the middle */
            if (pn_scheduler_finish(s, st) < 0)
                abort();
            wait_final(st, &moved);
        }
        pn_scheduler_close(s, st);
    }
    sem_destroy(&moved);
    return NULL;
}

static void test_many_owners(void **state)
{
    struct pn_scheduler *s = start(OWNERS, 4);
    pthread_t threads[OWNERS];
    for (size_t i = 0; i < OWNERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, own_streams, s), 0);
    for (int i = 0; i < 50; i++) {
        struct pn_scheduler_stats stats = pn_scheduler_stats(s);
        assert_in_range(stats.streams, 0, OWNERS);
        usleep(200);
    }
    for (size_t i = 0; i < OWNERS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < fake_n_steps(&fake); i++)
        assert_in_range(fake_step_at(&fake, i).n, 1, 4);
    assert_int_equal(pn_scheduler_stats(s).streams, 0);
    stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_stream_through_its_phases),
        cmocka_unit_test(test_streams_are_stepped_together),
        cmocka_unit_test(test_order_of_deadlines_and_live_streams),
        cmocka_unit_test(test_close_waits_for_the_step_only),
        cmocka_unit_test(test_slots),
        cmocka_unit_test(test_full_inbox_tells_when_there_is_room),
        cmocka_unit_test(test_wake_from_the_recogniser),
        cmocka_unit_test(test_options_are_checked),
        cmocka_unit_test(test_many_owners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
