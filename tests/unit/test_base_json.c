/* test_base_json.c - what the writer writes is JSON, and says what was meant; jansson is the judge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct output {
    struct pn_buf buf;
    struct pn_json json;
};

static struct output out;

static struct pn_json *begin(void)
{
    pn_buf_done(&out.buf);
    pn_buf_init(&out.buf, 1 << 20);
    pn_json_init(&out.json, &out.buf);
    return &out.json;
}

static json_t *parsed(void)
{
    json_error_t e;
    json_t *v =
        json_loadb(out.buf.ptr, out.buf.len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &e);
    if (!v)
        fail_msg("%s: %.*s", e.text, (int)out.buf.len, out.buf.ptr);
    return v;
}

static void test_nesting_and_commas(void **state)
{
    struct pn_json *j = begin();
    pn_json_begin_object(j);
    pn_json_key(j, "a");
    pn_json_begin_array(j);
    pn_json_i64(j, -1);
    pn_json_bool(j, true);
    pn_json_null(j);
    pn_json_begin_object(j);
    pn_json_end_object(j);
    pn_json_begin_array(j);
    pn_json_end_array(j);
    pn_json_cstr(j, NULL);
    pn_json_end_array(j);
    pn_json_key(j, "b\"");
    pn_json_cstr(j, "x");
    pn_json_end_object(j);
    assert_string_equal(out.buf.ptr, "{\"a\":[-1,true,null,{},[],null],\"b\\\"\":\"x\"}");
    json_decref(parsed());
}

static void test_members(void **state)
{
    struct pn_json *j = begin();
    (void)state;
    pn_json_begin_object(j);
    pn_json_put_str(j, "a", (struct pn_str){ "x\"y", 3 });
    pn_json_put_cstr(j, "b", NULL);
    pn_json_put_i64(j, "c", -7);
    pn_json_put_fixed(j, "d", 1.256, 2);
    pn_json_put_bool(j, "e", true);
    pn_json_end_object(j);
    static const char WANT[] = "{\"a\":\"x\\\"y\",\"b\":null,\"c\":-7,\"d\":1.26,\"e\":true}";
    assert_int_equal(out.buf.len, strlen(WANT));
    assert_memory_equal(out.buf.ptr, WANT, out.buf.len);
}

static void test_escapes(void **state)
{
    pn_json_str(
        begin(),
        PN_STR("q\" b\\ n\n t\t r\r \b\f\x01\x1f del\x7f nul\0 c1\xc2\x85 ls\xe2\x80\xa8 \xe8\xaf\xad"));
    assert_string_equal(out.buf.ptr,
                        "\"q\\\" b\\\\ n\\n t\\t r\\r \\b\\f\\u0001\\u001f del\\u007f nul\\u0000 "
                        "c1\\u0085 ls\\u2028 \xe8\xaf\xad\"");
    json_decref(parsed());
}

static void test_invalid_utf8_is_replaced(void **state)
{
    pn_json_str(begin(), PN_STR("a\xff"
                                "b\xc3"
                                "c\xed\xa0\x80"));
    json_t *v = parsed();
    assert_string_equal(json_string_value(v), "a\xef\xbf\xbd"
                                              "b\xef\xbf\xbd"
                                              "c\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
    json_decref(v);
}

static const char *f64_text(double v)
{
    pn_json_f64(begin(), v);
    return out.buf.ptr;
}

static void test_f64(void **state)
{
    assert_string_equal(f64_text(1), "1.0");
    assert_string_equal(f64_text(-0.0), "-0.0");
    assert_string_equal(f64_text(0.1), "0.1");
    assert_string_equal(f64_text(1e300), "1e+300");
    assert_string_equal(f64_text(5e-324), "5e-324");
    assert_string_equal(f64_text(NAN), "null");
    assert_string_equal(f64_text(-INFINITY), "null");
}

static const char *fixed_text(double v, int decimals)
{
    pn_json_fixed(begin(), v, decimals);
    return out.buf.ptr;
}

static void test_fixed(void **state)
{
    assert_string_equal(fixed_text(1, 3), "1.0");
    assert_string_equal(fixed_text(1.25, 3), "1.25");
    assert_string_equal(fixed_text(1.23456, 3), "1.235");
    assert_string_equal(fixed_text(10.5004, 2), "10.5");
    assert_string_equal(fixed_text(-0.0004, 3), "0.0");
    assert_string_equal(fixed_text(-0.5, 1), "-0.5");
    assert_string_equal(fixed_text(100, 0), "100.0");
    assert_string_equal(fixed_text(7, -3), "7.0");
    assert_string_equal(fixed_text(NAN, 2), "null");
    assert_int_equal(strlen(fixed_text(-1e308, 99)), 1 + 309 + 2);
    json_decref(parsed());
}

static void test_deepest_nesting(void **state)
{
    struct pn_json *j = begin();
    for (int i = 0; i < 31; i++)
        pn_json_begin_array(j);
    for (int i = 0; i < 31; i++)
        pn_json_end_array(j);
    json_decref(parsed());
}

static void test_full_buffer_fails_at_the_end(void **state)
{
    struct pn_buf small;
    struct pn_json j;
    pn_buf_init(&small, 10);
    pn_json_init(&j, &small);
    pn_json_begin_array(&j);
    for (int i = 0; i < 100; i++)
        pn_json_cstr(&j, "text\n\xff");
    pn_json_end_array(&j);
    assert_true(small.failed < 0 && small.len <= 10);
    pn_buf_done(&small);
}

static int done(void **state)
{
    pn_buf_done(&out.buf);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting_and_commas),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_invalid_utf8_is_replaced),
        cmocka_unit_test(test_f64),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_deepest_nesting),
        cmocka_unit_test(test_full_buffer_fails_at_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, done);
}
