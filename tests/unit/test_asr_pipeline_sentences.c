/* test_asr_pipeline_sentences.c - what protocols are told of live streams: each stretch of speech from the
 * moment it is found, its part of the live text, its segments; and what a stream asks of its detector. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/pipeline/stream.h"
#include "pipeline_case.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct pn_recognition PRESSED = { .language = "", .task = "transcribe", .live = true };
static const struct pn_recognition OPEN = { .language = "", .task = "transcribe", .live = true, .vad = true };

/* What must be true of every snapshot, and of `now` behind `before`. */
static void check_order(const struct pn_transcript *before, const struct pn_transcript *now)
{
    size_t at = 0, segment = 0;
    bool all_closed = true;
    assert_true(now->n_sentences >= before->n_sentences);
    for (size_t i = 0; i < now->n_sentences; i++) {
        const struct pn_sentence *s = &now->sentences[i];
        assert_int_equal(s->live_start, at);
        assert_true(s->live_end >= at);
        at = s->live_end;
        assert_true(i == 0 || (now->sentences[i - 1].end >= 0 && s->start >= now->sentences[i - 1].end));
        assert_true(s->end < 0 || s->end >= s->start);
        assert_true(!s->closed || (all_closed && s->end >= 0));
        all_closed = s->closed;
        if (s->closed) {
            assert_int_equal(s->segment, segment);
            segment += s->n_segments;
        }
        if (i < before->n_sentences && before->sentences[i].closed)
            assert_memory_equal(s, &before->sentences[i], sizeof(*s));
    }
    assert_int_equal(at, strlen(now->live_text));
    for (size_t i = 0; i < now->n_segments; i++)
        assert_int_equal(now->segments[i].open, i >= segment);
    assert_true(!now->final || all_closed);
}

/* Feeds the tape as a microphone does and returns the last snapshot. */
static struct pn_transcript *watch(struct listener *l, const char *score, struct pn_transcript *before)
{
    struct tape tape = tape_of(score);
    for (size_t at = 0, n; at < tape.n; at += n) {
        n = PN_MIN(tape.n - at, (size_t)1600);
        listener_feed_live(l, tape.pcm + at, n);
        struct pn_transcript *now = listener_result(l);
        check_order(before, now);
        pn_transcript_free(before);
        before = now;
    }
    tape_free(&tape);
    return before;
}

static struct pn_transcript *finish(struct listener *l, struct pn_transcript *before)
{
    listener_finish(l);
    assert_int_equal(listener_wait(l, NULL), 1);
    struct pn_transcript *t = listener_result(l);
    check_order(before, t);
    pn_transcript_free(before);
    return t;
}

static struct pn_transcript *all_of(struct stage *g, const struct pn_recognition *want, const char *score)
{
    struct listener l;
    listener_open(&l, g, want);
    struct pn_transcript *t = finish(&l, watch(&l, score, listener_result(&l)));
    listener_close(&l);
    return t;
}

static void check_sentence(const struct pn_transcript *t, size_t i, double start, double end,
                           const char *live)
{
    assert_true(i < t->n_sentences);
    const struct pn_sentence *s = &t->sentences[i];
    assert_true(fabs(s->start - start) < 0.005);
    assert_true(fabs(s->end - end) < 0.005);
    assert_int_equal(s->live_end - s->live_start, strlen(live));
    assert_memory_equal(t->live_text + s->live_start, live, strlen(live));
}

static void streaming(struct stage *g)
{
    stage_init(g);
    g->first.base.streaming = true;
    g->first.base.bare_text = true;
    g->first.chinese = true;
}

/* ---- as it goes ---- */

