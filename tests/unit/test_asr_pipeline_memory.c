/* test_asr_pipeline_memory.c - the pipeline without memory: each allocation fails in turn, until there is
 * none left to fail. A stream then has its text, or fails and says why; nothing is left behind. One thread
 * does what the scheduler does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "pipeline_case.h"

#include <stdlib.h>
#include <string.h>

/* Everything that can be done now. */
static void work(struct pn_stream *st)
{
    const struct pn_recognizer_ops *ops = st->recognizer->ops;
    struct pn_work w;
    while ((w = ops->next(st)).phase != 0)
        ops->step(st->recognizer, w.phase, &st, 1);
}

/* 0, *ret_text malloc'd by the real one; or why not. */
static int run(struct pn_recognizer *r, const struct pn_recognition *want, const struct tape *tape,
               char **ret_text)
{
    struct pn_stream *st = NULL;
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    int e = r->ops->open(r, want, &st, &err);
    if (e < 0)
        return e;
    st->recognizer = r;
    st->live = want->live;
    for (size_t at = 0, n; at < tape->n; at += n) {
        n = PN_MIN(tape->n - at, (size_t)4000);
        assert_int_equal(r->ops->feed(st, tape->pcm + at, n), 0);
        work(st);
    }
    assert_int_equal(r->ops->finish(st), 0);
    work(st);
    e = r->ops->status(st, &err);
    if (e == 1)
        e = r->ops->result(st, &t, &err);
    assert_int_not_equal(e, 1);
    if (e == 0) {
        assert_true(t->final);
        *ret_text = __real_malloc(strlen(t->text) + 1);
        memcpy(*ret_text, t->text, strlen(t->text) + 1);
        pn_transcript_free(t);
    }
    r->ops->close(st);
    return e;
}

static void check(struct stage *g, const struct pn_recognition *want, const char *score, const char *text)
{
    struct tape tape = tape_of(score);
    char *heard = NULL;
    int e = -PN_ENOMEM;
    assert_int_equal(pn_pipeline_new(&g->first.base, &g->parts, &g->pipeline, NULL), 0);
    for (long i = 0; e < 0; i++) {
        pn_fail_allocation = i;
        e = run(g->pipeline, want, &tape, &heard);
        pn_fail_allocation = -1;
        if (e < 0 && e != -PN_ENOMEM)
            fail_msg("allocation %ld: %s", i, pn_error_name(e));
        assert_int_equal(scribe_open_now(&g->first) + scribe_open_now(&g->second), 0);
    }
    assert_string_equal(heard, text);
    free(heard);
    tape_free(&tape);
    g->pipeline->ops->free(g->pipeline);
    scribe_done(&g->first);
    scribe_done(&g->second);
    scribe_done(&g->patient);
}

static void test_file_without_memory(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = {
        .language = "", .task = "transcribe", .vad = true, .punctuation = true, .itn = true
    };
    stage_init(&g);
    g.first.base.bare_text = true;
    check(&g, &want, "1 5 . 3 9 . 2", "One five. Three, 9 two.");
    stage_init(&g);
    g.first.base.bare_text = true;
    g.first.base.window_s = 30;
    check(&g, &want, "1 5 . 3 9 . 2", "One five. Three, 9 two.");
    stage_init(&g);
    g.first.base.bare_text = true;
    want.vad = false;
    check(&g, &want, "1 5 3", "One five. Three.");
}

static void test_live_without_memory(void **state)
{
    (void)state;
    struct stage g;
    struct pn_recognition want = { .language = "", .task = "transcribe", .live = true, .vad = true };
    stage_init(&g);
    check(&g, &want, "1 2 3 4 5 . 6", "one two three four five six");
    stage_init(&g);
    g.first.base.streaming = true;
    g.first.hears_wrong = true;
    g.first.base.bare_text = g.second.base.bare_text = true;
    g.parts.second = &g.second.base;
    want.punctuation = true;
    want.itn = true;
    check(&g, &want, "1 2 3 4 9 . 1", "One two three, four 9. One.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file_without_memory),
        cmocka_unit_test(test_live_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
