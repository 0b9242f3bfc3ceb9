/* test_base_base64.c - RFC 4648's examples, what is refused, every length against an encoder, in place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

static void test_examples(void **state)
{
    static const char *const CASES[][2] = {
        { "", "" },
        { "Zg==", "f" },
        { "Zm8=", "fo" },
        { "Zm9v", "foo" },
        { "Zm9vYg==", "foob" },
        { "Zm9vYmE=", "fooba" },
        { "Zm9vYmFy", "foobar" },
        { "+/+/", "\xfb\xff\xbf" },
        { "Zg", "f" },
        { "Zm8", "fo" },
        { "Zm9vYg", "foob" },
        { "Zh==", "f" }, /* bits behind the last byte */
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        unsigned char out[16];
        size_t n = 99;
        assert_int_equal(pn_base64_decode(pn_str(CASES[i][0]), out, &n), 0);
        assert_true(pn_str_is((struct pn_str){ (char *)out, n }, CASES[i][1]));
    }
}

static void test_what_is_refused(void **state)
{
    static const char *const CASES[] = { "Z",        "Zg=",      "Zg=a",  "Z===",          "=",
                                         "==",       "====",     "Zm9v=", "Zm9vYg=",       "Zm8==",
                                         "Zm9v====", "Zm9v\n",   "Zm 9v", " Zm9v",         "Zm9-",
                                         "Zm9_",     "Zg==Zm9v", "Z=m9",  "Zm9vZm9vZm9v*", "\xc3\xa9Zg",
                                         "Zm\xff" };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        unsigned char out[32];
        size_t n = 99;
        assert_int_equal(pn_base64_decode(pn_str(CASES[i]), out, &n), -PN_EFORMAT);
        assert_int_equal(n, 99);
    }
    unsigned char out[8];
    size_t n;
    assert_int_equal(pn_base64_decode(PN_STR("Zm\0v"), out, &n), -PN_EFORMAT);
}

static void encode(const unsigned char *in, size_t n, bool pad, char *out, size_t *ret_len)
{
    static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    size_t to = 0;
    for (size_t bit = 0; bit < 8 * n; bit += 6) {
        unsigned v = 0;
        for (size_t k = bit; k < bit + 6; k++)
            v = v << 1 | (k < 8 * n ? in[k / 8] >> (7 - k % 8) & 1u : 0);
        out[to++] = ALPHABET[v];
    }
    while (pad && to % 4)
        out[to++] = '=';
    *ret_len = to;
}

/* The text lies in memory of its own size, so that a read past its end is found. */
static void round_trip(const unsigned char *bytes, size_t n, bool pad)
{
    char scratch[512];
    size_t len, got;
    encode(bytes, n, pad, scratch, &len);
    char *text = malloc(len + 1);
    unsigned char *out = malloc(pn_base64_room(len));
    assert_non_null(text);
    assert_non_null(out);
    memcpy(text, scratch, len);
    assert_int_equal(pn_base64_decode((struct pn_str){ text, len }, out, &got), 0);
    assert_int_equal(got, n);
    assert_memory_equal(out, bytes, n);
    assert_int_equal(pn_base64_decode((struct pn_str){ text, len }, (unsigned char *)text, &got), 0);
    assert_int_equal(got, n);
    assert_memory_equal(text, bytes, n);
    free(text);
    free(out);
}

static void test_every_length(void **state)
{
    unsigned char bytes[256];
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)(i * 167 + 13);
    for (size_t n = 1; n < sizeof(bytes); n++)
        for (int pad = 0; pad < 2; pad++)
            round_trip(bytes, n, pad);
}

/* One wrong character anywhere is seen. */
static void test_every_place(void **state)
{
    for (size_t len = 4; len <= 20; len++)
        for (size_t at = 0; at < len; at++) {
            char text[20];
            unsigned char out[32];
            size_t n;
            memset(text, 'A', len);
            text[at] = '\x80';
            assert_int_equal(pn_base64_decode((struct pn_str){ text, len }, out, &n), -PN_EFORMAT);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_examples),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_every_length),
        cmocka_unit_test(test_every_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
