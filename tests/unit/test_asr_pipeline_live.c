/* test_asr_pipeline_live.c - microphones through the pipeline: what is shown while somebody speaks, when it
 * is corrected, and what is left in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/pipeline/stream.h"
#include "pipeline_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pn_recognition PRESSED = { .language = "", .task = "transcribe", .live = true };
static const struct pn_recognition OPEN = { .language = "", .task = "transcribe", .live = true, .vad = true };

/* Feeds and looks after every 100 ms: the live text only grows, at most the last segment is open, closed ones
 * stay as they are. Appends every new piece of live text to `news`. */
static void watch(struct listener *l, const struct tape *tape, struct pn_buf *news)
{
    struct pn_transcript *before = listener_result(l);
    for (size_t at = 0, n; at < tape->n; at += n) {
        n = PN_MIN(tape->n - at, (size_t)1600);
        listener_feed_live(l, tape->pcm + at, n);
        struct pn_transcript *t = listener_result(l);
        assert_int_equal(strncmp(t->live_text, before->live_text, strlen(before->live_text)), 0);
        for (size_t i = 0; i + 1 < t->n_segments; i++)
            assert_false(t->segments[i].open);
        for (size_t i = 0; i < before->n_segments && !before->segments[i].open; i++) {
            assert_string_equal(t->segments[i].text, before->segments[i].text);
            assert_false(t->segments[i].open);
        }
        pn_buf_str(news, pn_transcript_news(before, t));
        pn_transcript_free(before);
        before = t;
    }
    pn_transcript_free(before);
}

/* Watches the whole tape; at least `shown` must have been shown before the end. The final transcript is the
 * caller's. */
static struct pn_transcript *listen(struct stage *g, const struct pn_recognition *want, const char *score,
                                    const char *shown)
{
    struct listener l;
    struct pn_buf seen;
    struct tape tape = tape_of(score);
    struct pn_err err = { 0 };
    pn_buf_init(&seen, 1 << 20);
    listener_open(&l, g, want);
    watch(&l, &tape, &seen);
    listener_finish(&l);
    if (listener_wait(&l, &err) < 0)
        fail_msg("%s", err.text);
    struct pn_transcript *t = listener_result(&l);
    assert_true(t->final);
    pn_buf_putc(&seen, '\0');
    assert_int_equal(strncmp(t->live_text, seen.ptr, seen.len - 1), 0);
    assert_int_equal(strncmp(seen.ptr, shown, strlen(shown)), 0);
    pn_buf_done(&seen);
    tape_free(&tape);
    listener_close(&l);
    assert_int_equal(scribe_open_now(&g->first), 0);
    assert_int_equal(scribe_open_now(&g->second), 0);
    return t;
}

/* ---- a model that does not stream ---- */

static void test_repeated(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    struct pn_transcript *t = listen(&g, &OPEN, ". 1 2 3 4 5 6 7 8 . 9 1 .", "");
    assert_string_equal(t->text, "one two three four five six seven eight nine one");
    assert_int_equal(t->n_segments, 2);
    assert_true(fabs(t->segments[0].start - 1) < 0.005);
    assert_string_equal(t->live_text, "one two three four five six seven eight nine one");
    pn_transcript_free(t);
    stage_close(&g);
}

/* However slow the machine is, sooner or later what was said is shown before the sentence has ended. */
static void test_repeated_is_shown(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    bool shown = false;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = tape_of("1 2 3"), hum = { 0 };
    tape_add(&hum, 4, 100);
    listener_open(&l, &g, &OPEN);
    listener_feed_live(&l, tape.pcm, tape.n);
    for (int i = 0; i < 250 && !shown; i++) {
        listener_feed_live(&l, hum.pcm, hum.n);
        usleep(1000);
        struct pn_transcript *t = listener_result(&l);
        shown = strncmp(t->live_text, "one two three", 13) == 0;
        assert_true(!shown || t->segments[0].open);
        pn_transcript_free(t);
    }
    assert_true(shown);
    listener_close(&l);
    tape_free(&tape);
    tape_free(&hum);
    stage_close(&g);
}

static void test_repeated_until_the_button_is_released(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.chinese = true;
    stage_open(&g);
    struct pn_transcript *t = listen(&g, &PRESSED, ". 1 2 3 4 5 6", "");
    assert_string_equal(t->text, "一二三四五六");
    assert_string_equal(t->live_text, "一二三四五六");
    assert_int_equal(t->n_segments, 1);
    pn_transcript_free(t);
    t = listen(&g, &PRESSED, ". . .", ""); /* nothing was said: nobody is asked */
    assert_string_equal(t->text, "");
    pn_transcript_free(t);
    stage_close(&g);
}

