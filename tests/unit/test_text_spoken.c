/* test_text_spoken.c - words of running text, joints, and text that only grows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "text/spoken.h"

#include <string.h>

/* `want`: the words with '|' behind each. */
static void check_words(const char *text, const char *want)
{
    struct pn_buf out;
    struct pn_str rest = pn_str(text);
    pn_buf_init(&out, 1000);
    while (rest.len) {
        pn_buf_str(&out, pn_spoken_next(&rest));
        pn_buf_putc(&out, '|');
    }
    assert_string_equal(out.len ? out.ptr : "", want);
    pn_buf_done(&out);
}

static void test_words(void **state)
{
    (void)state;
    check_words("", "");
    check_words(" two  words", " two|  words|");
    check_words("it's 3.14, yes.", "it's| 3.14,| yes.|");
    check_words("你好，世界。", "你|好，|世|界。|");
    check_words("我用Python写，好", "我|用|Python|写，|好|");
    check_words("한국어 문장", "한국어| 문장|");
    check_words("“好”吗", "“好”|吗|");
    check_words("  ...", "  ...|");
    check_words("a\xff\xfe b", "a\xff\xfe| b|");
}

static void test_same_words(void **state)
{
    (void)state;
    assert_true(pn_spoken_same(pn_str(" Hello,"), pn_str("hello")));
    assert_true(pn_spoken_same(pn_str("好。"), pn_str("好")));
    assert_false(pn_spoken_same(pn_str("hell"), pn_str("hello")));
    assert_int_equal(pn_spoken_core(pn_str(" ... ")).len, 0);
    assert_int_equal(pn_spoken_count(pn_str("一 two... three")), 3);
}

static void check_join(const char *left, const char *right, const char *want)
{
    struct pn_buf out;
    pn_buf_init(&out, 1000);
    pn_buf_puts(&out, left);
    pn_spoken_join(&out, pn_str(right));
    assert_string_equal(out.ptr, want);
    pn_buf_done(&out);
}

static void test_joints(void **state)
{
    (void)state;
    check_join("one", "two", "one two");
    check_join("one", " two", "one two");
    check_join("one.", "Two", "one. Two");
    check_join("你好。", "世界", "你好。世界");
    check_join("你好", "world", "你好world");
    check_join("", "one", "one");
    check_join("one", ", two", "one, two");
    check_join("문장", "문장", "문장 문장");
}

static void check_growth(const char *const *texts, size_t n, const char *want)
{
    struct pn_buf out;
    pn_buf_init(&out, 1000);
    pn_buf_puts(&out, "before");
    size_t from = out.len;
    for (size_t i = 0; i < n; i++)
        pn_spoken_extend(&out, from, pn_str(texts[i]));
    assert_string_equal(out.ptr, want);
    pn_buf_done(&out);
}

static void test_growth(void **state)
{
    (void)state;
    check_growth((const char *[]){ "a", "a b", "a b c" }, 3, "before a b c");
    check_growth((const char *[]){ " a", " a b" }, 2, "before a b");
    check_growth((const char *[]){ "a b", "A b, c" }, 2, "before a b c"); /* other spelling stays as shown */
    check_growth((const char *[]){ "a b c", "a" }, 2, "before a b c");
    check_growth((const char *[]){ "今天", "今天天气", "明天天气好" }, 3, "before今天天气好");
    check_growth((const char *[]){ "", "" }, 2, "before");
    struct pn_buf out; /* nothing before: no blank in front either */
    pn_buf_init(&out, 1000);
    pn_spoken_extend(&out, 0, pn_str(" one"));
    pn_spoken_extend(&out, 0, pn_str(" one two"));
    assert_string_equal(out.ptr, "one two");
    pn_buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_same_words),
        cmocka_unit_test(test_joints),
        cmocka_unit_test(test_growth),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
