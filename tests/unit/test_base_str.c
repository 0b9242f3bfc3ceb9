/* test_base_str.c - slices, UTF-8 and the strict number parsers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

#include <float.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void test_compare(void **state)
{
    assert_true(pn_str_eq(pn_str(NULL), PN_STR("")));
    assert_true(pn_str_is(PN_STR("abc"), "abc"));
    assert_false(pn_str_is(PN_STR("abc"), "ab"));
    assert_false(pn_str_is(PN_STR("a\0b"), "a"));
    assert_true(pn_str_ieq(PN_STR("Content-TYPE"), PN_STR("content-type")));
    assert_false(pn_str_ieq(PN_STR("["), PN_STR("{"))); /* 0x20 apart, but no letters */
}

static void test_trim(void **state)
{
    assert_true(pn_str_is(pn_str_trim(PN_STR(" \t a b\r\n")), "a b"));
    assert_int_equal(pn_str_trim(PN_STR(" \n ")).len, 0);
    assert_int_equal(pn_str_trim((struct pn_str){ 0 }).len, 0);
}

static void test_copy(void **state)
{
    char out[4] = "xyz";
    assert_int_equal(pn_str_copy(out, sizeof(out), PN_STR("abcd")), -PN_ELIMIT);
    assert_int_equal(pn_str_copy(out, sizeof(out), PN_STR("a\0b")), -PN_ELIMIT);
    assert_string_equal(out, "xyz");
    assert_int_equal(pn_str_copy(out, sizeof(out), PN_STR("abc")), 0);
    assert_string_equal(out, "abc");
    assert_int_equal(pn_str_copy(out, sizeof(out), (struct pn_str){ 0 }), 0);
    assert_string_equal(out, "");
    assert_int_equal(pn_str_copy(out, 0, PN_STR("")), -PN_ELIMIT);
}

static void test_utf8(void **state)
{
    const struct {
        struct pn_str bytes;
        size_t len;
        uint32_t cp;
    } CASES[] = {
        { PN_STR("a"), 1, 'a' },
        { PN_STR("\0"), 1, 0 },
        { PN_STR("\xc3\xa9"), 2, 0xe9 },
        { PN_STR("\xe8\xaf\xad x"), 3, 0x8bed },
        { PN_STR("\xf0\x9f\x91\x82"), 4, 0x1f442 },
        { PN_STR("\xf4\x8f\xbf\xbf"), 4, 0x10ffff },
        { PN_STR(""), 0, 0 },
        { PN_STR("\x80"), 0, 0 },
        { PN_STR("\xc0\xaf"), 0, 0 },         /* overlong '/' */
        { PN_STR("\xe0\x80\xaf"), 0, 0 },     /* overlong */
        { PN_STR("\xed\xa0\x80"), 0, 0 },     /* surrogate */
        { PN_STR("\xf4\x90\x80\x80"), 0, 0 }, /* past the end of Unicode */
        { PN_STR("\xf5\x80\x80\x80"), 0, 0 },
        { PN_STR("\xe8\xaf"), 0, 0 }, /* cut off */
        { PN_STR("\xe8"
                 "ab"),
          0, 0 },
        { PN_STR("\xff"), 0, 0 },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        uint32_t cp = 0;
        assert_int_equal(pn_utf8_next(CASES[i].bytes, &cp), CASES[i].len);
        assert_int_equal(cp, CASES[i].cp);
        assert_int_equal(pn_utf8_next(CASES[i].bytes, NULL), CASES[i].len);
    }
}

