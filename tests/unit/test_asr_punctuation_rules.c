/* test_asr_punctuation_rules.c - where marks go, with a stand-in for the network: some words always have the
 * same mark behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/punctuation/rules.h"

#include <string.h>

/* ids of the words below; every other word is 0 */
static const char *const WORDS[] = { "",    "停",    "问",  "逗",   "顿",   "stop",
                                     "ask", "comma", "usb", "打开", "空调", "开空" };
static const uint8_t MARKS[] = { PN_MARK_NONE,  PN_MARK_PERIOD, PN_MARK_QUESTION, PN_MARK_COMMA,
                                 PN_MARK_PAUSE, PN_MARK_PERIOD, PN_MARK_QUESTION, PN_MARK_COMMA };

/* What the network was asked. */
struct calls {
    size_t n, words, most, cached;
    size_t fail_at; /* the call that fails; 0: none */
};

static int64_t id_of(const void *ctx, struct pn_str word)
{
    for (size_t i = 1; i < PN_ARRAY_LEN(WORDS); i++)
        if (pn_str_is(word, WORDS[i]))
            return (int64_t)i;
    return -1;
}

static int judge(void *ctx, const int32_t *ids, size_t n, size_t n_cached, uint8_t *marks)
{
    struct calls *c = ctx;
    if (++c->n == c->fail_at)
        return -PN_ENOMEM;
    for (size_t i = 0; i < n; i++)
        marks[i] = ids[i] < (int32_t)PN_ARRAY_LEN(MARKS) ? MARKS[ids[i]] : PN_MARK_NONE;
    c->words += n;
    c->most = PN_MAX(c->most, n);
    c->cached = n_cached;
    return 0;
}

static struct pn_mark_model model(struct calls *c)
{
    return (struct pn_mark_model){ { NULL, id_of, 0, NULL, 0 }, c, judge };
}

static void check_offline(const char *text, const char *want, const char *marks)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf out, got;
    pn_buf_init(&out, 1 << 20);
    pn_buf_init(&got, 1 << 20);
    pn_buf_puts(&out, "> ");
    assert_int_equal(pn_mark_text_offline(&m, pn_str(text), &out, &got), 0);
    assert_string_equal(out.ptr + 2, want);
    assert_int_equal(got.len, strlen(marks));
    for (size_t i = 0; i < got.len; i++)
        assert_int_equal(got.ptr[i], marks[i] - '0');
    pn_buf_done(&out);
    pn_buf_done(&got);
}

static void test_offline(void **state)
{
    check_offline("", "", "");
    check_offline(" \t\u3000", "", "");
    check_offline("你好", "你好。", "13");
    check_offline("你逗", "你逗。", "13");
    check_offline("你顿", "你顿。", "13");
    check_offline("你停", "你停。", "13");
    check_offline("你问", "你问？", "14");
    check_offline("逗你问好", "逗，你问？好。", "2143");
    check_offline("hello", " Hello.", "3");
    check_offline("good comma you", " Good comma, you.", "123");
    check_offline("good comma", " Good comma.", "13");
    check_offline("you ask me stop", " You ask? Me stop.", "1413");
    check_offline("你stop you好", "你stop. You好。", "1313");
    check_offline("TV停 tV", " TV停。TV.", "133");
}

static void test_carry(void **state)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf out;
    pn_buf_init(&out, 1 << 20);
    /* 25 words: the first step ends with its full stop at word 10, so that 10 words are judged again. */
    assert_int_equal(
        pn_mark_text_offline(&m, pn_str("一二三四五六七八九停一二三四五六七八九十一二三四五"), &out, NULL),
        0);
    assert_string_equal(out.ptr, "一二三四五六七八九停。一二三四五六七八九十一二三四五。");
    assert_int_equal(c.n, 2);
    assert_int_equal(c.words, 20 + 15);
    /* A stop in the first two words, or behind the last, closes nothing yet. */
    c = (struct calls){ 0 };
    pn_buf_clear(&out);
    assert_int_equal(
        pn_mark_text_offline(&m, pn_str("一停三四五六七八九十一二三四五六七八九停一"), &out, NULL), 0);
    assert_string_equal(out.ptr, "一停。三四五六七八九十一二三四五六七八九停。一。");
    assert_int_equal(c.words, 20 + 21);
    pn_buf_done(&out);
}