/* The start is told before there is text, the end before the text is final. */
static void test_as_soon_as_it_is_known(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    streaming(&g);
    g.parts.second = &g.second.base;
    g.second.chinese = true;
    g.second.deferred = true;
    stage_open(&g);
    listener_open(&l, &g, &OPEN);
    struct pn_transcript *t = watch(&l, ". .", listener_result(&l));
    assert_int_equal(t->n_sentences, 0);
    t = watch(&l, "1", t); /* the detector knows, the recogniser has not got a chunk yet */
    assert_int_equal(t->n_sentences, 1);
    check_sentence(t, 0, 1.9, -1, "");
    assert_int_equal(t->n_segments, 0);
    t = watch(&l, "1 2 .", t);
    check_sentence(t, 0, 1.9, 2.73, "一一二");
    assert_false(t->sentences[0].closed); /* the second pass has it */
    assert_true(t->segments[0].open);
    assert_true(fabs(t->segments[0].confidence - 0.5) < 1e-9); /* the recogniser's */
    t = watch(&l, "3", t);
    assert_int_equal(t->n_sentences, 2);
    check_sentence(t, 1, 3.62, -1, "");
    scribe_release(&g.second);
    wait_idle(&g);
    t = watch(&l, "", t);
    pn_transcript_free(t);
    t = listener_result(&l);
    assert_true(t->sentences[0].closed);
    assert_int_equal(t->sentences[0].n_segments, 1);
    assert_false(t->sentences[1].closed);
    pn_transcript_free(t);
    listener_close(&l);
    stage_close(&g);
}

static void test_texts_of_each(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    stage_open(&g);
    struct pn_transcript *t = all_of(&g, &OPEN, ". 1 2 . . 3 . 4 5 6");
    assert_int_equal(t->n_sentences, 3);
    check_sentence(t, 0, 0.9, 1.49, "一二");
    check_sentence(t, 1, 3.38, 3.73, "三");
    check_sentence(t, 2, 4.62, 5.44, "四五六");
    pn_transcript_free(t);
    stage_close(&g);

    stage_init(&g);
    stage_open(&g);
    t = all_of(&g, &OPEN, "1 2 . 3 .");
    assert_int_equal(t->n_sentences, 2);
    check_sentence(t, 0, 0, 0.49, "one two");
    check_sentence(t, 1, 1.38, 1.73, " three"); /* with what joins it */
    pn_transcript_free(t);
    stage_close(&g);
}

/* Noise that the detector takes for speech is a sentence without text. */
static void check_noise(struct stage *g)
{
    struct listener l;
    struct tape noise = { 0 };
    stage_open(g);
    listener_open(&l, g, &OPEN);
    struct pn_transcript *t = watch(&l, "1 2 .", listener_result(&l));
    for (int i = 0; i < 20; i++)
        tape_add(&noise, 1 + i % 2, 30);
    listener_feed_live(&l, noise.pcm, noise.n);
    t = finish(&l, watch(&l, ". 3 .", t));
    assert_int_equal(t->n_sentences, 3);
    assert_int_equal(t->n_segments, 2);
    assert_int_equal(t->sentences[0].n_segments, 1);
    assert_int_equal(t->sentences[1].n_segments, 0);
    assert_int_equal(t->sentences[1].live_start, t->sentences[1].live_end);
    assert_int_equal(t->sentences[2].segment, 1);
    assert_int_equal(t->sentences[2].n_segments, 1);
    pn_transcript_free(t);
    tape_free(&noise);
    listener_close(&l);
    stage_close(g);
}

static void test_noise(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    check_noise(&g);
    stage_init(&g); /* recognised again and again */
    check_noise(&g);
}

/* ---- without a detector ---- */

static void test_one_while_the_button_is_held(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    streaming(&g);
    stage_open(&g);
    listener_open(&l, &g, &PRESSED);
    struct pn_transcript *t = watch(&l, ". .", listener_result(&l));
    check_sentence(t, 0, 0, -1, "");
    t = finish(&l, watch(&l, "1 . . 2", t));
    assert_int_equal(t->n_sentences, 1);
    check_sentence(t, 0, 0, 4.48, "一二");
    pn_transcript_free(t);
    listener_close(&l);
    t = all_of(&g, &PRESSED, "");
    assert_int_equal(t->n_sentences, 0); /* nothing was heard */
    pn_transcript_free(t);
    stage_close(&g);
}

