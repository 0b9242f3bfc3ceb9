/* test_asr_live_leaving.c - sessions of the live engine end: closed at any moment, sent away under load. */
#include "live_case.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- leaving at any moment ---- */

static void leave_loading(struct client *c)
{
    atomic_store(&acquire_says, -PN_EAGAIN);
    assert_int_equal(try_talk(c, "named", "en"), 0);
    assert_int_equal(say(c, SECOND), 0);
    while (atomic_load(&n_asked) < 3)
        usleep(1000);
}

static void leave_silent(struct client *c)
{
    talk(c);
}

static void leave_talking(struct client *c)
{
    talk(c);
    assert_int_equal(say(c, SECOND / 10), 0);
    wait_for_move(c);
}

static void leave_in_a_step(struct client *c)
{
    atomic_store(&fake.gated, true);
    talk(c);
    assert_int_equal(say(c, SECOND), 0);
    sem_wait(&fake.entered);
}

static void leave_paused(struct client *c)
{
    atomic_store(&fake.gated, true);
    talk(c);
    while (say(c, SECOND) == 0)
        ;
    sem_wait(&fake.entered);
}

static void leave_finished(struct client *c)
{
    atomic_store(&fake.gated, true);
    talk(c);
    assert_int_equal(say(c, SECOND / 10), 0);
    pn_live_finish(c->live);
    sem_wait(&fake.entered);
}

static void leave_with_news(struct client *c)
{
    talk(c);
    assert_int_equal(say(c, SECOND / 10), 0);
    pn_live_finish(c->live);
    for (struct pn_live_stats stats = { 0 }; stats.ended == 0; stats = pn_live_stats(engine))
        usleep(1000);
}

static void (*const MOMENTS[])(struct client *) = { leave_loading,   leave_silent, leave_talking,
                                                    leave_in_a_step, leave_paused, leave_finished,
                                                    leave_with_news };

static void check_leaving(void (*reach)(struct client *), bool engine_goes)
{
    struct client c;
    set_up(2, 1600);
    reach(&c);
    uint64_t ended = pn_live_stats(engine).ended;
    if (engine_goes) {
        atomic_store(&fake.gated, false);
        let_steps_pass(1);
        tear_down();
        sem_destroy(&c.moved);
        return;
    }
    pn_live_close(c.live); /* at once, whatever the recogniser does */
    int told = atomic_load(&c.n_moved);
    atomic_store(&fake.gated, false);
    let_steps_pass(1);
    wait_for_open(0);
    assert_int_equal(atomic_load(&c.n_moved), told);
    assert_int_equal(pn_live_stats(engine).dropped, 1 - ended);
    sem_destroy(&c.moved);
    tear_down();
}

static void test_leaving_at_any_moment(void **state)
{
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(MOMENTS); i++)
        check_leaving(MOMENTS[i], false);
}

static void test_the_engine_goes_first(void **state)
{
    (void)state;
    for (size_t i = 0; i < PN_ARRAY_LEN(MOMENTS); i++)
        check_leaving(MOMENTS[i], true);
}

enum { CROWD = 200, CROWD_THREADS = 4 };

/* Comes, talks, and leaves in one of several ways. */
static void visit(int i)
{
    struct client c;
    talk(&c);
    for (int k = 0; k < i % 4; k++)
        assert_true(say(&c, (size_t)(600 + 977 * i % 9000)) >= 0);
    if (i % 3 == 0) {
        pn_live_finish(c.live);
        wait_for_end(&c);
        assert_int_equal(c.last.code, 0);
    } else if (i % 3 == 1) {
        pn_live_finish(c.live);
    }
    leave(&c);
}

static void *visit_many(void *arg)
{
    for (int i = 0; i < CROWD / CROWD_THREADS; i++)
        visit(i * CROWD_THREADS + (int)(intptr_t)arg);
    return NULL;
}

static void test_a_crowd(void **state)
{
    (void)state;
    pthread_t threads[CROWD_THREADS];
    set_up(CROWD, 1600);
    for (int i = 0; i < CROWD_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, visit_many, (void *)(intptr_t)i), 0);
    for (int i = 0; i < CROWD_THREADS; i++)
        pthread_join(threads[i], NULL);
    wait_for_open(0);
    struct pn_live_stats stats = pn_live_stats(engine);
    assert_int_equal(stats.opened, CROWD);
    assert_int_equal(stats.ended + stats.dropped, CROWD);
    assert_true(stats.ended >= CROWD / 3);
    tear_down();
}

/* ---- a machine that is behind ---- */

static void test_new_ones_are_refused(void **state)
{
    (void)state;
    struct client c, d;
    set_up(4, 1600);
    talk(&c);
    atomic_store(&load_level, PN_LOAD_FULL);
    assert_int_equal(try_talk(&d, "", "en"), -PN_EFULL);
    assert_int_equal(pn_live_stats(engine).refused, 1);
    start(&d, &(struct pn_live_request){ .format = PN_INTAKE_S16LE, .rate = 16000 }); /* a file may wait */
    leave(&d);
    assert_int_equal(say(&c, SECOND / 10), 0); /* who is in stays */
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_int_equal(c.last.code, 0);
    leave(&c);
    tear_down();
}

static void test_the_youngest_is_sent_away(void **state)
{
    (void)state;
    struct client old, young, file, finished;
    set_up(4, 1600);
    talk(&old);
    talk(&young);
    start(&file, &(struct pn_live_request){ .format = PN_INTAKE_S16LE, .rate = 16000 });
    atomic_store(&fake.gated, true);
    talk(&finished);
    assert_int_equal(say(&finished, SECOND / 10), 0);
    pn_live_finish(finished.live);
    sem_wait(&fake.entered);
    atomic_store(&shed_says, true);
    while (atomic_load(&shed_says)) { /* somebody has turns */
        assert_int_equal(say(&old, 2), 0);
        usleep(5000);
    }
    wait_for_end(&young);
    assert_int_equal(young.last.code, -PN_EFULL);
    assert_int_equal(pn_live_stats(engine).shed, 1);
    assert_int_equal(pn_live_stats(engine).failed, 0);
    atomic_store(&fake.gated, false);
    let_steps_pass(1);
    wait_for_end(&finished);
    assert_int_equal(finished.last.code, 0);
    leave(&young);
    leave(&finished);
    leave(&old);
    leave(&file);
    tear_down();
}

static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(test_leaving_at_any_moment),
    cmocka_unit_test(test_the_engine_goes_first),
    cmocka_unit_test(test_a_crowd),
    cmocka_unit_test(test_new_ones_are_refused),
    cmocka_unit_test(test_the_youngest_is_sent_away),
};

int main(void)
{
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
