/* test_asr_load.c - from lags and steps, at times that the test makes up, to what is advised. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/load.h"

#include <math.h>

enum { START_US = 1000000000, STEP_US = 20000 };

/* A machine in steps of 20 ms: how long somebody waits, what the steps are for. */
struct machine {
    struct pn_load_meter m;
    int64_t now_us;
    struct pn_load_look look;
    double must, any;
};

static struct machine machine(int n_live, double lag_s, double must)
{
    struct machine x = { .now_us = START_US, .must = must, .any = must };
    x.look = (struct pn_load_look){ .n_live = n_live, .lag_s = lag_s, .steps = true };
    pn_load_meter_init(&x.m, START_US);
    return x;
}

static void go_on(struct machine *x, double seconds)
{
    for (int64_t end = x->now_us + (int64_t)(seconds * 1e6); x->now_us < end;) {
        pn_load_meter_look(&x->m, x->now_us, &x->look);
        x->now_us += STEP_US;
        pn_load_meter_step(&x->m, x->now_us, STEP_US, x->must, x->any);
    }
}

static struct pn_load load(struct machine *x)
{
    return pn_load_meter_read(&x->m, x->now_us, x->look.n_live);
}

static void test_nothing_to_do(void **state)
{
    (void)state;
    struct machine x = machine(0, 0, 0);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
    go_on(&x, 10);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
    assert_true(load(&x).lag_s == 0);
    assert_true(pn_load_meter_pace(&x.m) == 1);
    assert_false(pn_load_meter_shed(&x.m, x.now_us));
}

/* A single late chunk is no news; somebody who waits all the time is. */
static void test_lag(void **state)
{
    (void)state;
    struct machine x = machine(4, 1.5, 0.3);
    go_on(&x, 0.06);
    x.look.lag_s = 0;
    go_on(&x, 0.1);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
    x.look.lag_s = 0.3;
    go_on(&x, 5);
    assert_int_equal(load(&x).level, PN_LOAD_BEHIND);
    assert_true(fabs(load(&x).lag_s - 0.3) < 0.01);
    x.look.lag_s = 0.8;
    go_on(&x, 5);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
}

/* Between the two marks it stays what it was. */
static void test_no_flapping(void **state)
{
    (void)state;
    struct machine x = machine(4, 0.4, 0.3);
    go_on(&x, 10);
    assert_int_equal(load(&x).level, PN_LOAD_BEHIND);
    x.look.lag_s = 0.8;
    go_on(&x, 10);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    x.look.lag_s = 0.4;
    go_on(&x, 10);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    x.look.lag_s = 0.1;
    go_on(&x, 10);
    assert_true(load(&x).level < PN_LOAD_FULL);
}

