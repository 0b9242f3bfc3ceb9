/* test_server_funasr_message.c - FunASR's text messages: what each key does, what is refused and leaves
 * everything as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/funasr_message.h"

static int read_text(struct pn_funasr_settings *s, const char *text, struct pn_funasr_message *m,
                     struct pn_err *err)
{
    size_t n = strlen(text);
    char *exact = malloc(n + 1); /* so that a sanitizer sees a read past the message */
    memcpy(exact, text, n);
    int r = pn_funasr_message_read((struct pn_str){ exact, n }, s, m, err);
    free(exact);
    return r;
}

static struct pn_funasr_message ok(struct pn_funasr_settings *s, const char *text)
{
    struct pn_funasr_message m = { 0 };
    struct pn_err err = { 0 };
    if (read_text(s, text, &m, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return m;
}

static void test_defaults(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    struct pn_funasr_message m = ok(&s, "{}");
    assert_true(m.known && !m.end && !m.acknowledge && !m.speaking);
    assert_int_equal(s.mode, PN_FUNASR_TWO_PASS);
    assert_int_equal(s.rate, 16000);
    assert_true(s.itn && !s.file);
    assert_string_equal(pn_funasr_wav_name(&s), "wav-default-id");
    const struct pn_chunking c = { 5, 10, 5, 4, 1 };
    assert_memory_equal(&s.chunking, &c, sizeof(c));
    pn_funasr_settings_done(&s);
}

static void test_the_stock_client(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    struct pn_funasr_message m =
        ok(&s, "{\"mode\": \"offline\", \"chunk_size\": [0, 8, 4], \"chunk_interval\": 10, "
               "\"encoder_chunk_look_back\": 4, \"decoder_chunk_look_back\": 0, \"audio_fs\": 8000, "
               "\"wav_name\": \"demo\", \"wav_format\": \"PCM\", \"is_speaking\": true, "
               "\"hotwords\": \"{\\\"阿里巴巴\\\": 20}\", \"itn\": false, \"svs_lang\": \"auto\"}");
    assert_true(m.known && m.speaking && !m.end);
    assert_int_equal(s.mode, PN_FUNASR_OFFLINE);
    assert_int_equal(s.rate, 8000);
    assert_true(!s.itn && !s.file);
    assert_string_equal(pn_funasr_wav_name(&s), "demo");
    assert_string_equal(s.hotwords, "{\"阿里巴巴\": 20}");
    const struct pn_chunking c = { 0, 8, 4, 4, 0 };
    assert_memory_equal(&s.chunking, &c, sizeof(c));
    m = ok(&s, "{\"is_speaking\": false, \"is_end\": true}");
    assert_true(m.end && m.acknowledge);
    assert_string_equal(pn_funasr_wav_name(&s), "demo"); /* the last value holds */
    assert_int_equal(s.mode, PN_FUNASR_OFFLINE);
    pn_funasr_settings_done(&s);
}

static void test_hot_words(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    ok(&s, "{\"hotwords\":\"阿里巴巴 通义实验室\"}");
    assert_string_equal(s.hotwords, "阿里巴巴 通义实验室");
    ok(&s, "{\"hotwords\":{\"阿里巴巴\":20,\"new york\":5}}");
    assert_string_equal(s.hotwords, "{\"阿里巴巴\":20,\"new york\":5}");
    ok(&s, "{\"hotwords\":null}");
    assert_string_equal(s.hotwords, "{\"阿里巴巴\":20,\"new york\":5}");
    ok(&s, "{\"hotwords\":\"\"}");
    assert_string_equal(s.hotwords, "");
    pn_funasr_settings_done(&s);
}

static void test_files_and_ends(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    assert_true(ok(&s, "{\"is_finished\":true}").end);
    assert_false(ok(&s, "{\"is_finished\":false,\"is_speaking\":true}").end);
    ok(&s, "{\"mode\":\"offline\",\"wav_format\":\"mp3\"}");
    assert_true(s.file);
    ok(&s, "{\"wav_format\":\"Pcm\",\"mode\":\"online\"}");
    assert_false(s.file);
    assert_false(ok(&s, "{\"type\":\"control\"}").known);
    assert_true(ok(&s, "{\"type\":1,\"svs_itn\":[[1]]}").known);
    ok(&s, "{\"chunk_size\":\" 5 , 10,5\"}");
    assert_int_equal(s.chunking.left, 5);
    pn_funasr_settings_done(&s);
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        int code;
        const char *says;
    } CASES[] = {
        { "", -PN_EFORMAT, "message" },
        { "x", -PN_EFORMAT, "message" },
        { "[]", -PN_EFORMAT, "not a JSON object" },
        { "{\"mode\":\"offline\",\"mode\":\"online\"}", -PN_EFORMAT, "duplicate" },
        { "{\"mode\":\"Offline\"}", -PN_EINVAL, "mode" },
        { "{\"mode\":1}", -PN_EINVAL, "mode" },
        { "{\"wav_format\":1}", -PN_EINVAL, "wav_format" },
        { "{\"wav_format\":\"mp3\"}", -PN_EUNSUPPORTED, "ONLY SUPPORT PCM" },
        { "{\"audio_fs\":7999}", -PN_EINVAL, "audio_fs" },
        { "{\"audio_fs\":48001}", -PN_EINVAL, "audio_fs" },
        { "{\"audio_fs\":\"16000\"}", -PN_EINVAL, "audio_fs" },
        { "{\"chunk_size\":[5,0,5]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[5,10]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[5,10,5,5]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[-1,10,5]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[5,101,5]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[5,10.5,5]}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":[5,99999999999999999999,5]}", -PN_EFORMAT, "message" },
        { "{\"chunk_size\":10}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":\"5,10,5,\"}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":\"5,,5\"}", -PN_EINVAL, "chunk_size" },
        { "{\"chunk_size\":\"\"}", -PN_EINVAL, "chunk_size" },
        { "{\"encoder_chunk_look_back\":-2}", -PN_EINVAL, "encoder_chunk_look_back" },
        { "{\"is_speaking\":0}", -PN_EINVAL, "is_speaking" },
        { "{\"is_end\":\"yes\"}", -PN_EINVAL, "is_end" },
        { "{\"itn\":1}", -PN_EINVAL, "itn" },
        { "{\"wav_name\":{}}", -PN_EINVAL, "wav_name" },
        { "{\"hotwords\":[\"a\"]}", -PN_EINVAL, "hotwords" },
        { "{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", -PN_ELIMIT, "nested" },
    };
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    ok(&s, "{\"wav_name\":\"before\",\"hotwords\":\"a\"}");
    const struct pn_funasr_settings before = s;
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_funasr_message m = { .known = true, .speaking = true };
        struct pn_err err = { 0 };
        int r = read_text(&s, CASES[i].text, &m, &err);
        if (r != CASES[i].code || !strstr(err.text, CASES[i].says))
            fail_msg("%s: %d, %s", CASES[i].text, r, err.text);
        assert_true(m.known && m.speaking && !m.end);
        assert_memory_equal(&s, &before, sizeof(s));
    }
    assert_string_equal(pn_funasr_wav_name(&s), "before");
    pn_funasr_settings_done(&s);
}