/* What must be cut because the model takes no more is several, one behind the other. */
static void test_cut_by_length(void **state)
{
    (void)state;
    struct stage g;
    struct tape tape = { 0 };
    stage_init(&g);
    stage_open(&g);
    for (int i = 0; i < 80; i++) {
        tape_add(&tape, 1 + i % 9, 600);
        tape_add(&tape, 0, 190);
    }
    struct pn_transcript *t = transcribe(&g, &PRESSED, &tape);
    assert_true(t->n_sentences > 2);
    for (size_t i = 0; i < t->n_sentences; i++)
        assert_true(t->sentences[i].start == (i ? t->sentences[i - 1].end : 0));
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

static void test_files_have_none(void **state)
{
    (void)state;
    const struct pn_recognition want = { .language = "", .task = "transcribe", .vad = true };
    struct stage g;
    struct tape tape = tape_of("1 2 . 3");
    stage_init(&g);
    stage_open(&g);
    struct pn_transcript *t = transcribe(&g, &want, &tape);
    assert_int_equal(t->n_segments, 2);
    assert_int_equal(t->n_sentences, 0);
    pn_transcript_free(t);
    tape_free(&tape);
    stage_close(&g);
}

/* ---- snapshots ---- */

/* They share what is closed, also with a stream that has gone. */
static void test_snapshots_outlive_their_stream(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    stage_init(&g);
    stage_open(&g);
    listener_open(&l, &g, &OPEN);
    struct pn_transcript *t = watch(&l, "1 2 . 3 4 .", listener_result(&l)), *again = listener_result(&l);
    assert_ptr_equal(t->segments[0].text, again->segments[0].text);
    pn_transcript_free(again);
    listener_close(&l);
    stage_close(&g);
    assert_string_equal(t->segments[0].text, " one two");
    assert_string_equal(t->segments[0].words[1].text, " two");
    assert_string_equal(t->text, "one two three four");
    pn_transcript_free(t);
}

/* ---- what a stream asks for ---- */

static void test_detector_options(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = OPEN;
    struct pn_err err = { 0 };
    struct pn_stream *st;
    streaming(&g);
    stage_open(&g);
    struct pn_vad_options options = { .end_silence_ms = 1200 };
    want.vad_options = &options;
    struct pn_transcript *t = all_of(&g, &want, "1 . 2 . . 3");
    assert_int_equal(t->n_sentences, 2);
    pn_transcript_free(t);
    options.end_silence_ms = -1;
    assert_int_equal(g.pipeline->ops->check(g.pipeline, &want, NULL), -PN_EINVAL);
    assert_int_equal(pn_scheduler_open(g.scheduler, g.pipeline, &want, NULL, NULL, &st, &err), -PN_EINVAL);
    assert_string_equal(err.text, "no such silence");
    stage_close(&g);
}

/* They are copied: the caller's may go. */
static void test_detector_options_are_copied(void **state)
{
    (void)state;
    struct stage g;
    struct listener l;
    struct pn_recognition want = OPEN;
    streaming(&g);
    stage_open(&g);
    struct pn_vad_options options = { .end_silence_ms = 1200 };
    want.vad_options = &options;
    listener_open(&l, &g, &want);
    options.end_silence_ms = 1;
    struct pn_transcript *t = finish(&l, watch(&l, "1 . 2", listener_result(&l)));
    assert_int_equal(t->n_sentences, 1);
    pn_transcript_free(t);
    listener_close(&l);
    stage_close(&g);
}

static void test_padding(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = OPEN;
    streaming(&g);
    g.parts.live_pad_ms = 500;
    stage_open(&g);
    struct pn_transcript *t = all_of(&g, &want, ". 1 .");
    check_sentence(t, 0, 0.5, 1.25, "一");
    pn_transcript_free(t);
    want.vad_options = &(struct pn_vad_options){ .pad_ms = 300 }; /* the stream's own goes before */
    t = all_of(&g, &want, ". 1 .");
    check_sentence(t, 0, 0.7, 1.25, "一");
    pn_transcript_free(t);
    stage_close(&g);
}

static void test_first_pass_only(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = OPEN;
    streaming(&g);
    g.first.hears_wrong = true;
    g.second.chinese = true;
    g.parts.second = &g.second.base;
    stage_open(&g);
    want.first_pass = true;
    struct pn_transcript *t = all_of(&g, &want, "1 3 .");
    assert_string_equal(t->text, "二三");
    assert_int_equal(g.second.n_opened, 0);
    pn_transcript_free(t);
    want.first_pass = false;
    t = all_of(&g, &want, "1 3 .");
    assert_string_equal(t->text, "一三");
    pn_transcript_free(t);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_soon_as_it_is_known),
        cmocka_unit_test(test_texts_of_each),
        cmocka_unit_test(test_noise),
        cmocka_unit_test(test_one_while_the_button_is_held),
        cmocka_unit_test(test_cut_by_length),
        cmocka_unit_test(test_files_have_none),
        cmocka_unit_test(test_snapshots_outlive_their_stream),
        cmocka_unit_test(test_detector_options),
        cmocka_unit_test(test_detector_options_are_copied),
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_first_pass_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
