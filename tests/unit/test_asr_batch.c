/* test_asr_batch.c - which streams a step is for; how long steps took; CPU quotas; the sample ring. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/batch.h"
#include "asr/cpus.h"
#include "asr/models.h"
#include "asr/pcm_inbox.h"
#include "asr/step_times.h"

#include <math.h>
#include <sched.h>
#include <string.h>

static const struct pn_recognizer A, B;

#define FILE_STREAM(r, ph, n_rows, due)                                           \
    {                                                                             \
        &(r), { .phase = (ph), .rows = (n_rows), .deadline_us = (due) }, false, 0 \
    }
#define LIVE_STREAM(r, ph, n_rows, due)                                          \
    {                                                                            \
        &(r), { .phase = (ph), .rows = (n_rows), .deadline_us = (due) }, true, 0 \
    }

/* `want`: indices in order, ended by -1. */
static void check(const struct pn_candidate *c, size_t n, size_t max, int budget, const int *want)
{
    size_t chosen[16];
    size_t got = pn_batch_choose(c, n, max, budget, chosen);
    size_t n_want = 0;
    while (want[n_want] >= 0)
        n_want++;
    assert_int_equal(got, n_want);
    for (size_t i = 0; i < got; i++)
        assert_int_equal(chosen[i], want[i]);
}

static void test_nobody_has_work(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 0, 1, 5), LIVE_STREAM(B, 0, 1, 1) };
    check(c, 2, 8, 100, (int[]){ -1 });
    check(NULL, 0, 8, 100, (int[]){ -1 });
}

static void test_oldest_deadline_first(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 1, 1, 30), FILE_STREAM(A, 1, 1, 10),
                                      FILE_STREAM(A, 1, 1, 20), FILE_STREAM(A, 1, 1, 10) };
    check(c, 4, 8, 100, (int[]){ 1, 3, 2, 0, -1 });
}

static void test_live_first(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 1, 1, 1), LIVE_STREAM(A, 1, 1, 90),
                                      LIVE_STREAM(A, 1, 1, 80) };
    check(c, 3, 8, 100, (int[]){ 2, 1, 0, -1 });
}

/* What may be left out comes behind what may not, however old it is, but before files. */
static void test_optional_work_last(void **state)
{
    struct pn_candidate c[] = { FILE_STREAM(A, 1, 1, 1), LIVE_STREAM(A, 1, 1, 10), LIVE_STREAM(A, 1, 1, 90) };
    c[1].work.optional = true;
    check(c, 3, 8, 100, (int[]){ 2, 1, 0, -1 });
    c[2].work.phase = 2; /* then it is alone */
    check(c, 3, 8, 100, (int[]){ 2, -1 });
}

static void test_files_of_lower_ranks_first(void **state)
{
    struct pn_candidate c[] = { FILE_STREAM(A, 1, 1, 10), FILE_STREAM(A, 1, 1, 20), FILE_STREAM(A, 1, 1, 30),
                                LIVE_STREAM(A, 1, 1, 99) };
    c[0].rank = 7;
    c[2].rank = 1;
    c[1].rank = 1;
    check(c, 3, 8, 100, (int[]){ 1, 2, 0, -1 });
    check(c, 4, 8, 100, (int[]){ 3, 1, 2, 0, -1 });
    check(c, 4, 2, 100, (int[]){ 3, 1, -1 });
}

static void test_ranks(void **state)
{
    assert_int_equal(pn_batch_rank(-1), 0);
    assert_int_equal(pn_batch_rank(0), 0);
    assert_int_equal(pn_batch_rank(4), 0);
    assert_int_equal(pn_batch_rank(5), pn_batch_rank(7));
    assert_true(pn_batch_rank(3) < pn_batch_rank(25));
    assert_true(pn_batch_rank(25) < pn_batch_rank(600));
    assert_int_equal(pn_batch_rank(590), pn_batch_rank(600));
    assert_true(pn_batch_rank(1e9) < 100);
}

