/* test_model_pickle.c - which pickles are read, and where and why all others are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/buf.h"
#include "model/pickle.h"

#include <stdlib.h>
#include <string.h>

static const struct pn_pickle_global GLOBALS[] = {
    { "collections", "OrderedDict", PN_PICKLE_MAKES_DICT },
    { "m", "call", PN_PICKLE_MAKES_CALL },
    { "m", "Type", PN_PICKLE_NAME_ONLY },
};

static struct pn_err err;

static int parse(struct pn_str text, struct pn_pickle **ret)
{
    memset(&err, 0, sizeof(err));
    *ret = NULL;
    /* A copy of exactly this size, so that a sanitizer sees a read past it. */
    uint8_t *copy = malloc(text.len ? text.len : 1);
    assert_non_null(copy);
    memcpy(copy, text.ptr, text.len);
    int r =
        pn_pickle_read((struct pn_reader){ copy, 0, text.len }, GLOBALS, PN_ARRAY_LEN(GLOBALS), ret, &err);
    assert_int_equal(err.code, -r);
    if (r < 0)
        free(copy);
    else if (pn_pickle_root(*ret)->kind != PN_PICKLE_STR)
        free(copy); /* texts are borrowed; the callers look at numbers only */
    else {
        pn_pickle_free(*ret);
        *ret = NULL;
        free(copy);
    }
    return r;
}

/* Prints a value: 1, 1.5, None, True, 's', (..), [..], {..}, call(..), <id>. */
static void print(const struct pn_pickle *p, const struct pn_pickle_value *v, int depth, struct pn_buf *out)
{
    static const char *const OPEN[] = { "", "", "", "", "", "", "(", "[", "{", "", "call(", "<" };
    static const char *const CLOSE[] = { "", "", "", "", "", "", ")", "]", "}", "", ")", ">" };
    pn_buf_puts(out, OPEN[v->kind]);
    if (v->kind == PN_PICKLE_NONE)
        pn_buf_puts(out, "None");
    else if (v->kind == PN_PICKLE_INT || v->kind == PN_PICKLE_BOOL)
        pn_buf_printf(out, v->kind == PN_PICKLE_BOOL ? "b%lld" : "%lld", (long long)v->u.i);
    else if (v->kind == PN_PICKLE_FLOAT)
        pn_buf_printf(out, "%g", v->u.f);
    else if (v->kind == PN_PICKLE_STR)
        pn_buf_printf(out, "'%.*s'", (int)v->u.s.len, v->u.s.ptr);
    else if (v->kind == PN_PICKLE_GLOBAL)
        pn_buf_puts(out, GLOBALS[v->u.global].name);
    struct pn_pickle_items it = pn_pickle_items(p, v);
    const struct pn_pickle_value *item;
    for (int i = 0; depth > 0 && (item = pn_pickle_next(&it)) != NULL; i++) {
        pn_buf_puts(out, i ? "," : "");
        print(p, item, depth - 1, out);
    }
    pn_buf_puts(out, CLOSE[v->kind]);
}

