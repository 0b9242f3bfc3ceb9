/* test_text_format.c - transcripts as text, SubRip, WebVTT, TSV and JSON, byte for byte; compression ratio.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "text/format.h"

#include <math.h>
#include <string.h>

static const int32_t TOKENS[] = { 50364, 400, 370 };
static const struct pn_segment SEGMENTS[] = {
    { .id = 0,
      .seek = 0,
      .start = 0.0,
      .end = 7.6000000000000005,
      .text = " And so --> my\tfellow \"Americans\"",
      .tokens = TOKENS,
      .n_tokens = 3,
      .avg_logprob = -0.25,
      .compression_ratio = 1.5,
      .no_speech_prob = 0.01 },
    { .id = 1, .seek = 760, .start = 3599.9996, .end = 36610.5, .text = " ask\nnot ", .temperature = 0.2 },
};
static const struct pn_transcript SPEECH = { .language = "en",
                                             .task = "transcribe",
                                             .duration = 36611.25,
                                             .text = "And so",
                                             .segments = SEGMENTS,
                                             .n_segments = 2 };
static const struct pn_transcript SILENCE = {
    .language = "en", .task = "transcribe", .duration = 1, .text = ""
};

static void check(enum pn_format f, const struct pn_transcript *t, const char *want)
{
    struct pn_buf b;
    pn_buf_init(&b, 1 << 16);
    pn_format_write(f, t, &b);
    assert_false(b.failed);
    assert_string_equal(b.len ? b.ptr : "", want);
    pn_buf_done(&b);
}

static void test_text(void **state)
{
    check(PN_FORMAT_TEXT, &SPEECH, "And so --> my fellow \"Americans\"\nask not\n");
    check(PN_FORMAT_TEXT, &SILENCE, "");
}

static void test_srt(void **state)
{
    check(PN_FORMAT_SRT, &SPEECH,
          "1\n00:00:00,000 --> 00:00:07,600\nAnd so -> my fellow \"Americans\"\n\n"
          "2\n01:00:00,000 --> 10:10:10,500\nask not\n\n");
    check(PN_FORMAT_SRT, &SILENCE, "");
}

static void test_vtt(void **state)
{
    check(PN_FORMAT_VTT, &SPEECH,
          "WEBVTT\n\n00:00:00.000 --> 00:00:07.600\nAnd so -> my fellow \"Americans\"\n\n"
          "01:00:00.000 --> 10:10:10.500\nask not\n\n");
    check(PN_FORMAT_VTT, &SILENCE, "WEBVTT\n");
}

static void test_tsv(void **state)
{
    check(PN_FORMAT_TSV, &SPEECH,
          "start\tend\ttext\n0\t7600\tAnd so --> my fellow \"Americans\"\n3600000\t36610500\task not\n");
    check(PN_FORMAT_TSV, &SILENCE, "start\tend\ttext\n");
}

static void test_json(void **state)
{
    check(PN_FORMAT_JSON, &SPEECH,
          "{\"text\":\"And so\",\"language\":\"en\",\"segments\":["
          "{\"id\":0,\"seek\":0,\"start\":0.0,\"end\":7.6,\"text\":\" And so --> my\\tfellow "
          "\\\"Americans\\\"\",\"tokens\":[50364,400,370],\"temperature\":0.0,\"avg_logprob\":-0.25,"
          "\"compression_ratio\":1.5,\"no_speech_prob\":0.01},"
          "{\"id\":1,\"seek\":760,\"start\":3600.0,\"end\":36610.5,\"text\":\" ask\\nnot \",\"tokens\":[],"
          "\"temperature\":0.2,\"avg_logprob\":0.0,\"compression_ratio\":0.0,\"no_speech_prob\":0.0}]}");
    check(PN_FORMAT_JSON, &SILENCE, "{\"text\":\"\",\"language\":\"en\",\"segments\":[]}");
}

static void test_verbose_json(void **state)
{
    check(
        PN_FORMAT_VERBOSE_JSON, &SILENCE,
        "{\"task\":\"transcribe\",\"language\":\"english\",\"duration\":1.0,\"text\":\"\",\"segments\":[]}");
    struct pn_transcript unknown = SILENCE;
    unknown.language = "";
    check(PN_FORMAT_VERBOSE_JSON, &unknown,
          "{\"task\":\"transcribe\",\"language\":\"\",\"duration\":1.0,\"text\":\"\",\"segments\":[]}");
}

/* Words are shown when they were asked for: in the segments as Whisper has them, beside them as OpenAI has.
 */
