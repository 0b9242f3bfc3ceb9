/* test_asr_pipeline_load.c - what the pipeline tells the scheduler of its work, by a clock that the test
 * moves: what may be left out, since when something waits, how old it is; and drafts at the scheduler's pace.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/pipeline/stream.h"
#include "fake_clock.h"
#include "pipeline_case.h"

#include <string.h>

static const struct pn_recognition PRESSED = { .language = "", .task = "transcribe", .live = true };
static const struct pn_recognition OPEN = { .language = "", .task = "transcribe", .live = true, .vad = true };
enum { PIECE = 1600, PIECE_US = 100000 };

/* A stream whose steps the test does. */
struct mic {
    struct pn_recognizer *r;
    struct pn_stream *stream;
    int64_t fed;
};

static struct mic mic_of(struct stage *g, const struct pn_recognition *want)
{
    struct mic m = { .r = g->pipeline };
    assert_int_equal(m.r->ops->open(m.r, want, &m.stream, NULL), 0);
    m.stream->recognizer = m.r;
    m.stream->live = want->live;
    atomic_store(&m.stream->began_us, fake_clock_now());
    return m;
}

static struct pn_work work(const struct mic *m)
{
    return m->r->ops->next(m->stream);
}

static bool do_step(struct mic *m)
{
    struct pn_work w = work(m);
    if (w.phase != 0)
        m->r->ops->step(m->r, w.phase, &m->stream, 1);
    return w.phase != 0;
}

static void do_all(struct mic *m)
{
    while (do_step(m))
        ;
}

/* Steps until what is next may be left out, or nothing is. */
static struct pn_work do_what_must_be_done(struct mic *m)
{
    struct pn_work w;
    while ((w = work(m)).phase != 0 && !w.optional)
        do_step(m);
    return w;
}

static void push(struct mic *m, const struct tape *tape)
{
    assert_int_equal(m->r->ops->feed(m->stream, tape->pcm, tape->n), 0);
}

/* In real time, with everything that can be done in between. */
static void talk(struct mic *m, const char *score)
{
    struct tape tape = tape_of(score);
    for (size_t at = 0; at < tape.n; at += PIECE) {
        size_t n = PN_MIN(tape.n - at, (size_t)PIECE);
        fake_clock_pass(PIECE_US);
        assert_int_equal(m->r->ops->feed(m->stream, tape.pcm + at, n), 0);
        do_all(m);
    }
    tape_free(&tape);
}

static void finish(struct mic *m)
{
    assert_int_equal(m->r->ops->finish(m->stream), 0);
}

static void check_text(struct mic *m, const char *text)
{
    struct pn_transcript *t = NULL;
    assert_int_equal(m->r->ops->status(m->stream, NULL), 1);
    assert_int_equal(m->r->ops->result(m->stream, &t, NULL), 0);
    assert_string_equal(t->text, text);
    pn_transcript_free(t);
}

static void close_mic(struct mic *m)
{
    m->r->ops->close(m->stream);
}

static void streaming(struct stage *g)
{
    stage_init(g);
    g->first.base.streaming = true;
    g->first.base.bare_text = true;
    g->first.chinese = true;
}

/* ---- drafts ---- */

static int drafts_at(double pace)
{
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    g.pipeline->draft_pace = pace;
    struct mic m = mic_of(&g, &PRESSED);
    talk(&m, "1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3 4 5 6 7 8 9 1 2 3");
    int n = g.first.n_opened;
    finish(&m);
    do_all(&m);
    check_text(
        &m, "one two three four five six seven eight nine one two three four five six seven eight nine one "
            "two three four five six seven eight nine one two three"); /* never left out */
    close_mic(&m);
    stage_close(&g);
    return n;
}

static void test_drafts_at_the_pace_that_is_set(void **state)
{
    (void)state;
    assert_int_equal(drafts_at(0), drafts_at(1));
    assert_in_range(drafts_at(1), 10, 12); /* 7.2 s */
    assert_in_range(drafts_at(2), 5, 6);
    assert_in_range(drafts_at(4), 2, 3);
}

/* A draft that took two seconds is followed by a rest of as long, times the pace. */
static void test_rest_after_a_draft(void **state)
{
    (void)state;
    for (int pace = 1; pace <= 3; pace++) {
        struct stage g;
        stage_init(&g);
        stage_open(&g);
        g.pipeline->draft_pace = pace;
        struct mic m = mic_of(&g, &PRESSED);
        struct tape tape = tape_of("1 2 3 4 5 6 7 8 9");
        push(&m, &tape);
        do_step(&m); /* hears it: a draft begins */
        assert_int_equal(g.first.n_opened, 1);
        fake_clock_pass(2000000);
        do_all(&m);
        fake_clock_pass(pace * 2000000 - 1);
        push(&m, &tape);
        do_all(&m);
        assert_int_equal(g.first.n_opened, 1);
        fake_clock_pass(1);
        push(&m, &tape);
        do_all(&m);
        assert_int_equal(g.first.n_opened, 2);
        tape_free(&tape);
        close_mic(&m);
        stage_close(&g);
    }
}

/* Models that stream keep theirs: what comes late with them is the text. */
static void test_streams_have_no_pace(void **state)
{
    (void)state;
    int n_steps[2];
    for (int i = 0; i < 2; i++) {
        struct stage g;
        streaming(&g);
        stage_open(&g);
        g.pipeline->draft_pace = i ? 8 : 1;
        struct mic m = mic_of(&g, &OPEN);
        talk(&m, "1 2 3 4 5 6 . 7 8 9 .");
        n_steps[i] = g.first.n_steps;
        close_mic(&m);
        stage_close(&g);
    }
    assert_int_equal(n_steps[0], n_steps[1]);
}

