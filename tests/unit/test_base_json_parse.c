/* test_base_json_parse.c - objects within limits, messages with a long text, members and their bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/json_parse.h"
#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static json_t *message(const char *text, struct pn_str *ret_blob)
{
    json_t *j = NULL;
    struct pn_err err = { 0 };
    if (pn_json_message(pn_str(text), "data", &j, ret_blob, &err) < 0)
        fail_msg("%s: %s", text, err.text);
    return j;
}

static int refusal(struct pn_str text, struct pn_err *err)
{
    json_t *j = NULL;
    struct pn_str blob;
    *err = (struct pn_err){ 0 };
    int r = pn_json_message(text, "data", &j, &blob, err);
    assert_null(j);
    return r;
}

static void test_what_is_no_object(void **state)
{
    static const char *const CASES[] = { "",
                                         "x",
                                         "[]",
                                         "1",
                                         "\"a\"",
                                         "{",
                                         "{\"a\":}",
                                         "{\"a\":1}x",
                                         "{'a':1}",
                                         "null",
                                         "{\"a\"}",
                                         "{\"",
                                         "{\"data\":\"",
                                         "{\"data\"x}",
                                         "{\"a\":1,}",
                                         "{\"a\":\"\xff\"}",
                                         "{\"a\":1,\"a\":2}",
                                         "{\"data\":\"AA\",\"data\":\"BB\"}",
                                         "{\"data\":\"AA\",\"d\\u0061ta\":\"BB\"}",
                                         "{\"a\":\"\\u0000\"}",
                                         "{\"a\":1e999}",
                                         "{\"a\":99999999999999999999}" };
    struct pn_err err;
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        assert_int_equal(refusal(pn_str(CASES[i]), &err), -PN_EFORMAT);
        assert_non_null(strstr(err.text, "message: "));
    }
    assert_int_equal(refusal(PN_STR("{\"a\":\0}"), &err), -PN_EFORMAT);
}

/* What stands behind the blob has the place that it has in the text. */
static void test_place_of_a_mistake(void **state)
{
    struct pn_err err;
    refusal(PN_STR("{\"data\":\"0123456789\",\"b\":!}"), &err);
    assert_non_null(strstr(err.text, "byte 26"));
    refusal(PN_STR("{\"b\":!,\"data\":\"0123456789\"}"), &err);
    assert_non_null(strstr(err.text, "byte 6"));
}

static void test_bombs(void **state)
{
    struct pn_buf b;
    struct pn_err err;
    pn_buf_init(&b, 4 << 20);
    for (int kind = 0; kind < 3; kind++) {
        pn_buf_clear(&b);
        pn_buf_puts(&b, "{\"a\":[");
        for (int i = 0; i < 1 << 20; i++)
            pn_buf_puts(&b, kind == 0 ? "[" : kind == 1 ? "0," : "{},");
        assert_int_equal(refusal((struct pn_str){ b.ptr, b.len }, &err), -PN_ELIMIT);
        assert_non_null(strstr(err.text, kind == 0 ? "nested too deeply" : "too many values"));
    }
    pn_buf_done(&b);
    struct pn_str blob;
    json_decref(message("{\"a\":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}", &blob));
    assert_int_equal(refusal(PN_STR("{\"a\":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}"), &err), -PN_ELIMIT);
    json_decref(message("{\"a\":\"[[[[[[[[[[[[[[[[[[[[[\\\"[[[[[\\\\\"}", &blob));
}

static void test_blob(void **state)
{
    static const struct {
        const char *text, *blob;
    } CASES[] = {
        { "{\"type\":\"audio\",\"data\":\"QUJD\"}", "QUJD" },
        { " { \"data\" : \t\r\n\"QUJD\" , \"type\" : \"audio\" } ", "QUJD" },
        { "{\"data\":\"\",\"type\":\"audio\"}", "" },
        { "{\"data\":\"a\\/b\",\"type\":\"audio\"}", "a/b" },
        { "{\"d\\u0061ta\":\"QUJD\",\"type\":\"audio\"}", "QUJD" },
        { "{\"x\":{\"data\":\"no\"},\"type\":\"audio\",\"data\":\"yes\"}", "yes" },
        { "{\"x\":\"data\",\"type\":\"audio\",\"data\":\"yes\"}", "yes" },
        { "{\"x\\\"data\":\"no\",\"type\":\"audio\",\"data\":\"yes\"}", "yes" },
        { "{\"x\":\"\\\\\",\"type\":\"audio\",\"data\":\"yes\"}", "yes" },
        { "{\"type\":\"audio\"}", NULL },
        { "{\"type\":\"audio\",\"data\":null}", NULL },
        { "{\"type\":\"audio\",\"data\":[\"x\"]}", NULL },
        { "{\"type\":\"audio\",\"x\":[\"data\",\"x\"]}", NULL },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_str blob = PN_STR("?"), type = { 0 };
        json_t *j = message(CASES[i].text, &blob);
        assert_int_equal(pn_json_get_str(j, "type", 5, &type, NULL), 1);
        assert_true(pn_str_is(type, "audio"));
        if (CASES[i].blob)
            assert_true(blob.ptr && pn_str_is(blob, CASES[i].blob));
        else
            assert_null(blob.ptr);
        json_decref(j);
    }
}