static void repeat(struct pn_buf *b, const char *what, size_t n)
{
    while (n-- > 0)
        pn_buf_puts(b, what);
}

static void test_long_sentences(void **state)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf text, out, marks;
    pn_buf_init(&text, 1 << 20);
    pn_buf_init(&out, 1 << 20);
    pn_buf_init(&marks, 1 << 20);
    /* A comma closes a sentence of more than 200 words. */
    repeat(&text, "一", 99);
    pn_buf_puts(&text, "逗");
    repeat(&text, "一", 150);
    assert_int_equal(pn_mark_text_offline(&m, (struct pn_str){ text.ptr, text.len }, &out, &marks), 0);
    assert_int_equal(marks.len, 250);
    assert_int_equal(marks.ptr[99], PN_MARK_PERIOD);
    assert_int_equal(c.most, 220);
    /* Where nothing does, the network is asked about a bounded number of words all the same. */
    c = (struct calls){ 0 };
    pn_buf_clear(&text);
    pn_buf_clear(&marks);
    repeat(&text, "一", 5000);
    assert_int_equal(pn_mark_text_offline(&m, (struct pn_str){ text.ptr, text.len }, &out, &marks), 0);
    assert_int_equal(marks.len, 5000);
    assert_int_equal(c.most, PN_MARK_WORDS_MAX + PN_MARK_STEP);
    pn_buf_done(&text);
    pn_buf_done(&out);
    pn_buf_done(&marks);
}

struct session {
    const char *in, *out, *cache;
};

static void check_session(const struct session *s, size_t n)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf cache;
    pn_buf_init(&cache, 1 << 20);
    for (size_t i = 0; i < n; i++) {
        struct pn_buf out;
        pn_buf_init(&out, 1 << 20);
        assert_int_equal(pn_mark_text_streaming(&m, &cache, pn_str(s[i].in), &out), 0);
        assert_string_equal(out.ptr ? out.ptr : "", s[i].out);
        assert_string_equal(cache.len ? cache.ptr : "", s[i].cache);
        pn_buf_done(&out);
    }
    pn_buf_done(&cache);
}

static void test_streaming(void **state)
{
    const struct session a[] = {
        { "你好停", "你好停", "你好停" }, /* the last mark waits */
        { "", "", "你好停" },             /* nothing new */
        { "我们", "。我们", "我们" },     /* until there is more */
        { "是问吗", "是问？吗", "吗" },
        { "ok stop go on", "ok stop。 go on", " go on" },
    };
    check_session(a, PN_ARRAY_LEN(a));
    const struct session b[] = {
        { "hello", "hello", "hello" },
        { "big world", " big world", "hello big world" },
        { "stop", " stop", "hello big world stop" },
        { "and go", "。 and go", " and go" },
        { "you停", " you停", "and go you停" },
    };
    check_session(b, PN_ARRAY_LEN(b));
}

static void test_streaming_cache_is_bounded(void **state)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf cache, out, text;
    pn_buf_init(&cache, 1 << 20);
    pn_buf_init(&out, 4 << 20);
    pn_buf_init(&text, 2 << 20);
    repeat(&text, "一", 100);
    for (int i = 0; i < 30; i++)
        assert_int_equal(pn_mark_text_streaming(&m, &cache, (struct pn_str){ text.ptr, text.len }, &out), 0);
    assert_int_equal(out.len, 3 * 100 * 30);
    assert_true(cache.len <= 3 * (size_t)PN_MARK_WORDS_MAX);
    pn_buf_clear(&text);
    repeat(&text, "a", PN_MARK_CALL_MAX); /* one huge word is written, but not remembered */
    assert_int_equal(pn_mark_text_streaming(&m, &cache, (struct pn_str){ text.ptr, text.len }, &out), 0);
    assert_true(out.len >= PN_MARK_CALL_MAX && cache.len == 0);
    pn_buf_putc(&text, 'a');
    assert_int_equal(pn_mark_text_streaming(&m, &cache, (struct pn_str){ text.ptr, text.len }, &out),
                     -PN_ELIMIT);
    pn_buf_done(&cache);
    pn_buf_done(&out);
    pn_buf_done(&text);
}

/* --- words --- */

