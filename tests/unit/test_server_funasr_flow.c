/* test_server_funasr_flow.c - from transcripts to FunASR's messages: what is live, what replaces it, which
 * one is final; and the times of what is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "server/funasr_flow.h"
#include "server/funasr_stamps.h"

/* ---- what was told, as text: "online:TEXT;" and, where corrected, "#INDEX TEXT START-END;"; "!" is final --
 */

struct told {
    struct pn_buf text;
    int fail; /* this many messages cannot be sent */
};

static int tell(void *ctx, const struct pn_funasr_answer *a)
{
    struct told *t = ctx;
    if (t->fail > 0) {
        t->fail--;
        return -PN_EFULL;
    }
    if (a->is_final)
        pn_buf_putc(&t->text, '!');
    if (strcmp(a->mode, "2pass-offline") == 0 && a->slice == PN_FUNASR_ENDED)
        pn_buf_printf(&t->text, "#%d %.*s %g-%g;", a->index, (int)a->text.len, a->text.ptr, a->start, a->end);
    else if (a->slice == PN_FUNASR_NO_SLICE)
        pn_buf_printf(&t->text, "%s:%.*s;", a->mode, (int)a->text.len, a->text.len ? a->text.ptr : "");
    else
        pn_buf_printf(&t->text, "%s%d:%.*s;", a->slice == PN_FUNASR_BEGINS ? ">" : "+", a->index,
                      (int)a->text.len, a->text.ptr);
    return 0;
}

static void told_is(struct told *t, const char *want)
{
    assert_string_equal(t->text.len ? t->text.ptr : "", want);
    pn_buf_clear(&t->text);
}

static int setup(void **state)
{
    struct told *t = calloc(1, sizeof(*t));
    pn_buf_init(&t->text, 1 << 16);
    *state = t;
    return 0;
}

static int teardown(void **state)
{
    struct told *t = *state;
    pn_buf_done(&t->text);
    free(t);
    return 0;
}

static const struct pn_segment TWO[] = { { .text = "你好。" }, { .text = "再见！" } };

static void next(struct told *told, struct pn_funasr_flow *f, const char *live,
                 const struct pn_sentence *sentences, size_t n, bool all_heard)
{
    const struct pn_transcript t = {
        .live_text = live, .segments = TWO, .n_segments = 2, .sentences = sentences, .n_sentences = n
    };
    assert_int_equal(pn_funasr_flow_next(f, &t, all_heard, tell, told), 0);
}

/* A closed sentence with one segment, or none (segment < 0). */
static struct pn_sentence closed(double start, double end, int segment, size_t live_start, size_t live_end)
{
    return (struct pn_sentence){ .start = start,
                                 .end = end,
                                 .closed = true,
                                 .segment = segment < 0 ? 0 : (size_t)segment,
                                 .n_segments = segment >= 0,
                                 .live_start = live_start,
                                 .live_end = live_end };
}

static struct pn_sentence open_from(double start, size_t live_start)
{
    return (struct pn_sentence){ .start = start, .end = -1, .live_start = live_start };
}

static void test_online(void **state)
{
    struct told *t = *state;
    struct pn_funasr_flow f = { 0 };
    const struct pn_sentence s = open_from(0, 0);
    next(t, &f, "", NULL, 0, false);
    next(t, &f, "你", &s, 1, false);
    next(t, &f, "你", &s, 1, false);
    next(t, &f, "你好", &s, 1, true);
    told_is(t, "online:你;online:好;");
    const struct pn_transcript last = { .live_text = "你好再见" };
    assert_int_equal(pn_funasr_flow_end(&f, &last, tell, t), 0);
    told_is(t, "!online:再见;");
    f = (struct pn_funasr_flow){ 0 };
    assert_int_equal(pn_funasr_flow_end(&f, NULL, tell, t), 0);
    told_is(t, "!online:;");
}