/* Eight streams take 0.9 of the time and wait a little: a ninth would be too many. */
static void test_forecast(void **state)
{
    (void)state;
    struct machine x = machine(8, 0.18, 0.9);
    go_on(&x, 40);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    assert_true(fabs(load(&x).busy - 0.9) < 0.01);
    x = machine(8, 0.18, 0.5);
    go_on(&x, 40);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

/* Newcomers count before their work is seen: as much as those that are known. */
static void test_newcomers_count_at_once(void **state)
{
    (void)state;
    struct machine x = machine(4, 0.18, 0.4);
    go_on(&x, 40);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
    x.look.n_live = 9;
    go_on(&x, 0.02);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    x.look.n_live = 4; /* and leave as quickly */
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

/* A crowd that comes before anybody has to wait is let in up to what is likely to be too much. */
static void test_a_crowd(void **state)
{
    (void)state;
    struct machine x = machine(4, 0, 0.4);
    go_on(&x, 40);
    for (int n = 5; n < 12; n++) {
        x.look.n_live = n;
        assert_int_equal(load(&x).level, PN_LOAD_FINE);
    }
    x.look.n_live = 13;
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    x.must = 0.5; /* a shared step costs thirteen little more than four */
    go_on(&x, 10);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

/* What one takes is known from those before: a crowd that comes at once is let in up to that. Those who had
 * to wait took less than they would have, and those that had just come. */
static void test_a_crowd_after_a_pause(void **state)
{
    (void)state;
    struct machine x = machine(8, 0, 0.4);
    go_on(&x, 40);
    x.look.n_live = 60;
    x.must = x.any = 0;
    go_on(&x, 1);
    x.look.lag_s = 2;
    x.must = x.any = 1;
    go_on(&x, 20);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    pn_load_meter_all_gone(&x.m, x.now_us);
    for (int n = 0; n < 24; n++) {
        x.look = (struct pn_load_look){ .n_live = n };
        pn_load_meter_look(&x.m, x.now_us, &x.look);
        assert_int_equal(load(&x).level, PN_LOAD_FINE);
    }
    x.look.n_live = 28;
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
}

/* Large steps that nobody waits for: more streams would only make them larger. */
static void test_busy_alone_is_not_full(void **state)
{
    (void)state;
    struct machine x = machine(20, 0.02, 1);
    go_on(&x, 20);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

/* Drafts and files may take all the time there is. */
static void test_what_may_be_left_out_is_no_load(void **state)
{
    (void)state;
    struct machine x = machine(3, 0.05, 0.1);
    x.any = 1;
    go_on(&x, 20);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
    assert_true(fabs(load(&x).busy - 0.1) < 0.01);
}

static void test_the_first_is_never_refused(void **state)
{
    (void)state;
    struct machine x = machine(1, 3, 1); /* one alone is too much for the machine */
    go_on(&x, 20);
    assert_int_equal(load(&x).level, PN_LOAD_FULL);
    x.look.n_live = 0;
    assert_true(load(&x).level < PN_LOAD_FULL);
}

/* Asked while a step runs, which may be long, and while nothing does. */
static void test_reading_in_between(void **state)
{
    (void)state;
    struct machine x = machine(8, 0.18, 0.9);
    go_on(&x, 40);
    for (int i = 0; i < 1000; i++) { /* reading changes nothing */
        x.now_us += 10000;
        assert_true(fabs(load(&x).busy - 0.9) < 0.01);
    }
    x.look.steps = false;
    x.look.lag_s = 0;
    pn_load_meter_look(&x.m, x.now_us, &x.look);
    x.now_us += 30000000;
    assert_true(load(&x).busy < 0.01);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

/* ---- drafts ---- */

static void test_drafts_become_rarer_step_by_step(void **state)
{
    (void)state;
    struct machine x = machine(4, 0.3, 0.3);
    double last = 1;
    for (int i = 0; i < 5; i++) {
        go_on(&x, 1.5);
        assert_true(pn_load_meter_pace(&x.m) >= last);
        last = pn_load_meter_pace(&x.m);
    }
    go_on(&x, 20);
    assert_true(pn_load_meter_pace(&x.m) == 8);
    x.look.lag_s = 0.05;
    go_on(&x, 4);
    assert_in_range((int)pn_load_meter_pace(&x.m), 2, 7);
    assert_int_equal(load(&x).level, PN_LOAD_BEHIND);
    go_on(&x, 20);
    assert_true(pn_load_meter_pace(&x.m) == 1);
    assert_int_equal(load(&x).level, PN_LOAD_FINE);
}

static void test_drafts_leave_room_for_files(void **state)
{
    (void)state;
    struct machine x = machine(4, 0.05, 0.1);
    x.any = 1;
    go_on(&x, 20);
    assert_true(pn_load_meter_pace(&x.m) == 1); /* nobody else wants the time */
    x.look.files_wait = true;
    go_on(&x, 20);
    assert_true(pn_load_meter_pace(&x.m) > 4);
    x.any = 0.5;
    go_on(&x, 30);
    assert_true(pn_load_meter_pace(&x.m) == 1);
}

/* ---- too many ---- */

/* How often it is advised within so many seconds, asked every 100 ms, while the lag changes. */
static int sheds(struct machine *x, double seconds, double lag_per_s)
{
    int n = 0;
    for (int i = 0; i < (int)(seconds * 10); i++) {
        go_on(x, 0.1);
        x->look.lag_s += lag_per_s / 10;
        n += pn_load_meter_shed(&x->m, x->now_us);
    }
    return n;
}

static void test_one_after_the_other_is_given_up(void **state)
{
    (void)state;
    struct machine x = machine(20, 3, 1);
    assert_int_equal(sheds(&x, 10, 0), 0); /* bad, but bearable */
    x.look.lag_s = 7;
    int n = sheds(&x, 1.5, 0.2);
    assert_in_range(n, 0, 1);
    n = sheds(&x, 10, 0.2); /* it grows */
    assert_in_range(n, 9, 10);
    n = sheds(&x, 5, 0); /* it stays as it is */
    assert_in_range(n, 4, 5);
    sheds(&x, 1.2, -0.5);
    assert_int_equal(sheds(&x, 3, -0.5), 0); /* it falls: what was done helps */
}

static void test_a_short_stall_costs_nobody_anything(void **state)
{
    (void)state;
    struct machine x = machine(20, 0.1, 0.5);
    go_on(&x, 5);
    x.look.lag_s = 12;
    int n = sheds(&x, 0.9, 0);
    x.look.lag_s = 0.1;
    n += sheds(&x, 10, 0);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_to_do),
        cmocka_unit_test(test_lag),
        cmocka_unit_test(test_no_flapping),
        cmocka_unit_test(test_forecast),
        cmocka_unit_test(test_newcomers_count_at_once),
        cmocka_unit_test(test_a_crowd),
        cmocka_unit_test(test_a_crowd_after_a_pause),
        cmocka_unit_test(test_busy_alone_is_not_full),
        cmocka_unit_test(test_what_may_be_left_out_is_no_load),
        cmocka_unit_test(test_the_first_is_never_refused),
        cmocka_unit_test(test_reading_in_between),
        cmocka_unit_test(test_drafts_become_rarer_step_by_step),
        cmocka_unit_test(test_drafts_leave_room_for_files),
        cmocka_unit_test(test_one_after_the_other_is_given_up),
        cmocka_unit_test(test_a_short_stall_costs_nobody_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
