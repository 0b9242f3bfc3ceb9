/* test_model_funasr_text.c - the text files of a FunASR folder: am.mvn, token lists, seg_dict. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"
#include "model/cmvn.h"
#include "model/seg_dict.h"
#include "model/tokens.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pn_err err;

static void read_seed(const char *name, struct pn_buf *b)
{
    char relative[200], path[PN_FIXTURE_PATH];
    snprintf(relative, sizeof(relative), "../fuzz/corpus/%s", name);
    assert_true(pn_fixture_data(relative, path) && pn_fixture_read(path, b));
}

/* ---- am.mvn ---- */

static int parse_cmvn(struct pn_str text, struct pn_cmvn *ret)
{
    memset(&err, 0, sizeof(err));
    *ret = (struct pn_cmvn){ 0 };
    int r = pn_cmvn_parse(text, "am.mvn", ret, &err);
    assert_int_equal(err.code, -r);
    assert_true(r == 0 ? ret->n > 0 : !ret->shift && !ret->scale);
    return r;
}

static void test_cmvn(void **state)
{
    struct pn_buf b;
    struct pn_cmvn c;
    read_seed("cmvn/four", &b);
    (void)setlocale(LC_NUMERIC, "de_DE.UTF-8"); /* where it exists: a comma for the point */
    assert_int_equal(parse_cmvn((struct pn_str){ b.ptr, b.len }, &c), 0);
    (void)setlocale(LC_NUMERIC, "C");
    static const float SHIFT[] = { -8.539298f, -9, 1e-3f, 0.5f }, SCALE[] = { 0.155775f, 1, 2, 3.25f };
    assert_int_equal(c.n, 4);
    assert_memory_equal(c.shift, SHIFT, sizeof(SHIFT));
    assert_memory_equal(c.scale, SCALE, sizeof(SCALE));
    pn_cmvn_done(&c);
    pn_buf_done(&b);
    assert_int_equal(parse_cmvn(PN_STR("<Rescale>[3\n4]<AddShift>[1 2]"), &c), 0);
    assert_true(c.n == 2 && c.shift[0] == 1 && c.shift[1] == 2 && c.scale[0] == 3 && c.scale[1] == 4);
    pn_cmvn_done(&c);
}

static void test_cmvn_refused(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR(""), "no <AddShift>" },
        { PN_STR("<Splice> [ 1 2 3 ]"), "no <AddShift>" },
        { PN_STR("<AddShift> [ 1 2 ]"), "no <Rescale>" },
        { PN_STR("<AddShift> [ 1 2 ] <Rescale> [ 3 ]"), "2 shifts, but 1 scales" },
        { PN_STR("<AddShift> [ ] <Rescale> [ ]"), "0 shifts" },
        { PN_STR("<AddShift> [ 1 x ] <Rescale> [ 3 4 ]"), "not a number at byte 16" },
        { PN_STR("<AddShift> [ 1 nan ] <Rescale> [ 3 4 ]"), "not a number" },
        { PN_STR("<AddShift> [ 1 1e40 ] <Rescale> [ 3 4 ]"), "not a number" },
        { PN_STR("<AddShift> [ 1 1,5 ] <Rescale> [ 3 4 ]"), "not a number" },
        { PN_STR("<AddShift> [ 1 <Rescale> [ 3 ]"), "not a number" },
        { PN_STR("<AddShift> [ 1 2"), "the end inside brackets" },
        { PN_STR("<AddShift> [ 1 ] <AddShift> [ 1 ] <Rescale> [ 1 ]"), "a second" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_cmvn c;
        if (parse_cmvn(CASES[i].text, &c) != -PN_EFORMAT || !strstr(err.text, CASES[i].says))
            fail_msg("%zu: '%s'", i, err.text);
    }
}