static void test_blob_is_not_copied(void **state)
{
    const char *text = "{\"type\":\"audio\",\"data\":\"QUJDREVG\",\"timestamp\":5}";
    struct pn_str blob;
    int64_t n = 0;
    json_t *j = message(text, &blob);
    assert_ptr_equal(blob.ptr, strstr(text, "QUJD"));
    assert_int_equal(blob.len, 8);
    assert_int_equal(pn_json_get_i64(j, "timestamp", 0, 9, &n, NULL), 1);
    assert_int_equal(n, 5);
    json_decref(j);
}

static const char MEMBERS[] = "{\"s\":\"abc\",\"t\":true,\"f\":false,\"i\":-5,\"r\":2.5,\"w\":3.0,\"z\":null,"
                              "\"o\":{},\"a\":[],\"big\":1e300}";

static void test_members(void **state)
{
    struct pn_str blob, s = { 0 };
    bool b = true;
    int64_t i = 0;
    double d = 0;
    json_t *o = NULL, *j = message(MEMBERS, &blob);
    assert_int_equal(pn_json_get_str(j, "s", 3, &s, NULL), 1);
    assert_true(pn_str_is(s, "abc"));
    assert_int_equal(pn_json_get_bool(j, "f", &b, NULL), 1);
    assert_false(b);
    assert_int_equal(pn_json_get_i64(j, "i", -5, 5, &i, NULL), 1);
    assert_int_equal(i, -5);
    assert_int_equal(pn_json_get_i64(j, "w", -5, 5, &i, NULL), 1);
    assert_int_equal(i, 3);
    assert_int_equal(pn_json_get_f64(j, "r", 2.5, 3, &d, NULL), 1);
    assert_true(d == 2.5);
    assert_int_equal(pn_json_get_f64(j, "i", -6, 3, &d, NULL), 1);
    assert_true(d == -5);
    assert_int_equal(pn_json_get_object(j, "o", &o, NULL), 1);
    assert_true(json_is_object(o));
    assert_int_equal(pn_json_get_array(j, "a", &o, NULL), 1);
    assert_true(json_is_array(o));
    json_decref(j);
}

static void test_absent_members(void **state)
{
    struct pn_str blob, s = PN_STR("?");
    bool b = true;
    int64_t i = 7;
    double d = 7;
    json_t *o = NULL, *j = message(MEMBERS, &blob);
    static const char *const KEYS[] = { "z", "none" };
    for (size_t k = 0; k < PN_ARRAY_LEN(KEYS); k++) {
        assert_int_equal(pn_json_get_str(j, KEYS[k], 3, &s, NULL), 0);
        assert_int_equal(pn_json_get_bool(j, KEYS[k], &b, NULL), 0);
        assert_int_equal(pn_json_get_i64(j, KEYS[k], 0, 9, &i, NULL), 0);
        assert_int_equal(pn_json_get_f64(j, KEYS[k], 0, 9, &d, NULL), 0);
        assert_int_equal(pn_json_get_object(j, KEYS[k], &o, NULL), 0);
        assert_int_equal(pn_json_get_array(j, KEYS[k], &o, NULL), 0);
    }
    assert_true(pn_str_is(s, "?") && b && i == 7 && d == 7 && !o);
    json_decref(j);
}

static void test_wrong_members(void **state)
{
    struct pn_str blob, s = PN_STR("?");
    bool b = true;
    int64_t i = 7;
    double d = 7;
    json_t *o = NULL, *j = message(MEMBERS, &blob);
    struct pn_err err = { 0 };
    assert_int_equal(pn_json_get_str(j, "s", 2, &s, &err), -PN_EINVAL);
    assert_string_equal(err.text, "s must not be longer than 2 bytes");
    assert_int_equal(pn_json_get_str(j, "t", 2, &s, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_bool(j, "i", &b, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_bool(j, "s", &b, NULL), -PN_EINVAL);
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_json_get_i64(j, "i", -4, 5, &i, &err), -PN_EINVAL);
    assert_string_equal(err.text, "i must be a whole number between -4 and 5");
    assert_int_equal(pn_json_get_i64(j, "r", -4, 5, &i, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_i64(j, "big", INT64_MIN, INT64_MAX, &i, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_i64(j, "s", -4, 5, &i, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_i64(j, "t", 0, 5, &i, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_f64(j, "r", 3, 5, &d, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_f64(j, "t", 0, 5, &d, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_object(j, "a", &o, NULL), -PN_EINVAL);
    assert_int_equal(pn_json_get_array(j, "o", &o, NULL), -PN_EINVAL);
    assert_true(pn_str_is(s, "?") && b && i == 7 && d == 7 && !o);
    json_decref(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_no_object),
        cmocka_unit_test(test_place_of_a_mistake),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_blob),
        cmocka_unit_test(test_blob_is_not_copied),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_absent_members),
        cmocka_unit_test(test_wrong_members),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
