/* test_asr_pipeline_parts.c - the pipeline's parts alone: agreement, the undecided track, the cutter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/pipeline/agreement.h"
#include "asr/pipeline/cutter.h"
#include "audio/decoder.h"
#include "pipeline_case.h"

#include <stdlib.h>
#include <string.h>

/* ---- agreement ---- */

static void check_agreement(struct pn_agreement *a, const char *text, const char *stable)
{
    assert_int_equal(pn_agreement_add(a, pn_str(text)), 0);
    assert_string_equal(a->stable.len ? a->stable.ptr : "", stable);
}

static void test_agreement(void **state)
{
    (void)state;
    struct pn_agreement a;
    pn_agreement_init(&a);
    check_agreement(&a, " The quick", "");
    check_agreement(&a, " The quick brown.", "The quick");
    check_agreement(&a, " the quick brown fox", "The quick brown");
    check_agreement(&a, " the quick", "The quick brown"); /* nothing is taken back */
    check_agreement(&a, " the quick red fox, jumps", "The quick brown");
    check_agreement(&a, " the quick red fox jumps over", "The quick brown fox jumps");
    check_agreement(&a, "", "The quick brown fox jumps");
    pn_agreement_done(&a);

    pn_agreement_init(&a);
    check_agreement(&a, "今天天", "");
    check_agreement(&a, "今天天气，", "今天天");
    check_agreement(&a, "今天天气很好。", "今天天气");
    check_agreement(&a, "今天天气很好，我们", "今天天气很好");
    pn_agreement_done(&a);
}

/* ---- track ---- */

static void test_track(void **state)
{
    (void)state;
    struct pn_track t = { 0 };
    float pcm[5000];
    int64_t fed = 0;
    for (int round = 0; round < 100; round++) {
        for (size_t i = 0; i < PN_ARRAY_LEN(pcm); i++)
            pcm[i] = (float)(fed + (int64_t)i);
        assert_int_equal(pn_track_add(&t, pcm, PN_ARRAY_LEN(pcm)), 0);
        fed += (int64_t)PN_ARRAY_LEN(pcm);
        assert_int_equal(pn_track_end(&t), fed);
        pn_track_drop(&t, fed - (round % 7) * 1000);
        pn_track_drop(&t, 10); /* long gone */
        for (int64_t i = t.start; i < fed; i += 499)
            assert_true(*pn_track_at(&t, i) == (float)i);
    }
    pn_track_drop(&t, fed);
    assert_int_equal(t.n, 0);
    assert_true(t.cap < 20000);
    pn_track_done(&t);
}

/* ---- cutter ---- */

/* Hears the tape piece by piece; the boundaries are written as "s1600 e3200 ", in milliseconds. */
static void check_cuts(enum pn_cut how, int64_t limit, const struct tape *tape, size_t piece,
                       const char *want)
{
    struct pn_cutter c;
    struct pn_track track = { 0 };
    struct pn_buf out;
    struct pn_vad_event e;
    pn_buf_init(&out, 1000);
    pn_buf_puts(&out, "");
    assert_int_equal(pn_cutter_init(&c, how, NULL, NULL, limit), 0);
    for (size_t at = 0, n; at <= tape->n; at += n) {
        n = PN_MIN(piece, tape->n - at);
        assert_int_equal(pn_track_add(&track, tape->pcm + at, n), 0);
        assert_int_equal(pn_cutter_hear(&c, tape->pcm + at, n), 0);
        if (at + n == tape->n)
            assert_int_equal(pn_cutter_end(&c), 0);
        while (pn_cutter_next(&c, &track, &e))
            pn_buf_printf(&out, "%c%d ", e.start ? 's' : 'e', (int)(e.sample / 16));
        pn_track_drop(&track, pn_cutter_needs(&c)); /* it must not need more than it says */
        if (at + n == tape->n)
            break;
    }
    assert_string_equal(out.len ? out.ptr : "", want);
    pn_buf_done(&out);
    pn_cutter_done(&c);
    pn_track_done(&track);
}

static void test_cutter(void **state)
{
    (void)state;
    struct tape tape = tape_of(". 1 2 . . 3 .");
    for (size_t piece = 160; piece < 100000; piece = piece * 3 + 7) {
        check_cuts(PN_CUT_VAD, 30 * PN_SAMPLE_RATE, &tape, piece, "s900 e1490 s3380 e3730 ");
        check_cuts(PN_CUT_NONE, 0, &tape, piece, "s0 e4720 ");
        check_cuts(PN_CUT_LENGTH, 30 * PN_SAMPLE_RATE, &tape, piece, "s0 e4720 ");
    }
    tape.n = 0;
    check_cuts(PN_CUT_NONE, 0, &tape, 100, "");
    check_cuts(PN_CUT_LENGTH, 1000, &tape, 100, "");
    tape_free(&tape);
}

static void test_cutter_finds_pauses(void **state)
{
    (void)state;
    struct tape tape = { 0 };
    for (int i = 0; i < 6; i++) {
        tape_add(&tape, 1, 1400);
        tape_add(&tape, 0, 200);
    }
    for (size_t piece = 160; piece < 100000; piece = piece * 3 + 7) {
        check_cuts(PN_CUT_LENGTH, 4 * PN_SAMPLE_RATE, &tape, piece, "s0 e3100 s3100 e6300 s6300 e9600 ");
        check_cuts(PN_CUT_VAD, 4 * PN_SAMPLE_RATE, &tape, piece, "s0 e3100 s3100 e6300 s6300 e9600 ");
    }
    tape_free(&tape);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agreement),
        cmocka_unit_test(test_track),
        cmocka_unit_test(test_cutter),
        cmocka_unit_test(test_cutter_finds_pauses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