static void test_cmvn_limit(void **state)
{
    struct pn_buf b;
    struct pn_cmvn c;
    pn_buf_init(&b, (size_t)8 << 20);
    pn_buf_puts(&b, "<AddShift> [");
    for (int i = 0; i <= PN_CMVN_MAX; i++)
        pn_buf_puts(&b, " 1");
    pn_buf_puts(&b, " ]");
    assert_int_equal(parse_cmvn((struct pn_str){ b.ptr, b.len }, &c), -PN_ELIMIT);
    while (b.len <= (size_t)4 << 20)
        pn_buf_puts(&b, "                                                                ");
    assert_int_equal(parse_cmvn((struct pn_str){ b.ptr, b.len }, &c), -PN_ELIMIT);
    pn_buf_done(&b);
}

/* ---- token lists ---- */

static int parse_tokens(struct pn_str text, bool json, struct pn_tokens *ret)
{
    memset(&err, 0, sizeof(err));
    *ret = (struct pn_tokens){ 0 };
    int r = json ? pn_tokens_from_json(text, "tokens", ret, &err)
                 : pn_tokens_from_lines(text, "tokens", ret, &err);
    assert_int_equal(err.code, -r);
    assert_true(r == 0 ? ret->n > 0 : !ret->list && !ret->bytes);
    return r;
}

static void check_tokens(struct pn_str text, bool json, size_t n, const char *const *want)
{
    struct pn_tokens t;
    if (parse_tokens(text, json, &t) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(t.n, n);
    for (size_t i = 0; i < n; i++) {
        assert_true(pn_str_is(t.list[i], want[i]));
        assert_int_equal(pn_text_index_find(&t.index, t.list, pn_str(want[i])), i);
    }
    assert_int_equal(pn_text_index_find(&t.index, t.list, PN_STR("none of them")), -1);
    pn_tokens_done(&t);
}

static void test_tokens(void **state)
{
    check_tokens(PN_STR("[\"<blank>\", \"\\u7a7a\", \"he@@\", \"a\\\"b\", \"\"]"), true, 5,
                 (const char *const[]){ "<blank>", "空", "he@@", "a\"b", "" });
    check_tokens(PN_STR(" [\n\"\\\\\\/\\b\\f\\n\\r\\t\" ,\t\"\\u00E9\\ud83d\\ude00\",\"\\u0041\"]\r\n "),
                 true, 3, (const char *const[]){ "\\/\b\f\n\r\t", "é😀", "A" });
    check_tokens(PN_STR("<blank>\n空\t \r\n\nhe@@"), false, 4,
                 (const char *const[]){ "<blank>", "空", "", "he@@" });
    check_tokens(PN_STR("a\nb\n"), false, 2, (const char *const[]){ "a", "b" });
}

static void test_tokens_refused(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR(""), "tokens" },
        { PN_STR("{\"a\": 0}"), "not a JSON array" },
        { PN_STR("[]"), "no token" },
        { PN_STR("[\"a\", 1]"), "token 1 is not a text" },
        { PN_STR("[\"a\""), "byte" },
        { PN_STR("[\"\xff\"]"), "byte" },
        { PN_STR("[[\"a\"]]"), "token 0" },
        { PN_STR("[\"a\",]"), "token 1" },
        { PN_STR("[\"a\" \"b\"]"), "neither" },
        { PN_STR("[\"a\"] x"), "behind" },
        { PN_STR("[] []"), "behind" },
        { PN_STR("[\"a\nb\"]"), "control" },
        { PN_STR("[\"\\x\"]"), "escape" },
        { PN_STR("[\"\\"), "escape" },
        { PN_STR("[\"\\u12"), "escape" },
        { PN_STR("[\"\\ud83d\"]"), "escape" },
        { PN_STR("[\"\\ud83d\\u0041\"]"), "escape" },
        { PN_STR("[\"\\ude00\"]"), "escape" },
        { PN_STR("[\"\xe7\xa9\"]"), "UTF-8" },
        { PN_STR("[\"a\\u0000\"]"), "byte" },
    };
    struct pn_tokens t;
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++)
        if (parse_tokens(CASES[i].text, true, &t) != -PN_EFORMAT || !strstr(err.text, CASES[i].says))
            fail_msg("%zu: '%s'", i, err.text);
    assert_int_equal(parse_tokens(PN_STR(""), false, &t), -PN_EFORMAT);
    char *lines = malloc(PN_TOKENS_MAX + 1);
    assert_non_null(lines);
    memset(lines, '\n', PN_TOKENS_MAX + 1);
    assert_int_equal(parse_tokens((struct pn_str){ lines, PN_TOKENS_MAX + 1 }, false, &t), -PN_ELIMIT);
    free(lines);
}

