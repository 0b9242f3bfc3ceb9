/* test_asr_transcriber.c - jobs from files to results, with a recogniser that can be held up, on raw PCM (no
 * child) and, for failures, on the real decoder. The program is named by PINNA_DECODE. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/transcriber.h"
#include "base/clock.h"
#include "fake_recognizer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct fake fake;
static struct pn_decoder_pool *decoders;

struct bench {
    struct pn_scheduler *scheduler;
    struct pn_transcriber *transcriber;
};

static struct bench set_up(int slots, int threads, int concurrent, int queue)
{
    struct bench b = { 0 };
    struct pn_scheduler_options sched = { slots, 4, 1000 };
    fake_init(&fake);
    assert_int_equal(pn_scheduler_new(&sched, &b.scheduler, NULL), 0);
    struct pn_transcriber_options opt = { b.scheduler, decoders, threads, concurrent, queue, false };
    assert_int_equal(pn_transcriber_new(&opt, &b.transcriber, NULL), 0);
    return b;
}

static void tear_down(struct bench *b)
{
    assert_null(pn_transcriber_free(b->transcriber));
    assert_int_equal(pn_scheduler_stats(b->scheduler).streams, 0);
    assert_null(pn_scheduler_free(b->scheduler));
    fake_done(&fake);
}

/* ---- jobs of the test ---- */

struct job {
    pn_job_id id;
    sem_t ended;
    atomic_int n_done, n_progress;
    int order; /* in which jobs ended */
    double position, duration;
    struct pn_job_result result;
};

static atomic_int n_ended;

static void on_done(void *ctx, pn_job_id id, struct pn_job_result *result)
{
    struct job *j = ctx;
    j->result = *result;
    j->order = atomic_fetch_add(&n_ended, 1);
    atomic_fetch_add(&j->n_done, 1);
    sem_post(&j->ended);
}

static void on_progress(void *ctx, pn_job_id id, double position_s, double duration_s)
{
    struct job *j = ctx;
    j->position = position_s;
    j->duration = duration_s;
    atomic_fetch_add(&j->n_progress, 1);
}

/* A file of n samples. */
static int raw_file(size_t n)
{
    int fd = memfd_create("raw", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, (off_t)(n * 2)), 0);
    return fd;
}

static int try_submit(struct bench *b, struct job *j, int fd, bool raw, const char *language)
{
    memset(j, 0, sizeof(*j));
    sem_init(&j->ended, 0, 0);
    struct pn_job_request req = { .fd = fd,
                                  .raw_pcm = raw,
                                  .recognizer = &fake.base,
                                  .want = { language, "transcribe", false },
                                  .done = on_done,
                                  .progress = on_progress,
                                  .ctx = j };
    return pn_transcriber_submit(b->transcriber, &req, &j->id, &j->result.err);
}

static void submit(struct bench *b, struct job *j, size_t n)
{
    assert_int_equal(try_submit(b, j, raw_file(n), true, ""), 0);
    assert_true(j->id != 0);
}

static void wait_for(struct job *j)
{
    sem_wait(&j->ended);
    sem_destroy(&j->ended);
}

/* Waits, and expects success with that many samples recognised. */
static void expect_samples(struct job *j, size_t n)
{
    char want[24];
    wait_for(j);
    snprintf(want, sizeof(want), "%zu", n);
    assert_int_equal(j->result.code, 0);
    assert_string_equal(j->result.transcript->text, want);
    assert_true(j->result.transcript->final);
    assert_true(j->result.audio_s == (double)n / 16000);
    assert_true(j->result.waited_s >= 0 && j->result.ran_s > 0);
    assert_int_equal(atomic_load(&j->n_done), 1);
    pn_transcript_free(j->result.transcript);
}

static void expect_failure(struct job *j, int code, const char *text)
{
    wait_for(j);
    assert_int_equal(j->result.code, code);
    assert_null(j->result.transcript);
    assert_non_null(strstr(j->result.err.text, text));
    assert_int_equal(atomic_load(&j->n_done), 1);
}