static void test_words(void **state)
{
    static const struct pn_word WORDS[] = { { " one", 0.1, 0.30000000000000004, 0.5 },
                                            { " two.", 0.5, 1, 1 } };
    static const struct pn_segment SPOKEN[] = {
        { .end = 1, .text = " one two.", .words = WORDS, .n_words = 2 },
        { .id = 1, .start = 1, .end = 1, .text = "" },
    };
    struct pn_transcript t = { .language = "en",
                               .task = "transcribe",
                               .duration = 1,
                               .text = "one two.",
                               .segments = SPOKEN,
                               .n_segments = 2,
                               .word_times = true };
#define SCORES \
    "\"tokens\":[],\"temperature\":0.0,\"avg_logprob\":0.0,\"compression_ratio\":0.0,\"no_speech_prob\":0.0"
#define TWO                                                                           \
    "{\"word\":\" one\",\"start\":0.1,\"end\":0.3,\"probability\":0.5},{\"word\":\" " \
    "two.\",\"start\":0.5,\"end\":1.0,"                                               \
    "\"probability\":1.0}"
    check(PN_FORMAT_JSON, &t,
          "{\"text\":\"one two.\",\"language\":\"en\",\"segments\":["
          "{\"id\":0,\"seek\":0,\"start\":0.0,\"end\":1.0,\"text\":\" one two.\"," SCORES ",\"words\":[" TWO
          "]},"
          "{\"id\":1,\"seek\":0,\"start\":1.0,\"end\":1.0,\"text\":\"\"," SCORES ",\"words\":[]}]}");
    t.n_segments = 1;
    check(PN_FORMAT_VERBOSE_JSON, &t,
          "{\"task\":\"transcribe\",\"language\":\"english\",\"duration\":1.0,\"text\":\"one "
          "two.\",\"segments\":["
          "{\"id\":0,\"seek\":0,\"start\":0.0,\"end\":1.0,\"text\":\" one two.\"," SCORES "}],\"words\":[" TWO
          "]}");
    t.word_times = false;
    check(PN_FORMAT_JSON, &t,
          "{\"text\":\"one two.\",\"language\":\"en\",\"segments\":["
          "{\"id\":0,\"seek\":0,\"start\":0.0,\"end\":1.0,\"text\":\" one two.\"," SCORES "}]}");
}

static void test_names(void **state)
{
    static const char *const names[] = { "text", "json", "srt", "vtt", "tsv", "verbose_json" };
    enum pn_format f = PN_FORMAT_TEXT;
    for (size_t i = 0; i < PN_ARRAY_LEN(names); i++) {
        assert_int_equal(pn_format_parse(pn_str(names[i]), &f), 0);
        assert_int_equal(f, i);
    }
    assert_int_equal(pn_format_parse(PN_STR("TXT"), &f), 0);
    assert_int_equal(f, PN_FORMAT_TEXT);
    assert_int_equal(pn_format_parse(PN_STR("docx"), &f), -PN_EINVAL);
    assert_int_equal(pn_format_parse(PN_STR(""), &f), -PN_EINVAL);
    assert_int_equal(f, PN_FORMAT_TEXT);
    assert_string_equal(pn_format_extension(PN_FORMAT_TEXT), "txt");
    assert_string_equal(pn_format_extension(PN_FORMAT_VERBOSE_JSON), "json");
}

/* A buffer that is too small fails for good instead of holding half a document. */
static void test_bounded_output(void **state)
{
    struct pn_buf b;
    pn_buf_init(&b, 100);
    pn_format_write(PN_FORMAT_JSON, &SPEECH, &b);
    assert_true(b.failed);
    pn_buf_done(&b);
}

static void test_compression_ratio(void **state)
{
    assert_true(pn_compression_ratio(PN_STR("")) == 0.0);
    /* zlib.compress(b"a") is 9 bytes; of 1000 times "ab" it is 24. */
    assert_true(fabs(pn_compression_ratio(PN_STR("a")) - 1.0 / 9) < 1e-12);
    char repeated[2000];
    for (size_t i = 0; i < sizeof(repeated); i++)
        repeated[i] = "ab"[i % 2];
    double r = pn_compression_ratio((struct pn_str){ repeated, sizeof(repeated) });
    assert_true(fabs(r - 2000.0 / 24) < 1e-9);
}

static void test_transcript_life(void **state)
{
    struct pn_transcript *t = NULL;
    assert_int_equal(pn_transcript_new(1 << 16, &t), 0);
    assert_string_equal(t->text, "");
    assert_int_equal(t->n_segments, 0);
    assert_false(t->final);
    assert_null(pn_transcript_free(t));
    assert_null(pn_transcript_free(NULL));
    assert_int_equal(pn_transcript_new(16, &t), -PN_ENOMEM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_srt),
        cmocka_unit_test(test_vtt),
        cmocka_unit_test(test_tsv),
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_verbose_json),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_bounded_output),
        cmocka_unit_test(test_compression_ratio),
        cmocka_unit_test(test_transcript_life),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