static void test_live_text_of_the_next_sentence_is_said_again(void **state)
{
    struct told *t = *state;
    struct pn_funasr_flow f = { .two_pass = true };
    struct pn_sentence s[] = { open_from(0, 0), open_from(2, 6) };
    next(t, &f, "你好", s, 1, false);
    next(t, &f, "你好再", s, 2, false);
    told_is(t, ">0:你好;+0:再;");
    s[0] = closed(0.5, 1.5, 0, 0, 6);
    next(t, &f, "你好再", s, 2, false);
    told_is(t, "#0 你好。 0.5-1.5;>1:再;");
    next(t, &f, "你好再见", s, 2, true);
    told_is(t, "+1:见;");
    s[1] = closed(2, 3, 1, 6, 12);
    next(t, &f, "你好再见", s, 2, true); /* it may be the last */
    told_is(t, "");
    const struct pn_transcript last = {
        .live_text = "你好再见", .segments = TWO, .n_segments = 2, .sentences = s, .n_sentences = 2
    };
    assert_int_equal(pn_funasr_flow_end(&f, &last, tell, t), 0);
    told_is(t, "!#1 再见！ 2-3;");
}

static void test_sentences_without_text(void **state)
{
    struct told *t = *state;
    struct pn_funasr_flow f = { .two_pass = true };
    struct pn_sentence s[] = { closed(0, 1, -1, 0, 0), open_from(2, 0), open_from(4, 3) };
    next(t, &f, "", s, 1, false);
    next(t, &f, "嗯", s, 2, false);
    told_is(t, ">0:嗯;"); /* noise had nothing to tell */
    s[1] = closed(2, 3, -1, 0, 3);
    next(t, &f, "嗯再", s, 3, false);
    told_is(t, "#0  2-3;>1:再;"); /* what was shown is taken back */
    s[2] = closed(4, 5, 1, 3, 9);
    struct pn_sentence more[] = { s[0], s[1], s[2], closed(6, 7, -1, 9, 9) };
    const struct pn_transcript last = {
        .live_text = "嗯再见", .segments = TWO, .n_segments = 2, .sentences = more, .n_sentences = 4
    };
    assert_int_equal(pn_funasr_flow_end(&f, &last, tell, t), 0);
    told_is(t, "!#1 再见！ 4-5;");
}

static void test_an_end_without_any_sentence(void **state)
{
    struct told *t = *state;
    struct pn_funasr_flow f = { .two_pass = true };
    const struct pn_sentence noise = closed(0, 1, -1, 0, 3);
    const struct pn_transcript last = { .live_text = "嗯", .sentences = &noise, .n_sentences = 1 };
    assert_int_equal(pn_funasr_flow_end(&f, &last, tell, t), 0);
    assert_int_equal(pn_funasr_flow_end(&f, NULL, tell, t), 0);
    told_is(t, "!2pass-offline:;!2pass-offline:;");
}

static void test_blanks_between_english_sentences(void **state)
{
    static const struct pn_segment english[] = { { .text = " Hello." },
                                                 { .text = " Bye" },
                                                 { .text = " bye." } };
    struct told *t = *state;
    struct pn_funasr_flow f = { .two_pass = true };
    struct pn_sentence s[] = { closed(0, 1, 0, 0, 5), closed(1, 2, 1, 5, 13) };
    s[1].n_segments = 2;
    const struct pn_transcript last = {
        .live_text = "hello bye bye", .segments = english, .n_segments = 3, .sentences = s, .n_sentences = 2
    };
    assert_int_equal(pn_funasr_flow_next(&f, &last, false, tell, t), 0);
    told_is(t, "#0 Hello. 0-1;#1  Bye bye. 1-2;");
}

