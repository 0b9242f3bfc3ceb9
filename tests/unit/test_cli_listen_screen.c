/* test_cli_listen_screen.c - the moving line of `pinna listen`: as wide as it may be, in any script; and what
 * reaches a terminal at all. */
#include "cli/listen_screen.h"

#include "cli/listen_source.h"
#include "cli/terminal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void check_clean(struct pn_str text, const char *want)
{
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    pn_terminal_clean(text, &b);
    assert_string_equal(b.len ? b.ptr : "", want);
    pn_buf_done(&b);
}

static void test_what_reaches_a_terminal(void **state)
{
    (void)state;
    check_clean(PN_STR("你好, world"), "你好, world");
    check_clean(PN_STR("a\tb\r\nc"), "a b  c");
    check_clean(PN_STR("a\x1b[31mb\x07\x7f"), "a[31mb");
    check_clean(PN_STR("a\xc2\x9b"
                       "31mb\xff\xc3"),
                "a31mb"); /* C1 controls, broken UTF-8 */
    check_clean(PN_STR("a\xe2\x80\xae\xe2\x80\xa8"
                       "b"),
                "ab");                             /* writing backwards, a line separator */
    check_clean(PN_STR("e\xcc\x81"), "e\xcc\x81"); /* an accent of its own */
    check_clean((struct pn_str){ "a\0b", 3 }, "ab");
    check_clean(PN_STR(""), "");
}

static void check_tail(const char *text, int width, const char *want)
{
    struct pn_str tail = pn_terminal_tail(pn_str(text), width);
    assert_true(pn_str_is(tail, want));
}

static void test_the_end_of_a_text(void **state)
{
    (void)state;
    check_tail("hello", 5, "hello");
    check_tail("hello", 4, "ello");
    check_tail("hello", 0, "");
    check_tail("你好吗", 6, "你好吗");
    check_tail("你好吗", 5, "好吗");
    check_tail("你好吗", 1, "");
    check_tail("ae\xcc\x81o", 1, "o"); /* the accent goes with its letter */
}

static void check(double level, const char *open, int width, const char *want)
{
    struct pn_screen_view v = { .heard_s = 65, .level = level };
    struct pn_buf b;
    pn_buf_init(&b, 4096);
    pn_screen_format(&v, pn_str(open), width, &b);
    assert_string_equal(b.len ? b.ptr : "", want);
    pn_buf_done(&b);
}

static void test_the_line(void **state)
{
    (void)state;
    check(-1, "", 80, "1:05");
    check(-1, "你好", 80, "1:05 你好");
    check(-1, "你好", 9, "1:05 你好");
    check(-1, "今天天气", 12, "1:05 ...天气");
    check(-1, "今天天气", 4, "1:05");
    check(0, "", 80, "[--------] 1:05");
    check(1, "", 80, "[########] 1:05");
    check(0.001, "", 80, "[--------] 1:05");
    check(0.0631, "x", 80, "[####----] 1:05 x"); /* -24 dB */
    check(1, "x", 10, "[########]");
    check(1, "x", 0, "");
    check(1, "x", -1, "");
}

static void test_the_line_fits(void **state)
{
    static const char TEXT[] = "今天 the weather 怎么样，再见。";
    (void)state;
    for (int width = 0; width < 60; width++) {
        struct pn_screen_view v = { .heard_s = 4000, .level = 0.5, .overruns = 3, .ending = true };
        struct pn_buf b;
        int used = 0;
        pn_buf_init(&b, 4096);
        pn_screen_format(&v, pn_str(TEXT), width, &b);
        struct pn_str s = { b.ptr, b.len };
        for (size_t len; s.len > 0; s = (struct pn_str){ s.ptr + len, s.len - len }) {
            int n = pn_terminal_next(s, &len);
            assert_true(n >= 0);
            used += n;
        }
        assert_true(used <= width);
        pn_buf_done(&b);
    }
}

static void test_channels_are_mixed(void **state)
{
    int16_t s16[] = { 100, 300, -32768, -32768, 32767, 32767 };
    float f32[] = { 1, 0, 0, 0.5f, 0.5f, 0.5f };
    (void)state;
    pn_sound_mix(PN_INTAKE_S16LE, 2, (char *)s16, 3);
    assert_int_equal(s16[0], 200);
    assert_int_equal(s16[1], -32768);
    assert_int_equal(s16[2], 32767);
    pn_sound_mix(PN_INTAKE_F32LE, 3, (char *)f32, 2);
    assert_true(f32[0] > 0.33f && f32[0] < 0.34f && f32[1] == 0.5f);
    assert_true(pn_sound_peak(PN_INTAKE_S16LE, (char *)s16, 6) == 1);
    assert_true(pn_sound_peak(PN_INTAKE_S16LE, (char *)s16, 3) == 200 / 32768.0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_reaches_a_terminal),
        cmocka_unit_test(test_the_end_of_a_text),
        cmocka_unit_test(test_the_line),
        cmocka_unit_test(test_the_line_fits),
        cmocka_unit_test(test_channels_are_mixed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
