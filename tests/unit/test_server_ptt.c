/* test_server_ptt.c - the pure parts of the push-to-talk protocol: messages, frames, arrival times. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "failing_memory.h"
#include "server/ptt_marks.h"
#include "server/ptt_message.h"
#include "server/ptt_result.h"

#include <stdlib.h>
#include <string.h>

/* ---- messages ---- */

static struct pn_ptt_message message(const char *text)
{
    struct pn_ptt_message m;
    struct pn_err err = { 0 };
    if (pn_ptt_message_parse(pn_str(text), &m, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return m;
}

static void test_commands(void **state)
{
    struct pn_ptt_message m = message("{\"type\":\"control\",\"command\":\"start\",\"timestamp\":17}");
    assert_int_equal(m.kind, PN_PTT_START);
    assert_int_equal(m.timestamp, 17);
    assert_int_equal(m.start.format, PN_INTAKE_S16LE);
    assert_int_equal(m.start.rate, 16000);
    assert_string_equal(m.start.language, "");
    assert_int_equal(m.start.model.len, 0);
    assert_null(m.start.hotwords);
    assert_true(m.start.interim && !m.start.vad);
    pn_ptt_message_done(&m);
    m = message("{\"type\":\"control\",\"command\":\"stop\",\"timestamp\":\"yesterday\",\"sample_rate\":1}");
    assert_int_equal(m.kind, PN_PTT_STOP);
    assert_int_equal(m.timestamp, -1);
    pn_ptt_message_done(&m);
    m = message("{\"command\":\"reset\",\"type\":\"control\",\"timestamp\":1732800000123.75}");
    assert_int_equal(m.kind, PN_PTT_RESET);
    assert_int_equal(m.timestamp, 1732800000123);
    pn_ptt_message_done(&m);
}

static void test_start_with_everything(void **state)
{
    struct pn_ptt_message m = message(
        "{\"type\":\"control\",\"command\":\"start\",\"format\":\"opus\",\"sample_rate\":48000,"
        "\"language\":\"zh-CN\",\"model\":\"base\",\"hotwords\":[\"阿里\",\"b:20\"],\"interim\":false,"
        "\"vad\":true,\"unknown\":{}}");
    assert_int_equal(m.start.format, PN_INTAKE_OPUS);
    assert_int_equal(m.start.rate, 48000);
    assert_string_equal(m.start.language, "zh");
    assert_true(pn_str_is(m.start.model, "base"));
    assert_string_equal(m.start.hotwords, "阿里 b:20");
    assert_true(!m.start.interim && m.start.vad);
    pn_ptt_message_done(&m);
    m = message("{\"type\":\"control\",\"command\":\"start\",\"hotwords\":\"a b\",\"model\":null}");
    assert_string_equal(m.start.hotwords, "a b");
    pn_ptt_message_done(&m);
}

static void test_audio(void **state)
{
    const char *text = "{\"type\":\"audio\",\"data\":\"QUJD\",\"timestamp\":5}";
    struct pn_ptt_message m = message(text);
    assert_int_equal(m.kind, PN_PTT_AUDIO);
    assert_ptr_equal(m.audio.ptr, strstr(text, "QUJD"));
    assert_int_equal(m.audio.len, 4);
    assert_int_equal(m.timestamp, 5);
    pn_ptt_message_done(&m);
}

static void test_what_is_refused(void **state)
{
#define START "{\"type\":\"control\",\"command\":\"start\","
    static const struct {
        const char *text;
        int code;
        const char *says;
    } CASES[] = {
        { "", -PN_EFORMAT, "消息格式错误" },
        { "hello", -PN_EFORMAT, "消息格式错误" },
        { "[1]", -PN_EFORMAT, "消息格式错误" },
        { "{}", -PN_EINVAL, "未知消息类型: " },
        { "{\"type\":7}", -PN_EINVAL, "未知消息类型: " },
        { "{\"type\":\"ping\"}", -PN_EINVAL, "未知消息类型: ping" },
        { "{\"type\":\"control\"}", -PN_EINVAL, "未知控制指令: " },
        { "{\"type\":\"control\",\"command\":\"pause\"}", -PN_EINVAL, "未知控制指令: pause" },
        { "{\"type\":\"audio\"}", -PN_EINVAL, "data" },
        { "{\"type\":\"audio\",\"data\":1}", -PN_EINVAL, "data" },
        { START "\"format\":\"mp3\"}", -PN_EINVAL, "format" },
        { START "\"format\":\"pcm_ulaw\"}", -PN_EINVAL, "format" },
        { START "\"format\":1}", -PN_EINVAL, "format" },
        { START "\"sample_rate\":7999}", -PN_EINVAL, "sample_rate" },
        { START "\"sample_rate\":48001}", -PN_EINVAL, "sample_rate" },
        { START "\"sample_rate\":\"16000\"}", -PN_EINVAL, "sample_rate" },
        { START "\"language\":\"klingon\"}", -PN_EINVAL, "language 'klingon'" },
        { START "\"language\":1}", -PN_EINVAL, "language" },
        { START "\"model\":[]}", -PN_EINVAL, "model" },
        { START "\"hotwords\":[1]}", -PN_EINVAL, "hotwords" },
        { START "\"hotwords\":{}}", -PN_EINVAL, "hotwords" },
        { START "\"interim\":1}", -PN_EINVAL, "interim" },
        { START "\"vad\":\"yes\"}", -PN_EINVAL, "vad" },
    };
#undef START
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_ptt_message m;
        struct pn_err err = { 0 };
        assert_int_equal(pn_ptt_message_parse(pn_str(CASES[i].text), &m, &err), CASES[i].code);
        if (!strstr(err.text, CASES[i].says))
            fail_msg("%s: %s", CASES[i].text, err.text);
    }
}

/* What the client sent comes back cut, but in whole characters. */
static void test_long_unknown_type(void **state)
{
    struct pn_ptt_message m;
    struct pn_err err = { 0 };
    struct pn_buf b;
    pn_buf_init(&b, 600);
    pn_buf_puts(&b, "{\"type\":\"");
    for (int i = 0; i < 50; i++)
        pn_buf_puts(&b, "类");
    pn_buf_puts(&b, "\"}");
    assert_int_equal(pn_ptt_message_parse((struct pn_str){ b.ptr, b.len }, &m, &err), -PN_EINVAL);
    pn_buf_done(&b);
    assert_int_equal(strlen(err.text), strlen("未知消息类型: ") + 21 * strlen("类"));
}

static void test_too_much_audio(void **state)
{
    struct pn_buf b;
    struct pn_err err = { 0 };
    struct pn_ptt_message m;
    for (size_t more = 0; more < 2; more++) {
        pn_buf_init(&b, 2 << 20);
        pn_buf_puts(&b, "{\"type\":\"audio\",\"data\":\"");
        for (size_t i = 0; i < PN_PTT_DATA_MAX + more; i++)
            pn_buf_putc(&b, 'A');
        pn_buf_puts(&b, "\"}");
        int r = pn_ptt_message_parse((struct pn_str){ b.ptr, b.len }, &m, &err);
        assert_int_equal(r, more ? -PN_ELIMIT : 0);
        if (r == 0)
            pn_ptt_message_done(&m);
        pn_buf_done(&b);
    }
    assert_string_equal(err.text, "音频数据过大");
}

static void test_too_many_hotwords(void **state)
{
    struct pn_buf b;
    struct pn_err err = { 0 };
    struct pn_ptt_message m;
    pn_buf_init(&b, 1 << 20);
    pn_buf_puts(&b, "{\"type\":\"control\",\"command\":\"start\",\"hotwords\":[\"x\"");
    for (int i = 0; i < 400; i++)
        pn_buf_puts(&b, ",\"twenty-six bytes of a word\"");
    pn_buf_puts(&b, "]}");
    assert_int_equal(pn_ptt_message_parse((struct pn_str){ b.ptr, b.len }, &m, &err), -PN_EINVAL);
    assert_non_null(strstr(err.text, "hotwords must not be longer"));
    pn_buf_done(&b);
}

/* Every allocation fails once; what was made is freed, which the sanitizers see. */
static void test_messages_without_memory(void **state)
{
    static const char TEXT[] = "{\"type\":\"control\",\"command\":\"start\",\"hotwords\":[\"a\",\"b\"],"
                               "\"model\":\"base\",\"timestamp\":5}";
    int r = -1;
    for (long n = 0, used = 1; r < 0 || used; n++) {
        struct pn_ptt_message m = { 0 };
        struct pn_err err = { 0 };
        pn_fail_allocation = n;
        r = pn_ptt_message_parse(pn_str(TEXT), &m, &err);
        used = pn_fail_allocation < 0;
        pn_fail_allocation = -1;
        /* jansson's lexer takes a text that it has no memory for as a wrong one. */
        assert_true(r == 0 || r == -PN_ENOMEM || (r == -PN_EFORMAT && strstr(err.text, "near '\"")));
        assert_true(r == 0 || (!m.json && err.text[0]));
        if (r == 0)
            pn_ptt_message_done(&m);
    }
}

/* ---- frames ---- */

static struct pn_buf frame;

static void begin(void)
{
    pn_buf_done(&frame);
    pn_buf_init(&frame, PN_PTT_FRAME_MAX);
}

static int end(void **state)
{
    pn_buf_done(&frame);
    return 0;
}

static void test_status_and_error(void **state)
{
    begin();
    pn_ptt_write_status(&frame, "开始录音", NULL, 12);
    assert_string_equal(frame.ptr,
                        "{\"type\":\"status\",\"code\":200,\"message\":\"开始录音\",\"timestamp\":12}");
    begin();
    pn_ptt_write_status(&frame, "hi", "c1", 12);
    assert_non_null(strstr(frame.ptr, "\"connection_id\":\"c1\",\"timestamp\":12}"));
    begin();
    pn_ptt_write_error(&frame, 413, "音频数据过大", 0, 13);
    assert_string_equal(frame.ptr,
                        "{\"type\":\"error\",\"code\":413,\"message\":\"音频数据过大\",\"timestamp\":13}");
    begin();
    pn_ptt_write_error(&frame, 503, "x", 250, 13);
    assert_non_null(strstr(frame.ptr, "\"retry_after_ms\":250,"));
}

static void test_partial(void **state)
{
    struct pn_ptt_partial p = { .text = PN_STR("天气"),
                                .full_text = PN_STR("今天天气"),
                                .confidence = 0.98765,
                                .processing_ms = 12.34,
                                .timestamp = 99 };
    begin();
    pn_ptt_write_partial(&frame, &p);
    assert_string_equal(
        frame.ptr, "{\"type\":\"result\",\"mode\":\"partial\",\"text\":\"天气\",\"full_text\":\"今天天气\","
                   "\"confidence\":0.9877,\"processing_time_ms\":12.3,\"timestamp\":99}");
    begin();
    p.sentence = 3;
    pn_ptt_write_partial(&frame, &p);
    assert_non_null(strstr(frame.ptr, "\"sentence\":3,"));
}

static const int32_t THREE[3] = { 1, 2, 3 };
static const struct pn_segment SEGMENTS[] = {
    { .start = 0.5, .end = 1.25, .text = "One.", .confidence = 0.5, .tokens = THREE, .n_tokens = 3 },
    { .start = 2, .end = 3, .text = " Two.", .confidence = 0.9, .tokens = THREE, .n_tokens = 1 },
};
static const struct pn_sentence SENTENCES[] = {
    { .start = 0, .end = 1.5, .closed = true, .segment = 0, .n_segments = 1 },
    { .start = 1.5, .end = 1.6, .closed = true, .segment = 1, .n_segments = 0 },
    { .start = 1.8, .end = 3, .closed = true, .segment = 1, .n_segments = 1 },
};
static const struct pn_transcript SAID = {
    .language = "en", .segments = SEGMENTS, .n_segments = 2, .sentences = SENTENCES, .n_sentences = 3
};

static void test_final(void **state)
{
    struct pn_ptt_final f = { .transcript = &SAID, .audio_ms = 3100, .processing_ms = 5, .timestamp = 7 };
    begin();
    assert_int_equal(pn_ptt_write_final(&frame, &f), 9);
    assert_string_equal(
        frame.ptr,
        "{\"type\":\"final\",\"text\":\"One. Two.\",\"segments\":[{\"start\":0.5,\"end\":1.25,\"text\":"
        "\"One.\"},{\"start\":2.0,\"end\":3.0,\"text\":\"Two.\"}],\"language\":\"en\","
        "\"audio_duration_ms\":3100,\"confidence\":0.6,\"processing_time_ms\":5.0,\"timestamp\":7}");
    begin();
    f.sentence = &SENTENCES[2];
    assert_int_equal(pn_ptt_write_final(&frame, &f), 4);
    assert_non_null(strstr(frame.ptr, "\"text\":\"Two.\",\"segments\":[{\"start\":2.0,"));
    assert_non_null(strstr(frame.ptr, "\"sentence\":3,"));
    assert_non_null(strstr(frame.ptr, "\"confidence\":0.9,"));
}

static void test_final_of_nothing(void **state)
{
    struct pn_ptt_final f = { .timestamp = 7 };
    begin();
    assert_int_equal(pn_ptt_write_final(&frame, &f), 0);
    assert_string_equal(frame.ptr, "{\"type\":\"final\",\"text\":\"\",\"segments\":[],\"language\":\"\","
                                   "\"audio_duration_ms\":0,\"confidence\":0.0,\"processing_time_ms\":0.0,"
                                   "\"timestamp\":7}");
}

/* ---- arrival ---- */

static void test_marks(void **state)
{
    struct pn_ptt_marks m = { .n = 0 };
    assert_int_equal(pn_ptt_marks_find(&m, 5).arrived_us, 0);
    for (int i = 1; i <= 5; i++)
        pn_ptt_marks_add(&m, (struct pn_ptt_mark){ i * 100000, i * 1000, i });
    assert_int_equal(pn_ptt_marks_find(&m, 0).timestamp, 1);
    assert_int_equal(pn_ptt_marks_find(&m, 100000).timestamp, 1);
    assert_int_equal(pn_ptt_marks_find(&m, 100500).timestamp, 1); /* rounding */
    assert_int_equal(pn_ptt_marks_find(&m, 150000).timestamp, 2);
    assert_int_equal(pn_ptt_marks_find(&m, 400000).arrived_us, 4000);
    assert_int_equal(pn_ptt_marks_find(&m, 900000).timestamp, 5);
    for (int i = 6; i <= 200; i++)
        pn_ptt_marks_add(&m, (struct pn_ptt_mark){ i * 100000, i * 1000, i });
    assert_int_equal(pn_ptt_marks_find(&m, 0).timestamp, 200 - PN_PTT_MARKS + 1);
    assert_int_equal(pn_ptt_marks_find(&m, 19000000).timestamp, 190);
}

static void test_small_frames_share_a_mark(void **state)
{
    struct pn_ptt_marks m = { .n = 0 };
    for (int i = 1; i <= 100; i++)
        pn_ptt_marks_add(&m, (struct pn_ptt_mark){ i * 5000, i, i });
    assert_true(m.n <= 34 && m.n >= 20);
    assert_int_equal(pn_ptt_marks_find(&m, 500000).timestamp, 100);
    int64_t found = pn_ptt_marks_find(&m, 250000).timestamp;
    assert_true(found >= 50 && found <= 54);
}

int main(void)
{
    json_set_alloc_funcs(__wrap_malloc, free); /* jansson's own allocations fail as well */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_start_with_everything),
        cmocka_unit_test(test_audio),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_long_unknown_type),
        cmocka_unit_test(test_too_much_audio),
        cmocka_unit_test(test_too_many_hotwords),
        cmocka_unit_test(test_messages_without_memory),
        cmocka_unit_test(test_status_and_error),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_final_of_nothing),
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_small_frames_share_a_mark),
    };
    return cmocka_run_group_tests(tests, NULL, end);
}