/* Against the rule as it is written: the most urgent of those that are left, again and again. */
static bool goes_before(const struct pn_candidate *a, const struct pn_candidate *b)
{
    return a->live != b->live ? a->live : a->work.deadline_us < b->work.deadline_us;
}

static void check_in_order(const struct pn_candidate *c, size_t n, size_t max)
{
    size_t chosen[300];
    bool taken[300] = { false };
    size_t got = pn_batch_choose(c, n, max, 1000, chosen);
    for (size_t k = 0; k < got; k++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++)
            if (!taken[i] && c[i].work.phase == c[chosen[0]].work.phase &&
                (best == n || goes_before(&c[i], &c[best])))
                best = i;
        assert_int_equal(chosen[k], best);
        taken[best] = true;
    }
    assert_int_equal(got, PN_MIN(n, max));
}

static void test_many(void **state)
{
    static struct pn_candidate c[300];
    unsigned random = 1;
    for (size_t i = 0; i < PN_ARRAY_LEN(c); i++) {
        random = random * 1103515245 + 12345;
        c[i] = (struct pn_candidate)FILE_STREAM(A, 1, 1, random >> 24);
        c[i].live = (random >> 20) & 1;
    }
    check_in_order(c, PN_ARRAY_LEN(c), 32);
    check_in_order(c, PN_ARRAY_LEN(c), 300);
    check_in_order(c, 20, 32);
}

static void test_one_recogniser_and_phase(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 2, 1, 40), FILE_STREAM(B, 1, 1, 10),
                                      FILE_STREAM(A, 1, 1, 20), FILE_STREAM(B, 2, 1, 11),
                                      FILE_STREAM(B, 1, 1, 50) };
    check(c, 5, 8, 100, (int[]){ 1, 4, -1 });
    check(c, 1, 8, 100, (int[]){ 0, -1 });
    const struct pn_candidate live_elsewhere[] = { FILE_STREAM(A, 1, 1, 1), LIVE_STREAM(B, 1, 1, 99) };
    check(live_elsewhere, 2, 8, 100, (int[]){ 1, -1 });
}

static void test_batch_size(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 1, 1, 3), FILE_STREAM(A, 1, 1, 2),
                                      FILE_STREAM(A, 1, 1, 1) };
    check(c, 3, 2, 100, (int[]){ 2, 1, -1 });
    check(c, 3, 1, 100, (int[]){ 2, -1 });
}

static void test_row_budget(void **state)
{
    const struct pn_candidate c[] = { FILE_STREAM(A, 1, 6, 1), FILE_STREAM(A, 1, 4, 2),
                                      FILE_STREAM(A, 1, 5, 3), FILE_STREAM(A, 1, 1, 4) };
    check(c, 4, 8, 10, (int[]){ 0, 1, -1 }); /* the small last one does not overtake */
    check(c, 4, 8, 16, (int[]){ 0, 1, 2, 3, -1 });
    check(c, 4, 8, 1, (int[]){ 0, -1 }); /* the most urgent goes whatever it needs */
}

static void test_step_times(void **state)
{
    static struct pn_step_times t;
    assert_true(pn_step_times_p99_ms(&t) == 0.0);
    pn_step_times_add(&t, 7000);
    assert_true(fabs(pn_step_times_p99_ms(&t) - 7.0) < 1e-9);
    for (int i = 1; i <= 100; i++)
        pn_step_times_add(&t, i * 1000);
    assert_true(fabs(pn_step_times_p99_ms(&t) - 99.0) < 1e-9);
    for (int i = 0; i < 2 * PN_STEP_TIMES; i++)
        pn_step_times_add(&t, 2000);
    assert_true(fabs(pn_step_times_p99_ms(&t) - 2.0) < 1e-9);
    pn_step_times_add(&t, INT64_MAX);
    pn_step_times_add(&t, -1);
    assert_true(pn_step_times_p99_ms(&t) > 0.0);
}