static void test_i64(void **state)
{
    int64_t v = 7;
    static const char *const BAD[] = { "",
                                       "-",
                                       "+1",
                                       " 1",
                                       "1 ",
                                       "1x",
                                       "0x10",
                                       "1.0",
                                       "1e3",
                                       "--1",
                                       "9223372036854775808",
                                       "-9223372036854775809",
                                       "99999999999999999999" };
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
        assert_int_equal(pn_parse_i64(pn_str(BAD[i]), INT64_MIN, INT64_MAX, &v), -PN_EINVAL);
    assert_int_equal(pn_parse_i64(PN_STR("1\0"), 0, 9, &v), -PN_EINVAL);
    assert_int_equal(pn_parse_i64(PN_STR("10"), 0, 9, &v), -PN_EINVAL);
    assert_int_equal(pn_parse_i64(PN_STR("-1"), 0, 9, &v), -PN_EINVAL);
    assert_int_equal(v, 7);
    assert_int_equal(pn_parse_i64(PN_STR("-9223372036854775808"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MIN);
    assert_int_equal(pn_parse_i64(PN_STR("9223372036854775807"), INT64_MIN, INT64_MAX, &v), 0);
    assert_true(v == INT64_MAX);
    assert_int_equal(pn_parse_i64(PN_STR("007"), 0, 9, &v), 0);
    assert_int_equal(v, 7);
}

static void test_f64(void **state)
{
    double v = 7;
    static const char *const BAD[] = { "",    "-",     ".5",  "1.", "1e", "1e+",   "inf",
                                       "nan", "0x1p3", "1,5", " 1", "1 ", "1e999", "1.5.2" };
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
        assert_int_equal(pn_parse_f64(pn_str(BAD[i]), -DBL_MAX, DBL_MAX, &v), -PN_EINVAL);
    assert_true(v == 7);
    assert_int_equal(pn_parse_f64(PN_STR("-1.5e-3"), -1, 1, &v), 0);
    assert_true(v == -1.5e-3);
    assert_int_equal(pn_parse_f64(PN_STR("1.01"), 0, 1, &v), -PN_EINVAL);
}

static void test_bool(void **state)
{
    bool v = false;
    static const char *const YES[] = { "true", "TRUE", "1", "Yes", "on" };
    static const char *const NO[] = { "false", "0", "no", "OFF" };
    for (size_t i = 0; i < PN_ARRAY_LEN(YES); i++)
        assert_true(pn_parse_bool(pn_str(YES[i]), &v) == 0 && v);
    for (size_t i = 0; i < PN_ARRAY_LEN(NO); i++)
        assert_true(pn_parse_bool(pn_str(NO[i]), &v) == 0 && !v);
    assert_int_equal(pn_parse_bool(PN_STR("2"), &v), -PN_EINVAL);
    assert_int_equal(pn_parse_bool(PN_STR(""), &v), -PN_EINVAL);
}

static void test_format(void **state)
{
    const struct {
        double v;
        const char *text;
    } CASES[] = { { 0.1, "0.1" },
                  { 1, "1" },
                  { -2.5, "-2.5" },
                  { 1e20, "1e+20" },
                  { 5e-324, "5e-324" },
                  { NAN, "nan" },
                  { INFINITY, "inf" },
                  { -INFINITY, "-inf" },
                  { 0.30000000000000004, "0.30000000000000004" },
                  { 0, "0" } };
    char out[32];
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        pn_format_f64(CASES[i].v, out);
        assert_string_equal(out, CASES[i].text);
    }
}

static void test_format_reads_back(void **state)
{
    uint64_t bits = 88172645463325252ULL; /* xorshift64, as published */
    for (int i = 0; i < 20000; i++) {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        double v, back = 0;
        memcpy(&v, &bits, sizeof(v));
        if (!isfinite(v))
            continue;
        char out[32];
        pn_format_f64(v, out);
        assert_int_equal(pn_parse_f64(pn_str(out), -DBL_MAX, DBL_MAX, &back), 0);
        assert_true(v == back);
    }
}

/* A locale with a decimal comma must change nothing. Skipped where the machine has none. */
static void test_locale(void **state)
{
    static const char *const COMMA[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE.utf8" };
    const char *set = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(COMMA) && !set; i++)
        set = setlocale(LC_NUMERIC, COMMA[i]);
    if (!set)
        skip();
    char out[32];
    double v = 0;
    pn_format_f64(1.5, out);
    int r = pn_parse_f64(PN_STR("2.5"), 0, 9, &v);
    setlocale(LC_NUMERIC, "C");
    assert_string_equal(out, "1.5");
    assert_true(r == 0 && v == 2.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compare), cmocka_unit_test(test_trim),
        cmocka_unit_test(test_copy),    cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_i64),     cmocka_unit_test(test_f64),
        cmocka_unit_test(test_bool),    cmocka_unit_test(test_format),
        cmocka_unit_test(test_locale),  cmocka_unit_test(test_format_reads_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
