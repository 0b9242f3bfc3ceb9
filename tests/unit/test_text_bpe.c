/* test_text_bpe.c - byte-pair encoding against the reference's ids, on vocabularies made up here, and on
 * hostile text; rank files; malformed UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"
#include "text/bpe_impl.h"
#include "text/utf8.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static json_t *load_json(const char *path)
{
    json_error_t error;
    json_t *j = json_load_file(path, JSON_ALLOW_NUL, &error);
    assert_non_null(j);
    return j;
}

static struct pn_bpe *load_ranks(const char *path)
{
    struct pn_buf b;
    struct pn_bpe *bpe = NULL;
    assert_true(pn_fixture_read(path, &b));
    assert_int_equal(pn_bpe_parse((struct pn_str){ b.ptr, b.len }, &bpe, NULL), 0);
    pn_buf_done(&b);
    return bpe;
}

static struct pn_str string_of(const json_t *j)
{
    assert_true(json_is_string(j));
    return (struct pn_str){ json_string_value(j), json_string_length(j) };
}

static void check_encoding(const struct pn_bpe *b, struct pn_str text, const json_t *want)
{
    int32_t ids[512];
    int n = pn_bpe_encode(b, text, ids, PN_ARRAY_LEN(ids));
    assert_int_equal(n, json_array_size(want));
    for (int i = 0; i < n; i++)
        assert_int_equal(ids[i], json_integer_value(json_array_get(want, (size_t)i)));
}

static void check_vocabulary(const char *name, size_t size)
{
    char ranks[PN_FIXTURE_PATH], cases[PN_FIXTURE_PATH], file[96];
    snprintf(file, sizeof(file), "whisper/tokenizer/%s.tiktoken", name);
    PN_SHARED_OR_SKIP(file, ranks);
    snprintf(file, sizeof(file), "whisper/tokenizer/%s.encode.json", name);
    PN_SHARED_OR_SKIP(file, cases);
    struct pn_bpe *b = load_ranks(ranks);
    assert_int_equal(pn_bpe_size(b), size);
    json_t *list = load_json(cases), *item;
    size_t i;
    assert_true(json_array_size(list) > 100);
    json_array_foreach(list, i, item)
        check_encoding(b, string_of(json_object_get(item, "text")), json_object_get(item, "ids"));
    json_decref(list);
    pn_bpe_free(b);
}

static void test_golden_encoding(void **state)
{
    check_vocabulary("multilingual", 50257);
    check_vocabulary("gpt2", 50256);
}

/* Text with a character of each kind of Unicode's White_Space; '_' stands for the end of a piece. */
static void test_pieces(void **state)
{
    static const char *const CASES[] = {
        "a_  _ b",
        "a_\n_b",
        "a_ \t_\n_b",
        "Hello_ world_!_ 12_ab_  ",
        "I_'ll_ '_re_?",
        "x_\u3000_\u3000_y",
        "caf\u00e9_\u00a0_1",
        "it_'s_ '_S",
        "1_\u0301_a",
        " _\xff_ a_\xff_\xff_b",
        "\u00bd_\u4e00\u4e8c_\u3002_ \U0001f600",
        "   ",
        "_",
        "\xc2\x85_ a",
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        char text[64] = "";
        size_t n = 0;
        for (const char *p = CASES[i]; *p; p++)
            if (*p != '_')
                text[n++] = *p;
        struct pn_str rest = { text, n };
        struct pn_str want = pn_str(CASES[i]);
        while (rest.len > 0) {
            size_t len = pn_bpe_piece(rest);
            const char *end = memchr(want.ptr, '_', want.len);
            if (len != (end ? (size_t)(end - want.ptr) : want.len))
                fail_msg("\"%s\": a piece of %zu bytes at %zu", CASES[i], len, n - rest.len);
            want = end ? (struct pn_str){ end + 1, want.len - len - 1 } : (struct pn_str){ 0 };
            rest = (struct pn_str){ rest.ptr + len, rest.len - len };
        }
    }
}

/* A vocabulary with gaps: ids as written. */
static struct pn_bpe *small(void)
{
    const struct pn_str tokens[] = {
        PN_STR("a"),   PN_STR("b"), PN_STR("c"),  PN_STR(""),     PN_STR("bc"), PN_STR("ab"),
        PN_STR("abc"), PN_STR(""),  PN_STR("aa"), PN_STR("aaaa"), PN_STR(" "),  PN_STR(""),
    };
    struct pn_bpe *b = NULL;
    assert_int_equal(pn_bpe_new(tokens, PN_ARRAY_LEN(tokens), &b, NULL), 0);
    return b;
}

static void check_small(const struct pn_bpe *b, const char *text, const char *want)
{
    int32_t ids[64];
    char got[256] = "";
    int n = pn_bpe_encode(b, pn_str(text), ids, PN_ARRAY_LEN(ids));
    assert_true(n >= 0);
    for (int i = 0, at = 0; i < n; i++)
        at += snprintf(got + at, sizeof(got) - (size_t)at, "%d ", (int)ids[i]);
    assert_string_equal(got, want);
}

static void test_merging(void **state)
{
    struct pn_bpe *b = small();
    check_small(b, "abc", "6 ");    /* the piece itself */
    check_small(b, "abcb", "6 1 "); /* a bc, then abc */
    check_small(b, "cabab", "2 5 5 ");
    check_small(b, "aaaaaaa", "9 8 0 "); /* leftmost first */
    check_small(b, "aaa", "8 0 ");
    check_small(b, "cab a", "2 5 10 0 "); /* " a" is no token */
    check_small(b, "", "");
    assert_int_equal(pn_bpe_size(b), 12);
    assert_int_equal(pn_bpe_token(b, 3).len, 0);
    assert_int_equal(pn_bpe_token(b, -1).len, 0);
    assert_int_equal(pn_bpe_token(b, 12).len, 0);
    assert_true(pn_str_is(pn_bpe_token(b, 6), "abc"));
    pn_bpe_free(b);
}

