/* test_asr_live.c - sessions of the live engine: what goes in, what comes out, what is refused. */
#include "live_case.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* What a detector cuts comes in sixths of a piece. */
static void test_what_is_cut_is_handed_on_sooner(void **state)
{
    (void)state;
    struct client c;
    set_up(4, 9600);
    struct pn_live_request req = {
        .want = { .language = "en", .task = "transcribe", .live = true, .vad = true },
        .format = PN_INTAKE_S16LE,
        .rate = 16000
    };
    assert_int_equal(try_start(&c, &req), 0);
    assert_int_equal(say(&c, 2 * 1600 - 2), 0);
    usleep(20000);
    assert_int_equal(fake_n_steps(&fake), 0);
    assert_int_equal(say(&c, 2), 0);
    wait_for_text(&c, "1600");
    pn_live_finish(c.live);
    wait_for_end(&c);
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

static void test_no_partial_results(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    fake.only_final = true;
    talk(&c);
    assert_int_equal(say(&c, 2 * 4800), 0);
    wait_for_steps(3);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_int_equal(c.last.code, 0);
    assert_string_equal(c.text, "4800");
    assert_int_equal(c.n_texts, 1);
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

/* One snapshot waits at most; what came after it is told once it has been fetched. */
static void test_news_wait_to_be_fetched(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    talk(&c);
    assert_int_equal(say(&c, 2 * 1600), 0);
    wait_for_move(&c);
    for (size_t n = fake_n_steps(&fake); n < 5; n++) {
        assert_int_equal(say(&c, 2 * 1600), 0);
        wait_for_steps(n + 1);
    }
    assert_int_equal(atomic_load(&c.n_moved), 1);
    assert_true(fetch(&c));
    assert_string_equal(c.text, "1600");
    wait_for_text(&c, "8000");
    assert_int_equal(c.n_texts, 2);
    leave(&c);
    tear_down();
}

static void test_a_model_that_is_being_loaded(void **state)
{
    (void)state;
    struct client c, other;
    set_up(2, 1600);
    atomic_store(&acquire_says, -PN_EAGAIN);
    assert_int_equal(try_talk(&c, "named", "en"), 0);
    assert_int_equal(try_talk(&other, "named", "en"), 0);
    assert_int_equal(say(&c, 2 * 4800), 0);
    while (atomic_load(&n_asked) < 6) /* each of them again and again */
        usleep(1000);
    assert_int_equal(atomic_load(&c.n_moved), 0);
    leave(&other);
    wait_for_open(1);
    atomic_store(&acquire_says, 0);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_string_equal(c.text, "4800");
    assert_int_equal(atomic_load(&n_lent), 0); /* given back before the owner lets go */
    leave(&c);
    tear_down();
}

static void test_a_model_that_cannot_be_had(void **state)
{
    (void)state;
    struct client c;
    set_up(2, 1600);
    atomic_store(&acquire_says, -PN_ENOTFOUND);
    assert_int_equal(try_talk(&c, "named", "en"), -PN_ENOTFOUND);
    assert_int_equal(pn_live_stats(engine).open, 0);
    atomic_store(&acquire_says, -PN_EAGAIN);
    assert_int_equal(try_talk(&c, "named", "en"), 0);
    atomic_store(&acquire_says, -PN_EFORMAT);
    wait_for_end(&c);
    assert_int_equal(c.last.code, -PN_EFORMAT);
    assert_string_equal(c.last.err.text, "told to fail");
    assert_int_equal(pn_live_stats(engine).failed, 1);
    leave(&c);
    tear_down();
}

static void test_what_is_refused(void **state)
{
    (void)state;
    struct client c, d;
    set_up(1, 1600);
    assert_int_equal(try_talk(&c, "", "xx"), -PN_EUNSUPPORTED);
    assert_int_equal(try_talk(&c, "named", "xx"), -PN_EUNSUPPORTED);
    assert_int_equal(atomic_load(&n_lent), 0);
    static char long_name[100];
    memset(long_name, 'm', sizeof(long_name) - 1);
    assert_int_equal(try_talk(&c, long_name, "en"), -PN_ENOTFOUND);
    assert_int_equal(pn_live_stats(engine).refused, 0);

    int retry_ms = 0;
    struct pn_live_request req = { .format = PN_INTAKE_S16LE, .rate = 7999, .moved = on_moved };
    assert_int_equal(pn_live_open(engine, &req, &c.live, &retry_ms, NULL), -PN_EINVAL);
    req.rate = 48001;
    assert_int_equal(pn_live_open(engine, &req, &c.live, &retry_ms, NULL), -PN_EINVAL);
    static char hotwords[70000];
    memset(hotwords, 'w', sizeof(hotwords) - 1);
    req.rate = 16000;
    req.want.hotwords = hotwords;
    assert_int_equal(pn_live_open(engine, &req, &c.live, &retry_ms, NULL), -PN_EINVAL);
    assert_int_equal(retry_ms, 0);

    talk(&c);
    assert_int_equal(try_talk(&d, "", "en"), -PN_EFULL);
    assert_int_equal(pn_live_stats(engine).refused, 1);
    leave(&c);
    wait_for_open(0);
    talk(&d);
    leave(&d);
    tear_down();
}

static void test_a_stream_that_fails(void **state)
{
    (void)state;
    struct client c, d;
    set_up(2, 1600);
    fake.fail_at_samples = 2000;
    talk(&c);
    assert_int_equal(say(&c, 2 * 4000), 0);
    wait_for_end(&c);
    assert_int_equal(c.last.code, -PN_EFORMAT);
    assert_string_equal(c.last.err.text, "the fake recogniser gave up");
    assert_int_equal(pn_scheduler_stats(scheduler).streams, 0); /* its place is free at once */
    assert_int_equal(say(&c, 100), 0);
    leave(&c);
    fake.fail_at_samples = 0;
    fake.fail_open = -PN_ENOMEM;
    talk(&d);
    wait_for_end(&d);
    assert_int_equal(d.last.code, -PN_ENOMEM);
    leave(&d);
    tear_down();
}

static void test_damaged_packets_are_counted(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    start(&c, &(struct pn_live_request){ .format = PN_INTAKE_OPUS, .want.task = "transcribe" });
    for (int i = 0; i < 5; i++)
        assert_int_equal(pn_live_feed(c.live, "\x0b\xff\xff", 3), 0);
    assert_int_equal(pn_live_feed(c.live, "", 0), 0);
    pn_live_finish(c.live);
    wait_for_end(&c);
    assert_string_equal(c.text, "1600"); /* five times 20 ms are made up */
    assert_int_equal(pn_live_stats(engine).bad_packets, 5);
    leave(&c);
    tear_down();
}

static void test_many_small_packets_are_bounded(void **state)
{
    (void)state;
    struct client c;
    set_up(1, 1600);
    atomic_store(&acquire_says, -PN_EAGAIN);
    start(&c, &(struct pn_live_request){ .model = PN_STR("named"), .format = PN_INTAKE_OPUS });
    int n = 0, r = 0;
    while (r >= 0 && n < 1 << 20) {
        r = pn_live_feed(c.live, "x", 1);
        n++;
    }
    assert_int_equal(r, -PN_ELIMIT);
    assert_true(n < 20000);
    leave(&c);
    tear_down();
}

static void test_options(void **state)
{
    (void)state;
    struct pn_live_engine *e = NULL;
    struct pn_live_options good = { .worker_threads = 1, .max_sessions = 1, .feed_samples = 1 }, bad;
    int *const fields[] = { &bad.worker_threads, &bad.max_sessions, &bad.feed_samples };
    for (size_t i = 0; i < PN_ARRAY_LEN(fields); i++) {
        bad = good;
        *fields[i] = 0;
        assert_int_equal(pn_live_engine_new(&bad, &e, NULL), -PN_EINVAL);
    }
    bad = good;
    bad.feed_samples = 1 << 20;
    assert_int_equal(pn_live_engine_new(&bad, &e, NULL), -PN_EINVAL);
    assert_null(e);
    assert_int_equal(pn_live_engine_new(&good, &e, NULL), 0);
    assert_null(pn_live_engine_free(e));
    assert_null(pn_live_engine_free(NULL));
}

static const struct CMUnitTest TESTS[] = {
    cmocka_unit_test(test_news_come_in_order),
    cmocka_unit_test(test_audio_is_handed_on_in_pieces),
    cmocka_unit_test(test_what_is_cut_is_handed_on_sooner),
    cmocka_unit_test(test_nothing_said),
    cmocka_unit_test(test_no_partial_results),
    cmocka_unit_test(test_faster_than_the_recogniser),
    cmocka_unit_test(test_news_wait_to_be_fetched),
    cmocka_unit_test(test_a_model_that_is_being_loaded),
    cmocka_unit_test(test_a_model_that_cannot_be_had),
    cmocka_unit_test(test_what_is_refused),
    cmocka_unit_test(test_a_stream_that_fails),
    cmocka_unit_test(test_damaged_packets_are_counted),
    cmocka_unit_test(test_many_small_packets_are_bounded),
    cmocka_unit_test(test_options),
};

int main(void)
{
    return cmocka_run_group_tests(TESTS, NULL, NULL);
}