static void test_accepted(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR("\x80\x02K\x07."), "7" },
        { PN_STR("M\x01\x02."), "513" },
        { PN_STR("J\xff\xff\xff\xff."), "-1" },
        { PN_STR("\x8a\x00."), "0" },
        { PN_STR("\x8a\x01\xff."), "-1" },
        { PN_STR("\x8a\x02\xff\x00."), "255" },
        { PN_STR("\x8a\x08\x00\x00\x00\x00\x00\x00\x00\x80."), "-9223372036854775808" },
        { PN_STR("G\x3f\xf8\x00\x00\x00\x00\x00\x00."), "1.5" },
        { PN_STR("(N\x88\x89t."), "(None,b1,b0)" },
        { PN_STR("X\x02\x00\x00\x00hi\x85."), "('hi')" },
        { PN_STR("\x8c\x02hi\x85."), "('hi')" },
        { PN_STR("K\x01K\x02\x86."), "(1,2)" },
        { PN_STR("K\x01K\x02K\x03\x87."), "(1,2,3)" },
        { PN_STR("](K\x01K\x02"
                 "eK\x03"
                 "a."),
          "[1,2,3]" },
        { PN_STR("}(K\x01K\x02uK\x03K\x04s."), "{1,2,3,4}" },
        { PN_STR("K\x05q\x00h\x00h\x00\x86."), "(5,5)" },
        { PN_STR("K\x05r\x01\x00\x00\x00j\x01\x00\x00\x00\x86."), "(5,5)" },
        { PN_STR("K\x05\x94h\x00\x86."), "(5,5)" },
        { PN_STR("\x80\x04\x95\x02\x00\x00\x00\x00\x00\x00\x00K\x01."), "1" },
        { PN_STR("ccollections\nOrderedDict\n)R."), "{}" },
        { PN_STR("ccollections\nOrderedDict\n)R}K\x01K\x02sb."), "{}" },
        { PN_STR("ccollections\nOrderedDict\n](K\x01K\x02\x86K\x03K\x04\x86"
                 "e\x85R."),
          "{1,2,3,4}" },
        { PN_STR("\x8c\x01m\x8c\x04"
                 "call\x93K\x01\x85R."),
          "call(1)" },
        { PN_STR("cm\nType\n\x85."), "(Type)" },
        { PN_STR("K\x09Q."), "<9>" },
        { PN_STR("](]](]ee."), "[[],[[]]]" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_pickle *p = NULL;
        struct pn_reader in = { (const uint8_t *)CASES[i].text.ptr, 0, CASES[i].text.len };
        memset(&err, 0, sizeof(err));
        int r = pn_pickle_read(in, GLOBALS, PN_ARRAY_LEN(GLOBALS), &p, &err);
        if (r < 0)
            print_message("%s: %s\n", CASES[i].says, err.text);
        assert_int_equal(r, 0);
        struct pn_buf out;
        pn_buf_init(&out, 1000);
        print(p, pn_pickle_root(p), 5, &out);
        assert_string_equal(out.ptr, CASES[i].says);
        pn_buf_done(&out);
        pn_pickle_free(p);
    }
}