static void test_cpu_quota(void **state)
{
    assert_true(pn_cpu_quota_v2(PN_STR("150000 100000\n")) == 1.5);
    assert_true(pn_cpu_quota_v2(PN_STR("max 100000\n")) == 0.0);
    assert_true(pn_cpu_quota_v2(PN_STR("")) == 0.0);
    assert_true(pn_cpu_quota_v2(PN_STR("5")) == 0.0);
    assert_true(pn_cpu_quota_v2(PN_STR("5 0")) == 0.0);
    assert_true(pn_cpu_quota_v2(PN_STR("99999999999999999999 1")) == 0.0);
    assert_true(pn_cpu_quota_v1(PN_STR("200000\n"), PN_STR("100000\n")) == 2.0);
    assert_true(pn_cpu_quota_v1(PN_STR("-1\n"), PN_STR("100000\n")) == 0.0);
    cpu_set_t set;
    assert_int_equal(sched_getaffinity(0, sizeof(set), &set), 0);
    assert_in_range(pn_compute_threads(), 1, CPU_COUNT(&set));
}

static void test_pcm_inbox(void **state)
{
    struct pn_pcm_inbox in;
    float pcm[8] = { 0, 1, 2, 3, 4, 5, 6, 7 }, got[8];
    bool end = true;
    assert_int_equal(pn_pcm_inbox_init(&in, 5), 0);
    assert_int_equal(pn_pcm_inbox_push(&in, pcm, 6), -PN_EFULL);
    for (int round = 0; round < 7; round++) { /* around the ring */
        assert_int_equal(pn_pcm_inbox_push(&in, pcm, 3), 0);
        assert_int_equal(pn_pcm_inbox_push(&in, pcm + 3, 3), -PN_EFULL); /* all or nothing */
        assert_int_equal(pn_pcm_inbox_push(&in, pcm + 3, 1), 0);
        assert_int_equal(pn_pcm_inbox_peek(&in, got, 8, &end), 4);
        assert_false(end);
        assert_memory_equal(got, pcm, 4 * sizeof(float));
        pn_pcm_inbox_drop(&in, 1);
        assert_int_equal(pn_pcm_inbox_take(&in, got, 2, &end), 2);
        assert_memory_equal(got, pcm + 1, 2 * sizeof(float));
        assert_int_equal(pn_pcm_inbox_push(&in, pcm + 4, 2), 0);
        assert_int_equal(pn_pcm_inbox_take(&in, got, 8, &end), 3);
        assert_memory_equal(got, pcm + 3, 3 * sizeof(float));
        assert_false(end);
        assert_int_equal(pn_pcm_inbox_push(&in, pcm, 2), 0); /* shifts the head for the next round */
        pn_pcm_inbox_drop(&in, 9);
    }
    assert_int_equal(pn_pcm_inbox_push(&in, pcm, 2), 0);
    pn_pcm_inbox_finish(&in);
    assert_int_equal(pn_pcm_inbox_push(&in, pcm, 1), -PN_ECANCELLED);
    assert_int_equal(pn_pcm_inbox_len(&in, &end), 2);
    assert_true(end);
    assert_int_equal(pn_pcm_inbox_peek(&in, got, 1, &end), 1);
    assert_false(end);
    assert_int_equal(pn_pcm_inbox_take(&in, got, 8, &end), 2);
    assert_true(end);
    pn_pcm_inbox_done(&in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nobody_has_work),
        cmocka_unit_test(test_oldest_deadline_first),
        cmocka_unit_test(test_live_first),
        cmocka_unit_test(test_optional_work_last),
        cmocka_unit_test(test_files_of_lower_ranks_first),
        cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_one_recogniser_and_phase),
        cmocka_unit_test(test_batch_size),
        cmocka_unit_test(test_row_budget),
        cmocka_unit_test(test_step_times),
        cmocka_unit_test(test_cpu_quota),
        cmocka_unit_test(test_pcm_inbox),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