/* ---- seg_dict ---- */

static void test_seg_dict(void **state)
{
    struct pn_seg_dict d = { 0 };
    static const char TEXT[] = "空 空\nhello he@@ llo\n\nhello hel@@ lo\nalone\n  x\ty z \r\nlast l@@ ast";
    assert_int_equal(pn_seg_dict_parse(pn_str(TEXT), "seg_dict", &d, &err), 0);
    static const char *const WANT[][2] = { { "空", "空" }, { "hello", "hel@@ lo" }, { "alone", "" },
                                           { "x", "y z" }, { "last", "l@@ ast" },   { "", "" },
                                           { "he@@", "" } };
    for (size_t i = 0; i < PN_ARRAY_LEN(WANT); i++)
        assert_true(pn_str_is(pn_seg_dict_find(&d, pn_str(WANT[i][0])), WANT[i][1]));
    pn_seg_dict_done(&d);
    assert_int_equal(pn_seg_dict_parse(PN_STR(""), "seg_dict", &d, &err), 0);
    assert_int_equal(pn_seg_dict_find(&d, PN_STR("a")).len, 0);
    pn_seg_dict_done(&d);
}

/* ---- all of them ---- */

static void parse_any(char kind, struct pn_str text)
{
    struct pn_cmvn c;
    struct pn_tokens t;
    struct pn_seg_dict d = { 0 };
    if (kind == 'c' && parse_cmvn(text, &c) == 0)
        pn_cmvn_done(&c);
    if ((kind == 'j' || kind == 'l') && parse_tokens(text, kind == 'j', &t) == 0)
        pn_tokens_done(&t);
    if (kind == 's' && pn_seg_dict_parse(text, "seg_dict", &d, NULL) == 0)
        pn_seg_dict_done(&d);
}

/* Every length, from a block of just that size, and every byte changed in three ways. */
static void test_mutations(void **state)
{
    static const char *const SEEDS[] = { "ccmvn/four", "ccmvn/tight", "jtokens/json", "ltokens/lines",
                                         "stokens/seg_dict" };
    static const char MASKS[] = { 0x01, 0x20, (char)0xff };
    for (size_t s = 0; s < PN_ARRAY_LEN(SEEDS); s++) {
        struct pn_buf b;
        char kind = SEEDS[s][0];
        read_seed(SEEDS[s] + 1, &b);
        size_t from = kind == 'c' ? 0 : 1; /* the fuzzer's letter */
        for (size_t n = from; n <= b.len; n++) {
            char *exact = malloc(n - from + 1);
            assert_non_null(exact);
            memcpy(exact, b.ptr + from, n - from);
            parse_any(kind, (struct pn_str){ exact, n - from });
            free(exact);
        }
        for (size_t i = 3 * from; i < 3 * b.len; i++) {
            b.ptr[i / 3] ^= MASKS[i % 3];
            parse_any(kind, (struct pn_str){ b.ptr + from, b.len - from });
            b.ptr[i / 3] ^= MASKS[i % 3];
        }
        pn_buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cmvn),           cmocka_unit_test(test_cmvn_refused),
        cmocka_unit_test(test_cmvn_limit),     cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_tokens_refused), cmocka_unit_test(test_seg_dict),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