/* ---- tests ---- */

static void test_one_job(void **state)
{
    struct bench b = set_up(2, 1, 2, 2);
    static const size_t lengths[] = { 0, 1, FAKE_UNIT, 10 * FAKE_INBOX + 7 }; /* the last fills the inbox */
    for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++) {
        struct job j;
        submit(&b, &j, lengths[i]);
        expect_samples(&j, lengths[i]);
        assert_true(j.position <= (double)lengths[i] / 16000 + 1e-9);
        if (lengths[i] > FAKE_INBOX) {
            assert_true(atomic_load(&j.n_progress) >= 1);
            assert_true(j.duration == (double)lengths[i] / 16000);
        }
    }
    struct pn_transcriber_stats stats = pn_transcriber_stats(b.transcriber);
    assert_int_equal(stats.done, PN_ARRAY_LEN(lengths));
    assert_int_equal(stats.running + stats.waiting, 0);
    assert_int_equal(stats.failed + stats.cancelled, 0);
    tear_down(&b);
}

static void hold(struct bench *b, struct job *j)
{
    atomic_store(&fake.gated, true);
    submit(b, j, FAKE_UNIT);
    sem_wait(&fake.entered);
}

static void let_go(void)
{
    atomic_store(&fake.gated, false);
    sem_post(&fake.gate);
}

static void test_queue_is_bounded_and_in_order(void **state)
{
    struct bench b = set_up(8, 2, 1, 3);
    struct job held, j[3], refused;
    hold(&b, &held);
    for (size_t i = 0; i < 3; i++) {
        assert_false(pn_transcriber_full(b.transcriber));
        submit(&b, &j[i], (i + 1) * FAKE_UNIT);
    }
    assert_true(pn_transcriber_full(b.transcriber));
    int fd = raw_file(1);
    assert_int_equal(try_submit(&b, &refused, fd, true, ""), -PN_EFULL);
    assert_int_equal(refused.result.err.code, PN_EFULL);
    assert_int_equal(close(fd), 0); /* it stayed ours */
    sem_destroy(&refused.ended);
    assert_int_equal(pn_transcriber_stats(b.transcriber).waiting, 3);
    assert_int_equal(pn_transcriber_stats(b.transcriber).running, 1);
    usleep(20000);
    let_go();
    expect_samples(&held, FAKE_UNIT);
    for (size_t i = 0; i < 3; i++)
        expect_samples(&j[i], (i + 1) * FAKE_UNIT);
    assert_true(held.order < j[0].order && j[0].order < j[1].order && j[1].order < j[2].order);
    assert_true(j[2].result.waited_s >= 0.02);
    assert_int_equal(fake.max_open, 1);
    tear_down(&b);
}

/* Large files have four of the five places and wait for more; small ones get the fifth, in order. */
static void test_a_place_is_kept_for_small_files(void **state)
{
    enum { LARGE = 600000, SMALL = FAKE_UNIT };
    static struct job large[5], small[2];
    struct bench b = set_up(8, 1, 5, 4);
    atomic_store(&fake.gated, true);
    for (size_t i = 0; i < 5; i++)
        submit(&b, &large[i], LARGE);
    assert_int_equal(pn_transcriber_stats(b.transcriber).running, 4);
    submit(&b, &small[0], SMALL);
    submit(&b, &small[1], SMALL);
    assert_int_equal(pn_transcriber_stats(b.transcriber).running, 5);
    assert_int_equal(pn_transcriber_stats(b.transcriber).waiting, 2);
    atomic_store(&fake.gated, false);
    sem_post(&fake.gate);
    for (size_t i = 0; i < 2; i++)
        expect_samples(&small[i], SMALL);
    for (size_t i = 0; i < 5; i++) {
        expect_samples(&large[i], LARGE);
        assert_true(large[i].order > small[0].order);
    }
    assert_true(large[4].order > 0 && small[1].order > small[0].order);
    tear_down(&b);
}