static void test_encoding_limits(void **state)
{
    struct pn_bpe *b = small();
    int32_t ids[2] = { -7, -7 };
    assert_int_equal(pn_bpe_encode(b, PN_STR("abd"), ids, 2), -PN_EUNSUPPORTED);
    assert_int_equal(pn_bpe_encode(b, PN_STR("a\xff"), ids, 2), -PN_EUNSUPPORTED);
    assert_int_equal(pn_bpe_encode(b, PN_STR("cccc"), ids, 1), 4);
    assert_int_equal(ids[0], 2);
    assert_int_equal(ids[1], -7);
    pn_bpe_free(b);
}

/* A million letters are one piece; its merging ends soon. */
static void test_long_piece(void **state)
{
    enum { N = 1 << 20 };
    struct pn_bpe *b = small();
    char *text = malloc(N);
    int32_t *ids = malloc(N * sizeof(*ids));
    assert_true(text && ids);
    memset(text, 'a', N);
    assert_int_equal(pn_bpe_encode(b, (struct pn_str){ text, N }, ids, N), N / 4);
    for (int i = 0; i < N / 4; i++)
        assert_int_equal(ids[i], 9);
    free(text);
    free(ids);
    pn_bpe_free(b);
}

static void test_new_refuses(void **state)
{
    const struct pn_str twice[] = { PN_STR("a"), PN_STR("b"), PN_STR("a") };
    struct pn_bpe *b = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_bpe_new(twice, 3, &b, &err), -PN_EFORMAT);
    assert_non_null(strstr(err.text, "tokens 0 and 2"));
    assert_int_equal(pn_bpe_new(twice, 0, &b, NULL), -PN_EFORMAT);
    assert_null(b);
}

static void test_rank_file(void **state)
{
    struct pn_bpe *b = NULL;
    assert_int_equal(pn_bpe_parse(PN_STR("Yg== 1\r\n\nYWI= 5\nYQ== 0\n= 7"), &b, NULL), 0);
    assert_int_equal(pn_bpe_size(b), 8);
    assert_true(pn_str_is(pn_bpe_token(b, 5), "ab"));
    check_small(b, "abb", "5 1 ");
    pn_bpe_free(b);
}

static void test_rank_file_refuses(void **state)
{
    static const struct {
        const char *text, *want;
    } CASES[] = {
        { "", "empty" },
        { "\n\n", "empty" },
        { "YQ== 0\nYg==\n", "line 2 has no rank" },
        { "YQ== 0\nYg== -1\n", "line 2 has no rank" },
        { "YQ== 1048576\n", "line 1 has no rank" },
        { "YQ== 0x1\n", "line 1 has no rank" },
        { "YQ== 0\nYg== 0\n", "line 2 repeats rank 0" },
        { "YQ= 0\n", "line 1 is not base64" },
        { "Y-== 0\n", "line 1 is not base64" },
        { "==== 0\n", "line 1 is not base64" },
        { "YQ== 0\nYQ== 1\n", "tokens 0 and 1 are the same" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_bpe *b = NULL;
        struct pn_err err = { 0 };
        assert_int_equal(pn_bpe_parse(pn_str(CASES[i].text), &b, &err), -PN_EFORMAT);
        assert_null(b);
        assert_non_null(strstr(err.text, CASES[i].want));
    }
}

/* Unicode's own table of maximal subparts (standard, 3.9), and the ends of the ranges. */
static void test_lossy(void **state)
{
#define R "\xef\xbf\xbd"
    static const char *const CASES[][2] = {
        { "plain \xe4\xb8\x80", "plain \xe4\xb8\x80" },
        { "\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41", R R R R R R R R "A" },
        { "\xed\xa0\x80\xed\xbf\xbf\xed\xaf\x41", R R R R R R R R "A" },
        { "\xf4\x91\x92\x93\xff\x41\x80\xbf\x42", R R R R R "A" R R "B" },
        { "\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", R R R R "A" },
        { "\xf0\x9f\x98", R },
        { "a\xe4\xb8"
          "b\xe4",
          "a" R "b" R },
    };
    struct pn_buf b;
    pn_buf_init(&b, 256);
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        pn_buf_clear(&b);
        pn_utf8_append_lossy(&b, pn_str(CASES[i][0]));
        assert_true(pn_str_is((struct pn_str){ b.ptr, b.len }, CASES[i][1]));
    }
    pn_buf_done(&b);
}

static void test_strip(void **state)
{
    assert_true(pn_str_is(pn_utf8_strip(PN_STR("\u3000 \x1c one two\u2003\n\xc2\x85")), "one two"));
    assert_int_equal(pn_utf8_strip(PN_STR(" \u00a0 ")).len, 0);
    assert_int_equal(pn_utf8_strip(PN_STR("")).len, 0);
    assert_true(pn_str_is(pn_utf8_strip(PN_STR("\x80")), "\x80"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_encoding), cmocka_unit_test(test_pieces),
        cmocka_unit_test(test_merging),         cmocka_unit_test(test_encoding_limits),
        cmocka_unit_test(test_long_piece),      cmocka_unit_test(test_new_refuses),
        cmocka_unit_test(test_rank_file),       cmocka_unit_test(test_rank_file_refuses),
        cmocka_unit_test(test_lossy),           cmocka_unit_test(test_strip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