/* What a slow reader did not get comes with the next snapshot. */
static void test_a_message_that_could_not_be_sent(void **state)
{
    struct told *t = *state;
    struct pn_funasr_flow f = { .two_pass = true };
    const struct pn_sentence s[] = { closed(0, 1, 0, 0, 6), open_from(2, 6) };
    const struct pn_transcript now = {
        .live_text = "你好再", .segments = TWO, .n_segments = 2, .sentences = s, .n_sentences = 2
    };
    for (t->fail = 1; t->fail <= 2;) {
        int fail = t->fail;
        f = (struct pn_funasr_flow){ .two_pass = true };
        assert_int_equal(pn_funasr_flow_next(&f, &now, false, tell, t), -PN_EFULL);
        t->fail = 0;
        assert_int_equal(pn_funasr_flow_next(&f, &now, false, tell, t), 0);
        told_is(t, "#0 你好。 0-1;>1:再;");
        t->fail = fail + 1;
    }
}

/* ---- times of what is written ------------------------------------------------------------------------ */

/* "TEXT/MARKS START-END ", "+" in front of what is joined. */
static void stamps_are(const char *text, const struct pn_word *words, size_t n, const char *want)
{
    const struct pn_segment s = { .text = text, .start = 1, .words = words, .n_words = n };
    struct pn_arena *a = NULL;
    const struct pn_stamp *st;
    size_t n_stamps;
    struct pn_buf out;
    pn_buf_init(&out, 1 << 16);
    pn_buf_puts(&out, "");
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    assert_int_equal(pn_funasr_stamps(&s, 1, a, &st, &n_stamps), 0);
    for (size_t i = 0; i < n_stamps; i++)
        pn_buf_printf(&out, "%s%.*s/%.*s %d-%d ", st[i].joined ? "+" : "", (int)st[i].text.len,
                      st[i].text.ptr, (int)st[i].marks.len, st[i].marks.ptr, (int)st[i].start_ms,
                      (int)st[i].end_ms);
    assert_string_equal(out.len ? out.ptr : "", want);
    pn_buf_done(&out);
    pn_arena_free(a);
}

#define STAMPS(text, words, want) stamps_are(text, words, PN_ARRAY_LEN(words), want)

static void test_stamps(void **state)
{
    (void)state;
    const struct pn_word zh[] = { { "你", 0.1, 0.2, 1 }, { "好", 0.2, 0.4, 1 }, { "啊", 0.5, 0.6, 1 } };
    STAMPS("你好，啊。", zh, "你/ 100-200 好/， 200-400 啊/。 500-600 ");
    const struct pn_word mixed[] = { { "hello", 0.1, 0.5, 1 }, { "你", 0.5, 0.6, 1 }, { "usb", 0.7, 1, 1 } };
    STAMPS("Hello你USB", mixed, "Hello/ 100-500 你/ 500-600 USB/ 700-1000 ");
    /* A recogniser whose words are of several characters, with their marks. */
    const struct pn_word pairs[] = { { "你好", 0, 1, 1 }, { "再见。", 1, 2, 1 } };
    STAMPS("你好再见。", pairs, "你/ 0-500 好/ 500-1000 再/ 1000-1500 见/。 1500-2000 ");
    stamps_are("你好。", NULL, 0, "");
}

static void test_stamps_of_numbers(void **state)
{
    (void)state;
    const struct pn_word same[] = { { "二", 0, 1, 1 }, { "零", 1, 2, 1 }, { "年", 2, 3, 1 } };
    STAMPS("20年", same, "2/ 0-1000 +0/ 1000-2000 年/ 2000-3000 ");
    const struct pn_word more[] = {
        { "百", 0, 1, 1 }, { "分", 1, 2, 1 }, { "之", 2, 3, 1 }, { "五", 3, 4, 1 }
    };
    STAMPS("5%。", more, "5/ 0-2000 +%/。 2000-4000 ");
    const struct pn_word less[] = { { "一", 0, 1, 1 }, { "万", 1, 2, 1 }, { "个", 2, 3, 1 } };
    STAMPS("10,000个", less, "1/ 0-400 +0/ 400-800 +0/ 800-1200 +0/ 1200-1600 +0/ 1600-2000 个/ 2000-3000 ");
    /* Words that were written, but not heard. */
    const struct pn_word one[] = { { "好", 1, 2, 1 } };
    STAMPS("你好啊", one, "你/ 1000-1000 好/ 1000-2000 啊/ 2000-2000 ");
}

