/* test_asr_pipeline.c - files through the pipeline: straight in, cut, joined, written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "pipeline_case.h"

#include <malloc.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct pn_recognition PLAIN = { .language = "", .task = "transcribe" };
static const struct pn_recognition CUT = { .language = "", .task = "transcribe", .vad = true };

static void check_segment(const struct pn_transcript *t, size_t i, const char *text, double start, double end)
{
    assert_true(i < t->n_segments);
    assert_string_equal(t->segments[i].text, text);
    if (fabs(t->segments[i].start - start) > 0.005 || fabs(t->segments[i].end - end) > 0.005)
        fail_msg("%s: %f to %f, not %f to %f", text, t->segments[i].start, t->segments[i].end, start, end);
    assert_int_equal(t->segments[i].id, i);
    assert_false(t->segments[i].open);
}

/* ---- straight in ---- */

static void test_nothing_in_between(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    assert_string_equal(g.pipeline->name, "scribe");
    assert_ptr_equal(pn_pipeline_first(g.pipeline), &g.first.base);
    struct tape tape = tape_of("1 2 . . 3");
    struct pn_transcript *t = transcribe(&g, &PLAIN, &tape);
    assert_string_equal(t->text, " one two three"); /* as the recogniser wrote it */
    assert_string_equal(t->model, "scribe");
    assert_string_equal(t->live_text, "");
    assert_int_equal(g.first.n_opened, 1);
    assert_int_equal(g.first.n_samples, tape.n);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_what_is_wanted_is_checked(void **state)
{
    (void)state;
    struct stage g;
    struct pn_err err = { 0 };
    struct pn_stream *st = NULL;
    struct pn_recognition want = { .language = "xx", .task = "transcribe" };
    stage_init(&g);
    stage_open(&g);
    assert_int_equal(g.pipeline->ops->check(g.pipeline, &want, &err), -PN_EUNSUPPORTED);
    assert_string_equal(err.text, "no xx here");
    want.vad = true;
    assert_int_equal(pn_scheduler_open(g.scheduler, g.pipeline, &want, NULL, NULL, &st, NULL),
                     -PN_EUNSUPPORTED);
    assert_null(st);
    stage_close(&g);
}

static void test_clients_share_steps(void **state)
{
    (void)state;
    struct stage g;
    struct listener l[6];
    stage_init(&g);
    stage_open(&g);
    struct tape tape = tape_of("1 2"); /* less than a chunk: nothing to do before the end */
    assert_true(tape.n < SCRIBE_CHUNK);
    for (int i = 0; i < 6; i++) {
        listener_open(&l[i], &g, &PLAIN);
        listener_feed(&l[i], tape.pcm, tape.n);
    }
    pthread_mutex_lock(&g.first.mu); /* the first step waits until all have finished */
    for (int i = 0; i < 6; i++)
        listener_finish(&l[i]);
    pthread_mutex_unlock(&g.first.mu);
    for (int i = 0; i < 6; i++)
        assert_int_equal(listener_wait(&l[i], NULL), 1);
    assert_true(g.first.largest_batch > 1);
    for (int i = 0; i < 6; i++)
        listener_close(&l[i]);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- cut at pauses ---- */

static void test_silence_is_left_out(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = CUT;
    want.word_timestamps = true;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = tape_of(". 1 2 . . . 3 . . 4 5 6 .");
    struct pn_transcript *t = transcribe(&g, &want, &tape);
    assert_string_equal(t->text, "one two three four five six");
    assert_int_equal(t->n_segments, 3);
    check_segment(t, 0, " one two", 1.0, 1.44);
    check_segment(t, 1, " three", 4.48, 4.68);
    check_segment(t, 2, " four five six", 6.72, 7.4);
    assert_int_equal(t->segments[1].seek, 448);
    assert_string_equal(t->segments[0].words[1].text, " two");
    assert_true(fabs(t->segments[2].words[1].start - 6.96) < 0.005);
    assert_true(t->word_times);
    assert_true(t->final);
    assert_true(fabs(t->duration - (double)tape.n / 16000) < 1e-6);
    assert_true(g.first.n_zeros < 16000);
    assert_int_equal(g.first.n_opened, 3);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_nothing_but_silence(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = tape_of(". . . .");
    struct pn_transcript *t = transcribe(&g, &CUT, &tape);
    assert_string_equal(t->text, "");
    assert_int_equal(t->n_segments, 0);
    assert_int_equal(g.first.n_opened, 0);
    pn_transcript_free(t);
    tape.n = 0; /* not even that */
    t = transcribe(&g, &CUT, &tape);
    assert_int_equal(t->n_segments, 0);
    assert_true(t->duration == 0);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_segments_together(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.chinese = true;
    g.first.base.one_utterance = true;
    stage_open(&g);
    struct tape tape = tape_of("1 . 2 . 3 . 4 . 5 . 6 . 7 . 8 . 9 . 1 . 2 . 3 . 4 . 5 . 6 . 7 . 8 . 9");
    struct pn_transcript *t = transcribe(&g, &CUT, &tape);
    assert_string_equal(t->text, "一二三四五六七八九一二三四五六七八九");
    assert_int_equal(t->n_segments, 18);
    assert_int_equal(g.first.n_opened, 18);
    assert_in_range(g.first.largest_batch, 2, 8);
    assert_in_range(g.first.max_open, 2, 8);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_one_utterance_at_a_time(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.base.one_utterance = true;
    stage_open(&g);
    struct tape tape = tape_of("1 . . 2"); /* short: whole, silence and all */
    struct pn_transcript *t = transcribe(&g, &PLAIN, &tape);
    assert_string_equal(t->text, "one two");
    assert_int_equal(g.first.n_opened, 1);
    assert_int_equal(g.first.n_samples, tape.n);
    pn_transcript_free(t);
    for (int i = 0; i < 10; i++)
        tape_add(&tape, 0, 3000);
    tape_add(&tape, 3, 400);
    t = transcribe(&g, &PLAIN, &tape); /* long: cut, though nobody asked */
    assert_string_equal(t->text, "one two three");
    assert_int_equal(g.first.n_opened, 1 + 3);
    check_segment(t, 2, " three", 32.48, 32.88);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_without_a_detector(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.base.one_utterance = true;
    g.parts.vad = NULL;
    stage_open(&g);
    struct tape tape = { 0 };
    for (int i = 0; i < 40; i++) {
        tape_add(&tape, 1 + i % 9, 700);
        tape_add(&tape, 0, 300);
    }
    struct pn_transcript *t = transcribe(&g, &PLAIN, &tape);
    assert_int_equal(g.first.n_opened, 2); /* by length */
    assert_int_equal(g.first.n_samples, tape.n);
    assert_int_equal(strncmp(t->text, "one two three", 13), 0);
    assert_null(strstr(t->text, "mumble")); /* in a pause */
    assert_true(fabs(t->segments[1].end - 39.7) < 0.005);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_long_speech_is_cut_at_a_pause(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = { 0 };
    size_t words = 0;
    for (int i = 0; i < 100; i++) { /* 80 s; pauses too short for the detector, longer ones to cut at */
        tape_add(&tape, 1 + i % 9, 600);
        tape_add(&tape, 0, i % 10 == 9 ? 280 : 190);
    }
    struct pn_transcript *t = transcribe(&g, &CUT, &tape);
    assert_in_range(t->n_segments, 3, 5);
    for (size_t i = 0; i < t->n_segments; i++) {
        words += t->segments[i].n_words;
        assert_true(t->segments[i].end - t->segments[i].start < 30);
        assert_true(i == 0 || t->segments[i].start >= t->segments[i - 1].end);
    }
    assert_int_equal(words, 100);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_short_segments_are_joined(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.base.window_s = 30;
    stage_open(&g);
    struct tape tape = { 0 };
    for (int i = 0; i < 30; i++) {
        tape_add(&tape, 0, 1000);
        tape_add(&tape, 1 + i % 9, 1850);
    }
    struct pn_transcript *t = transcribe(&g, &CUT, &tape);
    assert_int_equal(g.first.n_opened, 2); /* 60 s of speech */
    assert_int_equal(t->n_segments, 2);
    size_t n = 0;
    for (size_t i = 0; i < t->n_segments; i++)
        for (size_t k = 0; k < t->segments[i].n_words; k++, n++) {
            const struct pn_word *w = &t->segments[i].words[k];
            if (fabs(w->start - (1 + (double)n * 2.85)) > 0.005 || fabs(w->end - w->start - 1.85) > 0.005)
                fail_msg("word %zu: %f to %f", n, w->start, w->end);
        }
    assert_int_equal(n, 30);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_language_is_found_once(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.base.finds_language = true;
    g.first.language = "fr";
    stage_open(&g);
    struct tape tape = tape_of("1 . 2 . 3 . 4");
    struct pn_transcript *t = transcribe(&g, &CUT, &tape);
    assert_string_equal(t->language, "fr");
    assert_string_equal(g.first.languages, "-frfrfr");
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_small_inboxes(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.inbox = 10000;
    g.first.base.one_utterance = true;
    stage_open(&g);
    struct tape tape = tape_of("1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9");
    struct pn_transcript *t = transcribe(&g, &PLAIN, &tape);
    assert_string_equal(t->text,
                        "one two three four five six seven eight nine one two three four five six seven "
                        "eight nine");
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- long files ---- */

static void test_half_an_hour(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = { 0 };
    double position = 0;
    for (int i = 0; i < 20; i++) { /* a minute */
        tape_add(&tape, 1 + i % 9, 2000);
        tape_add(&tape, 0, 1000);
    }
    size_t before = mallinfo2().uordblks, most = 0;
    listener_open(&l, &g, &CUT);
    for (int minute = 0; minute < 30; minute++) {
        listener_feed(&l, tape.pcm, tape.n);
        most = PN_MAX(most, mallinfo2().uordblks + mallinfo2().hblkhd);
        double now = l.stream->recognizer->ops->position(l.stream);
        assert_true(now >= position && now <= 60 * (minute + 1));
        assert_true(now > 60 * minute - 180); /* true, though behind by inboxes */
        position = now;
    }
    listener_finish(&l);
    assert_int_equal(listener_wait(&l, NULL), 1);
    struct pn_transcript *t = listener_result(&l);
    assert_int_equal(t->n_segments, 600);
    for (size_t i = 0; i < t->n_segments; i++)
        check_segment(t, i, pn_arena_printf(t->arena, " %s", scribe_word(&g.first, 1 + (int)i % 20 % 9)),
                      3.0 * (double)i, 3.0 * (double)i + 2);
    assert_true(fabs(l.stream->recognizer->ops->position(l.stream) - 1800) < 1);
    assert_true(most < before + ((size_t)48 << 20)); /* half an hour is 115 MB of samples */
    pn_transcript_free(t);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- how it is written ---- */

static void check_written(const char *score, bool chinese, struct pn_recognition want, const char *text)
{
    struct stage g;
    stage_init(&g);
    g.first.chinese = chinese;
    g.first.base.bare_text = true;
    stage_open(&g);
    struct tape tape = tape_of(score);
    struct pn_transcript *t = transcribe(&g, &want, &tape);
    assert_string_equal(t->text, text);
    for (size_t i = 0; i < t->n_segments; i++)
        for (size_t k = 0; k < t->segments[i].n_words; k++)
            assert_null(strpbrk(t->segments[i].words[k].text, ".,9"));
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_punctuation(void **state)
{
    (void)state;
    struct pn_recognition want = CUT;
    want.punctuation = true;
    check_written("3 1 . 2 5 4 . 3 . 2", false, want, "Three, one two five. Four three, two.");
    check_written("3 1 . 2 5 4 . 3 . 2", true, want, "三，一二五。四三，二。");
    check_written("1", false, want, "One.");
    check_written(". .", false, want, "");
    check_written("1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 "
                  "1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9 1 2 3 4 6 7 8 9",
                  true, want,
                  "一二三，四六七八九一二三，四六七八九一二三，四六七八九一二三，四六七八九一二三，四六七八九"
                  "一二三，四六七八九一二三，四六七八九一二三，四六七八九一二三，四六七八九。");
    want.vad = false; /* straight in, but written */
    check_written("3 1 . 2 5 4 . 3 . 2", true, want, "三，一二五。四三，二。");
}

static void test_numbers(void **state)
{
    (void)state;
    struct pn_recognition want = PLAIN;
    want.itn = true;
    check_written("1 9 2", false, want, "one 9 two");
    want.vad = true;
    check_written("1 9 . 2 9", true, want, "一9二9");
    want.punctuation = true;
    check_written("1 9 5 . 9 9", true, want, "一9五。99。");
}

static void test_text_with_punctuation_is_left(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = CUT;
    want.punctuation = true;
    stage_init(&g);
    stage_open(&g);
    struct tape tape = tape_of("3 . 5 .");
    struct pn_transcript *t = transcribe(&g, &want, &tape);
    assert_string_equal(t->text, "three five");
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- what goes wrong ---- */

static void check_failure(struct stage *g, const struct pn_recognition *want, const char *text)
{
    struct listener l;
    struct pn_err err = { 0 };
    struct tape tape = tape_of("1 . 2 . 3 . 4 . 5");
    stage_open(g);
    listener_open(&l, g, want);
    listener_feed(&l, tape.pcm, tape.n);
    listener_finish(&l);
    assert_true(listener_wait(&l, &err) < 0);
    assert_string_equal(err.text, text);
    wait_idle(g); /* nothing more is done for it */
    listener_close(&l);
    tape_free(&tape);
    stage_close(g);
}

static void test_failures(void **state)
{
    (void)state;
    struct pn_recognition wants[] = { PLAIN, CUT, CUT };
    wants[0].itn = true;
    wants[2].itn = true;
    for (size_t i = 0; i < PN_ARRAY_LEN(wants); i++) {
        struct stage g;
        stage_init(&g);
        g.first.fail_at_word = 3;
        check_failure(&g, &wants[i], "the scribe gave up");
    }
    struct stage g;
    stage_init(&g);
    g.first.fail_open = -PN_ENOMEM;
    check_failure(&g, &CUT, "told to fail");
}

static void test_threads_of_its_own(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    stage_init(&g);
    g.first.deferred = true;
    stage_open(&g);
    struct tape tape = tape_of("1 . 2 . 3 . 4");
    listener_open(&l, &g, &CUT);
    listener_feed(&l, tape.pcm, tape.n);
    listener_finish(&l);
    while (l.stream->recognizer->ops->status(l.stream, NULL) == 0) {
        wait_idle(&g);
        scribe_release(&g.first);
    }
    struct pn_transcript *t = listener_result(&l);
    assert_string_equal(t->text, "one two three four");
    pn_transcript_free(t);
    listener_close(&l);
    tape_free(&tape);
    stage_close(&g);
}

/* Closes a stream after each number of steps that it can have had. */
static void test_close_at_any_moment(void **state)
{
    (void)state;
    struct pn_recognition wants[] = { PLAIN, CUT, CUT };
    wants[0].itn = true;
    wants[2].punctuation = true;
    struct stage g;
    stage_init(&g);
    g.first.base.bare_text = true;
    stage_open(&g);
    struct tape tape = tape_of("1 . 2 . 3 . 4 . 5 . 6 . 7 .");
    for (size_t i = 0; i < PN_ARRAY_LEN(wants); i++)
        for (uint64_t steps = 0; steps < 40; steps++) {
            struct listener l;
            uint64_t before = pn_scheduler_stats(g.scheduler).steps;
            listener_open(&l, &g, &wants[i]);
            listener_feed(&l, tape.pcm, tape.n);
            if (steps % 2)
                listener_finish(&l);
            while (pn_scheduler_stats(g.scheduler).steps - before < steps &&
                   l.stream->recognizer->ops->status(l.stream, NULL) == 0 && steps % 2)
                usleep(10);
            listener_close(&l);
            assert_int_equal(scribe_open_now(&g.first), 0);
        }
    tape_free(&tape);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_in_between),
        cmocka_unit_test(test_what_is_wanted_is_checked),
        cmocka_unit_test(test_clients_share_steps),
        cmocka_unit_test(test_silence_is_left_out),
        cmocka_unit_test(test_nothing_but_silence),
        cmocka_unit_test(test_segments_together),
        cmocka_unit_test(test_one_utterance_at_a_time),
        cmocka_unit_test(test_without_a_detector),
        cmocka_unit_test(test_long_speech_is_cut_at_a_pause),
        cmocka_unit_test(test_short_segments_are_joined),
        cmocka_unit_test(test_language_is_found_once),
        cmocka_unit_test(test_small_inboxes),
        cmocka_unit_test(test_half_an_hour),
        cmocka_unit_test(test_punctuation),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_text_with_punctuation_is_left),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_threads_of_its_own),
        cmocka_unit_test(test_close_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