/* ---- what the work is ---- */

static void test_drafts_are_optional(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    stage_open(&g);
    struct mic m = mic_of(&g, &PRESSED);
    struct tape tape = tape_of("1 2 3 4");
    push(&m, &tape);
    assert_false(work(&m).optional); /* listening */
    struct pn_work w = do_what_must_be_done(&m);
    assert_true(w.phase != 0 && w.optional);
    assert_int_equal(w.since_us, 0); /* nobody misses it */
    fake_clock_pass(5000000);
    finish(&m);
    w = work(&m);
    assert_false(w.optional);
    do_step(&m); /* hears the end; the draft is out of date */
    w = work(&m);
    assert_true(w.phase != 0 && !w.optional);
    assert_int_equal(w.since_us, fake_clock_now() + 240000); /* a quarter of its length is no waiting */
    do_what_must_be_done(&m);
    check_text(&m, "one two three four");
    tape_free(&tape);
    close_mic(&m);
    stage_close(&g);
}

/* Threads of the recogniser's own have it: there is no work, but somebody waits. */
static void test_waiting_for_other_threads(void **state)
{
    (void)state;
    struct stage g;
    stage_init(&g);
    g.first.deferred = true;
    stage_open(&g);
    struct mic m = mic_of(&g, &PRESSED);
    talk(&m, "1 2");
    finish(&m);
    do_all(&m);
    int64_t since_us = fake_clock_now();
    fake_clock_pass(3000000);
    struct pn_work w = work(&m);
    assert_int_equal(w.phase, 0);
    assert_int_equal(w.since_us, since_us + 120000);
    scribe_release(&g.first);
    do_all(&m);
    assert_int_equal(work(&m).since_us, 0);
    check_text(&m, "one two");
    close_mic(&m);
    stage_close(&g);
}

/* However long the audio, two seconds are enough for its text. */
static void test_patience_has_an_end(void **state)
{
    (void)state;
    struct stage g;
    struct tape tape = { 0 };
    stage_init(&g);
    g.first.deferred = true;
    stage_open(&g);
    struct mic m = mic_of(&g, &PRESSED);
    for (int i = 0; i < 25; i++) {
        tape_add(&tape, 1 + i % 9, 600);
        tape_add(&tape, 0, 190);
    }
    push(&m, &tape);
    fake_clock_pass(20000000);
    finish(&m);
    do_what_must_be_done(&m);
    assert_int_equal(work(&m).since_us, fake_clock_now() + 2000000);
    tape_free(&tape);
    close_mic(&m);
    stage_close(&g);
}

/* A sentence waits for its second pass; the next one, younger, is being heard. */
static void test_the_oldest_counts(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    g.second.chinese = true;
    g.second.deferred = true;
    g.parts.second = &g.second.base;
    stage_open(&g);
    struct mic m = mic_of(&g, &OPEN);
    talk(&m, "1 2 .");
    int64_t since_us = work(&m).since_us;
    assert_in_range(fake_clock_now() - since_us, 500000, 800000); /* found 300 ms after the last word */
    talk(&m, "3 4 5 6");
    assert_int_equal(work(&m).since_us, since_us);
    scribe_release(&g.second);
    do_all(&m);
    assert_int_equal(work(&m).since_us, 0);
    close_mic(&m);
    stage_close(&g);
}

/* ---- how old it is ---- */

/* Four seconds at once: the later the audio, the later it would have come. */
static void test_pushed_audio_is_dated_as_in_real_time(void **state)
{
    (void)state;
    struct stage g;
    streaming(&g);
    g.first.inbox = SCRIBE_CHUNK;
    g.second.chinese = true;
    g.parts.second = &g.second.base;
    stage_open(&g);
    struct mic m = mic_of(&g, &OPEN);
    const struct pn_pipeline_stream *s = pn_pipeline_stream_of(m.stream);
    struct tape tape = tape_of(". . 1 2 . .");
    int64_t start_us = fake_clock_now();
    push(&m, &tape);
    assert_int_equal(work(&m).deadline_us, start_us); /* the first sample, now */
    do_step(&m);
    assert_int_equal(work(&m).deadline_us, start_us + 2000000); /* the piece after it */
    while (!s->first)
        do_step(&m);
    int64_t began_us = atomic_load(&s->first->inner->began_us);
    assert_int_equal(began_us, start_us + 1900000); /* where the sentence begins */
    while (s->first && s->first->state != PN_UTTERANCE_SECOND)
        do_step(&m);
    assert_non_null(s->first);
    assert_int_equal(s->first->due_us, start_us + 2490000); /* and where it ends */
    do_all(&m);
    finish(&m);
    do_all(&m);
    check_text(&m, "一二");
    tape_free(&tape);
    close_mic(&m);
    stage_close(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drafts_at_the_pace_that_is_set),
        cmocka_unit_test(test_rest_after_a_draft),
        cmocka_unit_test(test_streams_have_no_pace),
        cmocka_unit_test(test_drafts_are_optional),
        cmocka_unit_test(test_waiting_for_other_threads),
        cmocka_unit_test(test_patience_has_an_end),
        cmocka_unit_test(test_the_oldest_counts),
        cmocka_unit_test(test_pushed_audio_is_dated_as_in_real_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