/* A model with threads of its own, as Sphinx: results come at any moment, also of drafts that are out of
 * date. */
static void test_repeated_by_other_threads(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    stage_init(&g);
    g.first.deferred = true;
    stage_open(&g);
    struct tape tape = tape_of("1 2 3 4 5 6 7 . 8 9 .");
    listener_open(&l, &g, &OPEN);
    for (size_t at = 0, i = 0; at < tape.n; at += 1600, i++) {
        listener_feed_live(&l, tape.pcm + at, PN_MIN(tape.n - at, (size_t)1600));
        if (i % 3 == 2)
            scribe_release(&g.first);
    }
    listener_finish(&l);
    while (l.stream->recognizer->ops->status(l.stream, NULL) == 0) {
        wait_idle(&g);
        scribe_release(&g.first);
    }
    struct pn_transcript *t = listener_result(&l);
    assert_string_equal(t->text, "one two three four five six seven eight nine");
    assert_string_equal(t->live_text, t->text);
    assert_int_equal(t->n_segments, 2);
    pn_transcript_free(t);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

/* No time: drafts are left out, the end is not late. */
static void test_repeated_when_audio_comes_at_once(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = { 0 };
    for (int i = 0; i < 100; i++) {
        tape_add(&tape, 1 + i % 9, 600);
        tape_add(&tape, 0, 190);
    }
    struct pn_transcript *t = transcribe(&g, &PRESSED, &tape);
    size_t words = 0;
    for (size_t i = 0; i < t->n_segments; i++)
        words += t->segments[i].n_words;
    assert_int_equal(words, 100);
    assert_in_range(t->n_segments, 3, 5);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_drafts_become_rarer(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = { 0 };
    for (int i = 0; i < 28; i++) {
        tape_add(&tape, 1 + i % 9, 800);
        tape_add(&tape, 0, 200);
    }
    listener_open(&l, &g, &PRESSED);
    size_t half = tape.n / 2;
    listener_feed_live(&l, tape.pcm, half);
    int early = g.first.n_opened;
    listener_feed_live(&l, tape.pcm + half, tape.n - half);
    int late = g.first.n_opened - early;
    assert_in_range(early, 1, 23); /* of 14 s, one every 0.6 s at most */
    assert_in_range(late, 1, 14);
    assert_int_equal(g.first.max_open, 1);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- a model that streams ---- */

static void streaming(struct stage *g)
{
    stage_init(g);
    g->first.base.streaming = true;
    g->first.base.bare_text = true;
    g->first.chinese = true;
}

static void test_streamed_until_the_button_is_released(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    stage_open(&g);
    struct pn_transcript *t = listen(&g, &PRESSED, "1 2 3 . . 4 5", "一二三四");
    assert_string_equal(t->text, "一二三四五");
    assert_string_equal(t->live_text, "一二三四五");
    assert_int_equal(g.first.n_opened, 1);
    pn_transcript_free(t);
    stage_close(&g);
}

static void test_streamed_while_somebody_speaks(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    stage_open(&g);
    struct pn_transcript *t = listen(&g, &OPEN, ". . 1 2 3 4 . . 5 6 . .", "一二三四五六");
    assert_string_equal(t->text, "一二三四五六");
    assert_int_equal(t->n_segments, 2);
    assert_true(fabs(t->segments[0].start - 2.0) < 0.005); /* heard from its first sample on */
    assert_true(fabs(t->segments[0].words[0].end - 2.2) < 0.005);
    assert_true(fabs(t->segments[1].start - 4.96) < 0.005);
    assert_int_equal(g.first.n_opened, 2);
    pn_transcript_free(t);
    stage_close(&g);
}

/* What a stream holds, but for the inner ones. */
static size_t held_bytes(const struct pn_pipeline_stream *s)
{
    size_t n = sizeof(*s) + s->track.cap * sizeof(float);
    for (const struct pn_utterance *u = s->first; u; u = u->next)
        n += sizeof(*u) + u->shown.cap;
    return n;
}

static void test_little_is_left_in_between(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    streaming(&g);
    g.parts.second = &g.second.base;
    stage_open(&g);
    struct tape words = tape_of("1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9"), silence = tape_of(". .");
    listener_open(&l, &g, &OPEN);
    const struct pn_pipeline_stream *s = PN_CONTAINER_OF(l.stream, struct pn_pipeline_stream, base);
    for (int i = 0; i < 3; i++) {
        listener_feed_live(&l, silence.pcm, silence.n);
        assert_int_equal(scribe_open_now(&g.first) + scribe_open_now(&g.second), 0);
        assert_null(s->first);
        assert_true(held_bytes(s) < 65536);
        listener_feed_live(&l, words.pcm, words.n);
        assert_int_equal(scribe_open_now(&g.first), 1);
        assert_true(held_bytes(s) > 65536);
    }
    listener_close(&l);
    tape_free(&words);
    tape_free(&silence);
    stage_close(&g);
}

/* Without a second pass what was heard goes at once, however long the sentence is. */
static void test_long_sentences_are_not_kept(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    streaming(&g);
    stage_open(&g);
    struct tape tape = { 0 };
    for (int i = 0; i < 100; i++) {
        tape_add(&tape, 1 + i % 9, 600);
        tape_add(&tape, 0, 190);
    }
    listener_open(&l, &g, &PRESSED);
    const struct pn_pipeline_stream *s = PN_CONTAINER_OF(l.stream, struct pn_pipeline_stream, base);
    listener_feed(&l, tape.pcm, tape.n);
    wait_idle(&g);
    assert_true(s->track.n < 10 * 16000);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- two passes ---- */

static void two_pass(struct stage *g)
{
    streaming(g);
    g->first.hears_wrong = true;
    g->second.chinese = true;
    g->second.base.bare_text = true;
    g->second.language = "zh";
    g->parts.second = &g->second.base;
}

static void test_the_second_pass_corrects(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = OPEN;
    two_pass(&g);
    stage_open(&g);
    want.punctuation = true;
    want.itn = true;
    struct pn_transcript *t = listen(&g, &want, ". 1 3 1 . 5 9 1 .", "二三二五九二");
    assert_string_equal(t->text, "一三，一。五。9一。");
    assert_string_equal(t->live_text, "二三二五九二"); /* what was shown stays shown */
    assert_string_equal(t->language, "zh");
    assert_int_equal(g.second.n_opened, 2);
    assert_true(g.second.n_samples < 2 * 16000); /* sentences, not what is between them */
    pn_transcript_free(t);
    stage_close(&g);
}

/* The next sentence is shown while the one before is still being corrected. */
static void test_the_second_pass_takes_its_time(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    struct pn_recognition want = OPEN;
    two_pass(&g);
    g.second.deferred = true;
    stage_open(&g);
    struct tape tape = tape_of("1 1 . 3 3 3 3");
    listener_open(&l, &g, &want);
    listener_feed_live(&l, tape.pcm, tape.n);
    struct pn_transcript *t = listener_result(&l);
    assert_int_equal(t->n_segments, 1);
    assert_true(t->segments[0].open);
    assert_int_equal(strncmp(t->text, "二二三三", 12), 0);
    assert_true(t->segments[0].start == 0);
    pn_transcript_free(t);
    scribe_release(&g.second);
    wait_idle(&g);
    listener_finish(&l);
    while (l.stream->recognizer->ops->status(l.stream, NULL) == 0) {
        scribe_release(&g.second);
        wait_idle(&g);
    }
    t = listener_result(&l);
    assert_string_equal(t->text, "一一三三三三");
    assert_string_equal(t->live_text, "二二三三三三");
    pn_transcript_free(t);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

static void test_no_second_pass_for_what_it_cannot(void **state)
{
    (void)state;
    struct stage g;
    struct pn_transcript *t;
    struct tape tape = { 0 };
    two_pass(&g);
    stage_open(&g);
    for (int i = 0; i < 70; i++) /* longer than a sentence may be, and no detector ends it */
        tape_add(&tape, 1 + i % 2, 1000);
    t = transcribe(&g, &PRESSED, &tape);
    assert_int_equal(g.second.n_opened, 0);
    assert_int_equal(t->segments[0].n_words, 70);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- what goes wrong ---- */

static void check_live_failure(struct stage *g, const struct pn_recognition *want, const char *text)
{
    struct listener l;
    struct pn_err err = { 0 };
    struct tape tape = tape_of(". 1 2 3 4 . 5");
    stage_open(g);
    listener_open(&l, g, want);
    listener_feed(&l, tape.pcm, tape.n); /* the failure comes before the end of the audio */
    assert_true(listener_wait(&l, &err) < 0);
    assert_string_equal(err.text, text);
    listener_close(&l);
    tape_free(&tape);
    stage_close(g);
}

static void test_failures(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    g.first.fail_at_word = 3;
    check_live_failure(&g, &PRESSED, "the scribe gave up");
    stage_init(&g);
    g.first.fail_at_word = 2;
    check_live_failure(&g, &OPEN, "the scribe gave up");
    two_pass(&g);
    g.second.fail_at_word = 2;
    check_live_failure(&g, &OPEN, "the scribe gave up");
    two_pass(&g);
    g.second.fail_open = -PN_ENOMEM;
    check_live_failure(&g, &OPEN, "told to fail");
    streaming(&g);
    g.first.fail_open = -PN_ENOMEM;
    check_live_failure(&g, &OPEN, "told to fail");
}

static void close_at_any_moment(struct stage *g, const struct pn_recognition *want)
{
    struct tape tape = tape_of("1 2 3 4 . 5 6 7 . 8 9");
    for (uint64_t steps = 0; steps < 60; steps += 1 + steps / 16) {
        struct listener l;
        uint64_t before = pn_scheduler_stats(g->scheduler).steps;
        listener_open(&l, g, want);
        for (size_t at = 0; at + 1600 <= tape.n && pn_scheduler_stats(g->scheduler).steps - before < steps;
             at += 1600) {
            listener_feed(&l, tape.pcm + at, 1600);
            usleep(100);
        }
        listener_close(&l);
        assert_int_equal(scribe_open_now(&g->first) + scribe_open_now(&g->second), 0);
    }
    tape_free(&tape);
}

static void test_close_at_any_moment(void **state)
{
    (void)state;
    struct pn_recognition want = OPEN;
    want.punctuation = true;
    struct stage g;
    two_pass(&g);
    stage_open(&g);
    close_at_any_moment(&g, &want);
    close_at_any_moment(&g, &PRESSED);
    stage_close(&g);
    stage_init(&g);
    stage_open(&g);
    close_at_any_moment(&g, &OPEN);
    close_at_any_moment(&g, &PRESSED);
    stage_close(&g);
}

/* Many at once: they share steps, and each gets its own text. */
static void test_many_speakers(void **state)
{
    (void)state;
    enum { N = 12 };
    struct stage g;
    struct listener l[N];
    struct tape tapes[N];
    static const char *const SCORES[] = { "1 2 3 . 4 5 6 .", ". 7 8 9 1 . .", "3 3 . 4 4 . 5 5" };
    static const char *const TEXTS[] = { "一二三四五六", "七八九一", "三三四四五五" };
    two_pass(&g);
    g.first.hears_wrong = false;
    stage_open(&g);
    for (int i = 0; i < N; i++) {
        tapes[i] = tape_of(SCORES[i % 3]);
        listener_open(&l[i], &g, &OPEN);
    }
    for (size_t at = 0; at < 5 * 16000; at += 1600)
        for (int i = 0; i < N; i++)
            if (at < tapes[i].n)
                listener_feed(&l[i], tapes[i].pcm + at, PN_MIN(tapes[i].n - at, (size_t)1600));
    for (int i = 0; i < N; i++)
        listener_finish(&l[i]);
    for (int i = 0; i < N; i++) {
        assert_int_equal(listener_wait(&l[i], NULL), 1);
        struct pn_transcript *t = listener_result(&l[i]);
        assert_string_equal(t->text, TEXTS[i % 3]);
        pn_transcript_free(t);
        listener_close(&l[i]);
        tape_free(&tapes[i]);
    }
    assert_true(g.first.largest_batch > 1);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated),
        cmocka_unit_test(test_repeated_is_shown),
        cmocka_unit_test(test_repeated_until_the_button_is_released),
        cmocka_unit_test(test_repeated_by_other_threads),
        cmocka_unit_test(test_repeated_when_audio_comes_at_once),
        cmocka_unit_test(test_drafts_become_rarer),
        cmocka_unit_test(test_streamed_until_the_button_is_released),
        cmocka_unit_test(test_streamed_while_somebody_speaks),
        cmocka_unit_test(test_little_is_left_in_between),
        cmocka_unit_test(test_long_sentences_are_not_kept),
        cmocka_unit_test(test_the_second_pass_corrects),
        cmocka_unit_test(test_the_second_pass_takes_its_time),
        cmocka_unit_test(test_no_second_pass_for_what_it_cannot),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_close_at_any_moment),
        cmocka_unit_test(test_many_speakers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