static void test_cancel_while_waiting(void **state)
{
    struct bench b = set_up(8, 1, 1, 2);
    struct job held, j[2], after;
    hold(&b, &held);
    submit(&b, &j[0], 1);
    submit(&b, &j[1], 1);
    pn_transcriber_cancel(b.transcriber, j[0].id);
    pn_transcriber_cancel(b.transcriber, j[0].id); /* twice is once */
    pn_transcriber_cancel(b.transcriber, 12345);
    expect_failure(&j[0], -PN_ECANCELLED, "cancelled");
    assert_true(j[0].result.ran_s == 0.0);
    submit(&b, &after, 1); /* its place is free while the first still runs */
    let_go();
    expect_samples(&held, FAKE_UNIT);
    expect_samples(&j[1], 1);
    expect_samples(&after, 1);
    pn_transcriber_cancel(b.transcriber, j[1].id); /* too late */
    assert_int_equal(pn_transcriber_stats(b.transcriber).cancelled, 1);
    tear_down(&b);
}

static void test_cancel_while_running(void **state)
{
    struct bench b = set_up(8, 2, 2, 2);
    struct job held, blocked;
    hold(&b, &held);
    submit(&b, &blocked, 4 * FAKE_INBOX); /* its inbox fills up behind the held step */
    while (pn_scheduler_stats(b.scheduler).streams < 2)
        usleep(1000);
    usleep(20000);
    pn_transcriber_cancel(b.transcriber, blocked.id);
    expect_failure(&blocked, -PN_ECANCELLED, "cancelled"); /* although the scheduler is busy */
    assert_true(blocked.result.audio_s > 0);
    pn_transcriber_cancel(b.transcriber, held.id);
    let_go();
    expect_failure(&held, -PN_ECANCELLED, "cancelled");
    tear_down(&b);
}

static void test_failures_pass_through_and_release(void **state)
{
    struct bench b = set_up(1, 1, 1, 4);
    struct job j, text, folder;
    fake.fail_at_samples = 3 * FAKE_UNIT;
    submit(&b, &j, 20 * FAKE_UNIT);
    expect_failure(&j, -PN_EFORMAT, "the fake recogniser gave up");
    int fd = raw_file(0);
    assert_int_equal(dprintf(fd, "this is no audio at all\n"), 24);
    assert_int_equal(try_submit(&b, &text, fd, false, ""), 0);
    expect_failure(&text, -PN_EFORMAT, "audio");
    assert_int_equal(try_submit(&b, &folder, open("/", O_RDONLY | O_CLOEXEC), true, ""), 0);
    expect_failure(&folder, -PN_EINVAL, "regular file");
    fake.fail_at_samples = 0;
    fake.fail_open = -PN_ENOMEM;
    submit(&b, &j, 1);
    expect_failure(&j, -PN_ENOMEM, "told to fail");
    fake.fail_open = 0;
    submit(&b, &j, 5); /* the only slot is free again every time */
    expect_samples(&j, 5);
    assert_int_equal(pn_transcriber_stats(b.transcriber).failed, 4);
    tear_down(&b);
}

static void test_what_the_recogniser_cannot_is_found_at_once(void **state)
{
    struct bench b = set_up(1, 1, 1, 1);
    struct job j;
    int fd = raw_file(1);
    assert_int_equal(try_submit(&b, &j, fd, true, "xx"), -PN_EUNSUPPORTED);
    assert_string_equal(j.result.err.text, "no xx here");
    sem_destroy(&j.ended);
    assert_int_equal(close(fd), 0);
    assert_int_equal(pn_transcriber_stats(b.transcriber).failed, 0);
    tear_down(&b);
}