static void test_stamps_wanted_by_the_page(void **state)
{
    (void)state;
    const struct {
        const char *text;
        size_t want;
    } cases[] = { { "", 0 },       { "。", 0 },          { "你好", 1 },          { "你好，啊。", 3 },
                  { "hello", 1 },  { "hello world", 2 }, { "it's fine", 5 },     { "关闭USB。好", 6 },
                  { "3.5 个", 3 }, { "a😀b c", 5 },       { "hello! ok, you", 8 } };
    for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++)
        assert_int_equal(pn_funasr_stamps_wanted(pn_str(cases[i].text)), cases[i].want);
}

/* ---- JSON -------------------------------------------------------------------------------------------- */

static void test_answers(void **state)
{
    const struct pn_word words[] = { { " it's", 0, 0.5, 1 }, { " half,", 0.5, 1, 1 }, { " ok.", 1, 1.5, 1 } };
    const struct pn_segment s = { .text = " It's 3.5, ok.", .words = words, .n_words = 3 };
    struct pn_funasr_answer a = { .mode = "2pass-offline",
                                  .wav_name = "a\"b",
                                  .text = PN_STR("It's 3.5, ok."),
                                  .segments = &s,
                                  .n_segments = 1,
                                  .slice = PN_FUNASR_ENDED,
                                  .index = 3,
                                  .start = 0.25,
                                  .end = 1.5 };
    struct told *t = *state;
    pn_funasr_answer_write(&a, &t->text);
    told_is(
        t,
        "{\"mode\":\"2pass-offline\",\"text\":\"It's 3.5, ok.\",\"wav_name\":\"a\\\"b\",\"is_final\":false,"
        "\"slice_type\":2,\"index\":3,\"start_time\":250,\"end_time\":1500,"
        "\"timestamp\":\"[[0,500],[500,750],[750,1000],[1000,1500],[1000,1500],[1000,1500],[1000,1500]]\","
        "\"stamp_sents\":[{\"text_seg\":\"It's 3.5\",\"punc\":\",\",\"start\":0,\"end\":1000,"
        "\"ts_list\":[[0,500],[500,1000]]},{\"text_seg\":\"ok\",\"punc\":\".\",\"start\":1000,"
        "\"end\":1500,\"ts_list\":[[1000,1500]]}]}");
    a = (struct pn_funasr_answer){
        .mode = "offline", .wav_name = "w", .is_final = true, .slice = PN_FUNASR_NO_SLICE, .error = "no"
    };
    pn_funasr_answer_write(&a, &t->text);
    told_is(t, "{\"mode\":\"offline\",\"text\":\"\",\"wav_name\":\"w\",\"is_final\":true,\"error\":\"no\"}");
    pn_funasr_acknowledge("2pass", "w", NULL, &t->text);
    told_is(t, "{\"mode\":\"2pass\",\"wav_name\":\"w\",\"is_final\":true,\"is_end\":true}");
    pn_funasr_acknowledge("2pass", "w", "why", &t->text);
    told_is(t,
            "{\"mode\":\"2pass\",\"wav_name\":\"w\",\"is_final\":false,\"is_end\":true,\"error\":\"why\"}");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_online),
        CASE(test_live_text_of_the_next_sentence_is_said_again),
        CASE(test_sentences_without_text),
        CASE(test_an_end_without_any_sentence),
        CASE(test_blanks_between_english_sentences),
        CASE(test_a_message_that_could_not_be_sent),
        cmocka_unit_test(test_stamps),
        cmocka_unit_test(test_stamps_of_numbers),
        cmocka_unit_test(test_stamps_wanted_by_the_page),
        CASE(test_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
