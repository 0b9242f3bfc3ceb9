/* test_server_funasr_memory.c - FunASR's messages without memory: each allocation fails in turn, until there
 * is none left to fail. Settings stay as they were, nothing is told twice, what is sent is JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "failing_memory.h"
#include "server/funasr_flow.h"
#include "server/funasr_held.h"
#include "server/funasr_message.h"

/* Calls f until it has succeeded without meeting the failure. */
static void fail_in_turn(int (*f)(void *), void *ctx)
{
    for (long n = 0;; n++) {
        pn_fail_allocation = n;
        int r = f(ctx);
        bool met = pn_fail_allocation < 0;
        pn_fail_allocation = -1;
        assert_true(r == 0 || met);
        if (!met)
            return;
        assert_true(n < 1000);
    }
}

static int read_message(void *ctx)
{
    static const char TEXT[] =
        "{\"mode\":\"offline\",\"wav_name\":\"b\",\"hotwords\":{\"a b\":1},\"itn\":false,"
        "\"chunk_size\":\"0,8,4\",\"audio_fs\":8000}";
    struct pn_funasr_settings *s = ctx;
    struct pn_funasr_message m;
    pn_funasr_settings_done(s);
    pn_funasr_settings_init(s);
    const struct pn_funasr_settings before = *s;
    int r = pn_funasr_message_read(pn_str(TEXT), s, &m, NULL);
    if (r < 0)
        assert_memory_equal(s, &before, sizeof(before));
    return r;
}

static void test_messages(void **state)
{
    struct pn_funasr_settings s;
    (void)state;
    json_set_alloc_funcs(__wrap_malloc, free);
    pn_funasr_settings_init(&s);
    fail_in_turn(read_message, &s);
    assert_string_equal(s.wav_name, "b");
    assert_string_equal(s.hotwords, "{\"a b\":1}");
    pn_funasr_settings_done(&s);
}

static const struct pn_word WORDS[] = { { "你", 0, 1, 1 }, { "好", 1, 2, 1 } };
static const struct pn_segment SEGMENTS[] = { { .text = "你好。", .words = WORDS, .n_words = 2 },
                                              { .text = "好。", .words = WORDS + 1, .n_words = 1 } };
static const struct pn_sentence SENTENCES[] = {
    { .end = 2, .closed = true, .n_segments = 1, .live_end = 6 },
    { .start = 2, .end = 3, .closed = true, .segment = 1, .n_segments = 1, .live_start = 6, .live_end = 9 },
};
static const struct pn_transcript TRANSCRIPT = {
    .live_text = "你好好", .segments = SEGMENTS, .n_segments = 2, .sentences = SENTENCES, .n_sentences = 2
};

/* Appends the texts of what could be sent. */
static int send(void *ctx, const struct pn_funasr_answer *a)
{
    struct pn_funasr_answer mine = *a;
    struct pn_buf json, *texts = ctx;
    pn_buf_init(&json, 1 << 16);
    mine.wav_name = "w";
    pn_funasr_answer_write(&mine, &json);
    int r = json.failed;
    if (r == 0) {
        long n = pn_fail_allocation;
        pn_fail_allocation = -1;
        json_t *j = json_loadb(json.ptr, json.len, 0, NULL);
        assert_non_null(j);
        pn_buf_puts(texts, json_string_value(json_object_get(j, "text")));
        json_decref(j);
        pn_fail_allocation = n;
    }
    pn_buf_done(&json);
    return r;
}

static int tell_all(void *ctx)
{
    (void)ctx;
    struct pn_funasr_flow f = { .two_pass = true };
    struct pn_buf texts;
    pn_buf_init(&texts, 1 << 16);
    int r = pn_funasr_flow_next(&f, &TRANSCRIPT, true, send, &texts);
    int again = r < 0 ? pn_funasr_flow_next(&f, &TRANSCRIPT, true, send, &texts) : 0;
    int end = again < 0 ? again : pn_funasr_flow_end(&f, &TRANSCRIPT, send, &texts);
    if (end < 0)
        end = pn_funasr_flow_end(&f, &TRANSCRIPT, send, &texts);
    assert_int_equal(end, 0);
    assert_string_equal(texts.ptr, "你好。好。");
    pn_buf_done(&texts);
    return 0;
}

static void test_flow(void **state)
{
    (void)state;
    fail_in_turn(tell_all, NULL);
}

static int hold(void *ctx)
{
    struct pn_held *h = ctx;
    size_t before = h->size;
    int r = pn_held_add(h, true, "text", 4);
    if (r < 0)
        assert_int_equal(h->size, before);
    return r;
}

static void test_held(void **state)
{
    struct pn_held h = { 0 };
    (void)state;
    fail_in_turn(hold, &h);
    assert_int_equal(pn_held_add(&h, false, "", 0), 0);
    struct pn_held_piece *p = pn_held_take(&h);
    assert_true(p->text && p->n == 4 && memcmp(p->data, "text", 4) == 0);
    free(p);
    p = pn_held_take(&h);
    assert_true(!p->text && p->n == 0);
    free(p);
    assert_null(pn_held_take(&h));
    assert_int_equal(h.size, 0);
    assert_int_equal(pn_held_add(&h, false, "left", 4), 0);
    pn_held_done(&h);
    assert_null(h.first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_flow),
        cmocka_unit_test(test_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
