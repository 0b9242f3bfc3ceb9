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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes_and_names),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_detect_and_nonsense),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