static void check_words(const struct pn_mark_vocabulary *v, const char *text, const char *want)
{
    struct pn_mark_words w;
    struct pn_mark_token t;
    struct pn_buf got;
    pn_buf_init(&got, 1 << 20);
    pn_mark_words_init(&w, v, pn_str(text));
    while (pn_mark_words_next(&w, &t)) {
        pn_buf_puts(&got, got.len ? "|" : "");
        pn_buf_str(&got, t.text);
    }
    assert_string_equal(got.len ? got.ptr : "", want);
    pn_buf_done(&got);
}

static void test_words(void **state)
{
    const struct pn_mark_vocabulary v = { NULL, id_of, 0, NULL, 0 };
    check_words(&v, "", "");
    check_words(&v,
                "你好abc 1.5你 \t b\u3000好\x1c"
                "c",
                "你|好|abc|1.5|你|b|好|c");
    check_words(&v, "\xe4\xbd你\xff", "\xe4|\xbd|你|\xff");
    struct pn_mark_words w;
    struct pn_mark_token t;
    pn_mark_words_init(&w, &v, pn_str("USB"));
    assert_true(pn_mark_words_next(&w, &t));
    assert_int_equal(t.id, 8); /* as "usb" */
    assert_true(pn_str_is(t.text, "USB"));
}

static void test_dictionary(void **state)
{
    float log_p[PN_ARRAY_LEN(WORDS)];
    for (size_t i = 0; i < PN_ARRAY_LEN(log_p); i++)
        log_p[i] = 1;
    log_p[9] = log_p[10] = -5; /* 打开, 空调 */
    log_p[11] = -4;            /* 开空: likelier, but then 打 and 调 are left over */
    const struct pn_mark_vocabulary v = { NULL, id_of, 0, log_p, -10 };
    check_words(&v, "打开空调", "打开|空调");
    check_words(&v, "打 开空 usb 调 打\u3000开x", "打|开空|usb|调|打开|x");
    struct pn_buf text;
    pn_buf_init(&text, 1 << 20);
    repeat(&text, "打开空调", 500); /* longer than a run */
    struct pn_mark_words w;
    struct pn_mark_token t;
    pn_mark_words_init(&w, &v, (struct pn_str){ text.ptr, text.len });
    size_t n = 0;
    for (; pn_mark_words_next(&w, &t); n++)
        assert_true(t.chars == 2 && pn_str_is(t.text, n % 2 ? "空调" : "打开") && t.id == (n % 2 ? 10 : 9));
    assert_int_equal(n, 1000);
    pn_buf_done(&text);
}

/* --- failures --- */

static void test_failures(void **state)
{
    struct pn_str text = pn_str("一二三四五六七八九停一二三四五六七八九十一二三四五");
    for (size_t fail_at = 1; fail_at < 3; fail_at++) {
        struct calls c = { .fail_at = fail_at };
        struct pn_mark_model m = model(&c);
        struct pn_buf out, marks, cache;
        pn_buf_init(&out, 1 << 20);
        pn_buf_init(&marks, 1 << 20);
        pn_buf_init(&cache, 1 << 20);
        pn_buf_puts(&out, "before");
        assert_int_equal(pn_mark_text_offline(&m, text, &out, &marks), -PN_ENOMEM);
        c.n = 0;
        assert_int_equal(pn_mark_text_streaming(&m, &cache, text, &out), -PN_ENOMEM);
        assert_string_equal(out.ptr, "before");
        assert_int_equal(marks.len, 0);
        assert_int_equal(cache.len, 0);
        pn_buf_done(&out);
        pn_buf_done(&marks);
        pn_buf_done(&cache);
    }
}

static void test_output_limit(void **state)
{
    struct calls c = { 0 };
    struct pn_mark_model m = model(&c);
    struct pn_buf out, cache;
    pn_buf_init(&out, 10);
    pn_buf_init(&cache, 1 << 20);
    assert_int_equal(pn_mark_text_offline(&m, pn_str("你好你好你好"), &out, NULL), -PN_ELIMIT);
    assert_int_equal(out.len, 0);
    pn_buf_clear(&out);
    assert_int_equal(pn_mark_text_streaming(&m, &cache, pn_str("你好你好你好"), &out), -PN_ELIMIT);
    assert_true(out.len == 0 && cache.len == 0);
    pn_buf_done(&out);
    pn_buf_done(&cache);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offline),
        cmocka_unit_test(test_carry),
        cmocka_unit_test(test_long_sentences),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_streaming_cache_is_bounded),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_dictionary),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_output_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