static void test_refused(void **state)
{
    const struct {
        struct pn_str text;
        int code;
        const char *says;
    } CASES[] = {
        { PN_STR(""), -PN_EFORMAT, "byte 0: it is cut off" },
        { PN_STR("K\x01"), -PN_EFORMAT, "byte 2: it is cut off" },
        { PN_STR("."), -PN_EFORMAT, "byte 0: a value is missing" },
        { PN_STR("(."), -PN_EFORMAT, "byte 1: a value is missing" },
        { PN_STR("t."), -PN_EFORMAT, "byte 0: a mark is missing" },
        { PN_STR("\x85."), -PN_EFORMAT, "byte 0: a value is missing" },
        { PN_STR("((K\x01\x87."), -PN_EFORMAT, "a mark is left over" },
        { PN_STR("cos\nsystem\n."), -PN_EFORMAT, "os.system at byte 0 is not allowed in a checkpoint" },
        { PN_STR("\x80\x02"
                 "cbuiltins\neval\n."),
          -PN_EFORMAT, "builtins.eval at byte 2 is not allowed" },
        { PN_STR("\x8c\x02os\x8c\x06system\x93."), -PN_EFORMAT, "os.system at byte 12 is not allowed" },
        { PN_STR("c\x1b[31m\n\xff\n."), -PN_EFORMAT, "?[31m.? at byte 0 is not allowed" },
        { PN_STR("cos"), -PN_EFORMAT, "it is cut off" },
        { PN_STR("cm\nType\n)R."), -PN_EFORMAT, "a call that no checkpoint needs" },
        { PN_STR("K\x01)R."), -PN_EFORMAT, "a call that no checkpoint needs" },
        { PN_STR("cm\ncall\nK\x01R."), -PN_EFORMAT, "a call that no checkpoint needs" },
        { PN_STR("cm\ncall\n\x81."), -PN_EUNSUPPORTED, "opcode 0x81 at byte 8" },
        { PN_STR("(i__main__\nx\n."), -PN_EUNSUPPORTED, "opcode 0x69 at byte 1" },
        { PN_STR("\x80\x01."), -PN_EFORMAT, "an unknown protocol" },
        { PN_STR("X\xff\xff\xff\xff"
                 "abc."),
          -PN_EFORMAT, "longer than the file" },
        { PN_STR("\x8a\x09\x01\x01\x01\x01\x01\x01\x01\x01\x01."), -PN_EFORMAT, "more than 64 bits" },
        { PN_STR("K\x01r\xff\xff\xff\xff."), -PN_EFORMAT, "a memo index that is too large" },
        { PN_STR("K\x01r\xff\xff\x0f\x00."), -PN_EFORMAT, "a memo index that is too large" },
        { PN_STR("h\x00."), -PN_EFORMAT, "never made" },
        { PN_STR("q\x00."), -PN_EFORMAT, "nothing to remember" },
        { PN_STR("K\x01q\x03h\x02."), -PN_EFORMAT, "never made" },
        { PN_STR("](K\x01u."), -PN_EFORMAT, "not their container" },
        { PN_STR("}(K\x01u."), -PN_EFORMAT, "a key without a value" },
        { PN_STR("(K\x01K\x02K\x03s."), -PN_EFORMAT, "not their container" },
        { PN_STR("ccollections\nOrderedDict\nK\x01\x85R."), -PN_EFORMAT, "list of pairs" },
        { PN_STR("ccollections\nOrderedDict\n](K\x01"
                 "e\x85R."),
          -PN_EFORMAT, "list of pairs" },
        { PN_STR("N(b."), -PN_EFORMAT, "a value is missing" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_pickle *p;
        int r = parse(CASES[i].text, &p);
        if (r != CASES[i].code || !strstr(err.text, CASES[i].says))
            print_message("case %zu: %d %s\n", i, r, err.text);
        assert_int_equal(r, CASES[i].code);
        assert_non_null(strstr(err.text, CASES[i].says));
        assert_null(p);
    }
}

static void repeat(struct pn_buf *b, struct pn_str piece, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pn_buf_str(b, piece);
}

/* Nesting costs no stack; a list may hold itself. */
static void test_deep_and_cyclic(void **state)
{
    struct pn_buf b;
    struct pn_pickle *p;
    pn_buf_init(&b, 16 << 20);
    repeat(&b, PN_STR("]"), 1000000);
    repeat(&b, PN_STR("a"), 999999);
    pn_buf_puts(&b, ".");
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &p), 0);
    pn_pickle_free(p);
    pn_buf_done(&b);
    assert_int_equal(parse(PN_STR("]q\x00h\x00"
                                  "a."),
                           &p),
                     0);
    assert_int_equal(pn_pickle_root(p)->count, 1);
    pn_pickle_free(p);
}

/* Each call copies a remembered list of 1000 pairs: memory would grow a thousand times faster than the file.
 */
static void test_bombs(void **state)
{
    struct pn_buf b;
    struct pn_pickle *p;
    pn_buf_init(&b, 32 << 20);
    pn_buf_str(&b, PN_STR("ccollections\nOrderedDict\nq\x00](K\x01K\x02\x86q\x01"));
    repeat(&b, PN_STR("h\x01"), 1000);
    pn_buf_str(&b, PN_STR("e\x85q\x02"));
    repeat(&b, PN_STR("h\x00h\x02R"), 10000);
    pn_buf_puts(&b, ".");
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &p), -PN_ELIMIT);
    pn_buf_clear(&b);
    repeat(&b, PN_STR("N"), 5 << 20);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &p), -PN_ELIMIT);
    pn_buf_clear(&b);
    repeat(&b, PN_STR("NNNNNNNN"), (2 << 20) + 1);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &p), -PN_ELIMIT);
    pn_buf_done(&b);
}

static void test_get(void **state)
{
    const struct pn_str TEXT = PN_STR("}(\x8c\x01"
                                      "aK\x01K\x05K\x06\x8c\x01"
                                      "aK\x02u.");
    struct pn_pickle *p = NULL;
    struct pn_reader in = { (const uint8_t *)TEXT.ptr, 0, TEXT.len };
    assert_int_equal(pn_pickle_read(in, NULL, 0, &p, NULL), 0);
    const struct pn_pickle_value *v = pn_pickle_get(p, pn_pickle_root(p), "a");
    assert_true(v && v->u.i == 2); /* the later one wins, as in Python */
    assert_int_equal(v->pos, 14);
    assert_null(pn_pickle_get(p, pn_pickle_root(p), "b"));
    pn_pickle_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accepted),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_deep_and_cyclic),
        cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_get),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
