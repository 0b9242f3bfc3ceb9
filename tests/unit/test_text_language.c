/* test_text_language.c - the hundred languages, their names, aliases and tags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "text/language.h"

static void check(const char *name, const char *want)
{
    const char *code = pn_language_code(pn_str(name));
    if (!want) {
        assert_null(code);
        return;
    }
    assert_non_null(code);
    assert_string_equal(code, want);
}

static void test_codes_and_names(void **state)
{
    check("en", "en");
    check("EN", "en");
    check("english", "en");
    check("English", "en");
    check(" de ", "de");
    check("haitian creole", "ht");
    check("yue", "yue");
    check("cantonese", "yue");
    check("haw", "haw");
    check("su", "su");
}

static void test_aliases(void **state)
{
    static const char *const aliases[][2] = {
        { "burmese", "my" }, { "valencian", "ca" }, { "flemish", "nl" },   { "haitian", "ht" },
        { "pushto", "ps" },  { "panjabi", "pa" },   { "moldavian", "ro" }, { "letzeburgesch", "lb" },
        { "si", "si" },      { "moldovan", "ro" },  { "sinhalese", "si" }, { "castilian", "es" },
        { "Mandarin", "zh" }
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(aliases); i++)
        check(aliases[i][0], aliases[i][1]);
}

static void test_tags(void **state)
{
    check("zh-CN", "zh");
    check("zh_Hans_CN", "zh");
    check("en-US", "en");
    check("xx-US", NULL);
    check("-", NULL);
}

static void test_detect_and_nonsense(void **state)
{
    check("", "");
    check("  ", "");
    check("auto", "");
    check("AUTO", "");
    check("klingon", NULL);
    check("e", NULL);
    check("eng", NULL);
    assert_string_equal(pn_language_code((struct pn_str){ NULL, 0 }), "");
    assert_null(pn_language_code((struct pn_str){ "en\0", 3 }));
}

static void test_names(void **state)
{
    assert_string_equal(pn_language_name("en"), "english");
    assert_string_equal(pn_language_name("ht"), "haitian creole");
    assert_string_equal(pn_language_name("yue"), "cantonese");
    assert_null(pn_language_name(""));
    assert_null(pn_language_name("english"));
}

static void test_order(void **state)
{
    assert_int_equal(pn_language_index("en"), 0);
    assert_int_equal(pn_language_index("zh"), 1);
    assert_int_equal(pn_language_index("yue"), 99);
    assert_int_equal(pn_language_index("xx"), -1);
    for (int i = 0; i < 100; i++)
        assert_int_equal(pn_language_index(pn_language_at(i)), i);
    assert_null(pn_language_at(100));
    assert_null(pn_language_at(-1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_and_names),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_detect_and_nonsense),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