/* {"KEY":"xxxx"} with n bytes of text. */
static int read_long(struct pn_funasr_settings *s, const char *key, size_t n)
{
    struct pn_funasr_message m;
    char *text = malloc(n + 100);
    int at = snprintf(text, 100, "{\"%s\":\"", key);
    memset(text + at, 'x', n);
    memcpy(text + at + n, "\"}", 3);
    int r = read_text(s, text, &m, NULL);
    free(text);
    return r;
}

static void test_limits(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    pn_funasr_settings_init(&s);
    assert_int_equal(read_long(&s, "wav_name", PN_FUNASR_NAME_MAX), 0);
    assert_int_equal(read_long(&s, "wav_name", PN_FUNASR_NAME_MAX + 1), -PN_EINVAL);
    assert_int_equal(read_long(&s, "hotwords", PN_FUNASR_HOTWORDS_MAX), 0);
    assert_int_equal(read_long(&s, "hotwords", PN_FUNASR_HOTWORDS_MAX + 1), -PN_EINVAL);
    assert_int_equal(strlen(s.hotwords), PN_FUNASR_HOTWORDS_MAX);
    pn_funasr_settings_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),  cmocka_unit_test(test_the_stock_client),
        cmocka_unit_test(test_hot_words), cmocka_unit_test(test_files_and_ends),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