/* Somebody else has the scheduler's slots: a job that may run waits for one. */
static void test_slots_taken_by_others(void **state)
{
    struct bench b = set_up(1, 1, 2, 2);
    struct pn_stream *other = NULL;
    struct pn_recognition want = { .language = "", .task = "transcribe", .live = false };
    assert_int_equal(pn_scheduler_open(b.scheduler, &fake.base, &want, NULL, NULL, &other, NULL), 0);
    struct job a, c;
    submit(&b, &a, FAKE_UNIT);
    submit(&b, &c, FAKE_UNIT);
    usleep(20000);
    assert_int_equal(atomic_load(&a.n_done) + atomic_load(&c.n_done), 0);
    pn_scheduler_close(b.scheduler, other);
    expect_samples(&a, FAKE_UNIT);
    expect_samples(&c, FAKE_UNIT);
    tear_down(&b);
}

static void test_free_cancels_what_is_left(void **state)
{
    struct bench b = set_up(8, 2, 2, 8);
    struct job held, j[6];
    hold(&b, &held);
    for (size_t i = 0; i < 6; i++)
        submit(&b, &j[i], 4 * FAKE_INBOX);
    let_go();
    assert_null(pn_transcriber_free(b.transcriber));
    b.transcriber = NULL;
    for (size_t i = 0; i < 6; i++) {
        wait_for(&j[i]);
        assert_int_equal(atomic_load(&j[i].n_done), 1);
        assert_true(j[i].result.code == -PN_ECANCELLED || j[i].result.code == 0);
        pn_transcript_free(j[i].result.transcript);
    }
    wait_for(&held);
    pn_transcript_free(held.result.transcript);
    tear_down(&b);
}

/* Many jobs on few threads, some cancelled at odd moments: all end once, with what is theirs. */
static void test_many_jobs(void **state)
{
    enum { N = 120 };
    static struct job j[N];
    struct bench b = set_up(5, 3, 6, N);
    for (size_t i = 0; i < N; i++)
        submit(&b, &j[i], i * 997);
    for (size_t i = 0; i < N; i += 7) {
        usleep(300);
        pn_transcriber_cancel(b.transcriber, j[i].id);
    }
    for (size_t i = 0; i < N; i++) {
        if (i % 7) {
            expect_samples(&j[i], i * 997);
            continue;
        }
        wait_for(&j[i]);
        assert_int_equal(atomic_load(&j[i].n_done), 1);
        pn_transcript_free(j[i].result.transcript);
    }
    assert_in_range(fake.max_open, 1, 5);
    struct pn_transcriber_stats stats = pn_transcriber_stats(b.transcriber);
    assert_int_equal(stats.done + stats.cancelled, N);
    assert_int_equal(stats.running + stats.waiting, 0);
    tear_down(&b);
}

static int open_pool(void **state)
{
    const char *program = getenv("PINNA_DECODE");
    struct pn_err err = { 0 };
    struct pn_decoder_options opt = { .program = program ? program : "pinna-decode",
                                      .max_samples = 100 * PN_SAMPLE_RATE,
                                      .memory_mb = 512,
                                      .cpu_s = 60,
                                      .stall_s = 30 };
    int r = pn_decoder_pool_new(&opt, &decoders, &err);
    if (r < 0)
        printf("%s\n", err.text);
    return r;
}

static int close_pool(void **state)
{
    pn_decoder_pool_free(decoders);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_job),
        cmocka_unit_test(test_queue_is_bounded_and_in_order),
        cmocka_unit_test(test_a_place_is_kept_for_small_files),
        cmocka_unit_test(test_cancel_while_waiting),
        cmocka_unit_test(test_cancel_while_running),
        cmocka_unit_test(test_failures_pass_through_and_release),
        cmocka_unit_test(test_what_the_recogniser_cannot_is_found_at_once),
        cmocka_unit_test(test_slots_taken_by_others),
        cmocka_unit_test(test_free_cancels_what_is_left),
        cmocka_unit_test(test_many_jobs),
    };
    return cmocka_run_group_tests(tests, open_pool, close_pool);
}
