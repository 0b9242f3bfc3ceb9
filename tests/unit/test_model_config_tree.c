/* test_model_config_tree.c - a model's config.yaml: what it answers, and every way to be refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"
#include "model/config_tree.h"

#include <stdlib.h>
#include <string.h>

static struct pn_err err;

static int parse(struct pn_str text, struct pn_config_tree **ret)
{
    memset(&err, 0, sizeof(err));
    *ret = NULL;
    int r = pn_config_tree_parse(text, "c.yaml", ret, &err);
    assert_int_equal(err.code, -r);
    assert_true(r == 0 ? *ret != NULL : !*ret);
    return r;
}

static struct pn_config_tree *full(struct pn_buf *b)
{
    char path[PN_FIXTURE_PATH];
    struct pn_config_tree *t;
    assert_true(pn_fixture_data("../fuzz/corpus/config_tree/full.yaml", path) && pn_fixture_read(path, b));
    if (parse((struct pn_str){ b->ptr, b->len }, &t) < 0)
        fail_msg("%s", err.text);
    return t;
}

static int64_t integer(const struct pn_config_tree *t, const char *key)
{
    int64_t v = -1;
    if (pn_config_tree_int(t, key, -1000, 1000, 77, &v, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static double real(const struct pn_config_tree *t, const char *key)
{
    double v = -1;
    if (pn_config_tree_real(t, key, -1000, 1000, 0.25, &v, &err) < 0)
        fail_msg("%s", err.text);
    return v;
}

static void test_scalars(void **state)
{
    struct pn_buf b;
    struct pn_config_tree *t = full(&b);
    assert_string_equal(pn_config_tree_str(t, "model", ""), "ParaformerStreaming");
    assert_string_equal(pn_config_tree_str(t, "encoder_conf.selfattention_layer_type", ""), "sanm");
    assert_string_equal(pn_config_tree_str(t, "text", ""), "two\nlines\n");
    assert_int_equal(integer(t, "encoder_conf.output_size"), 128);
    assert_int_equal(integer(t, "model_conf.predictor_bias"), 1);
    assert_true(real(t, "model_conf.snr_thres") == -100.0);
    assert_true(real(t, "model_conf.fe_prior_thres") == 1e-4);
    assert_true(real(t, "optim_conf.lr") == 0.0005);
    bool on = false;
    assert_int_equal(pn_config_tree_bool(t, "model_conf.length_normalized_loss", false, &on, &err), 0);
    assert_true(on);
    pn_config_tree_free(t);
    pn_buf_done(&b);
}

static void test_what_is_not_there(void **state)
{
    struct pn_buf b;
    struct pn_config_tree *t = full(&b);
    static const char *const NONE[] = { "normalize",           "nothing",     "encoder_conf.none",
                                        "encoder_conf.output", "output_size", "" };
    for (size_t i = 0; i < PN_ARRAY_LEN(NONE); i++) {
        bool on = false;
        assert_int_equal(integer(t, NONE[i]), 77);
        assert_true(real(t, NONE[i]) == 0.25);
        assert_int_equal(pn_config_tree_bool(t, NONE[i], true, &on, &err), 0);
        assert_true(on);
        assert_string_equal(pn_config_tree_str(t, NONE[i], "none"), "none");
        assert_int_equal(pn_config_tree_list(t, NONE[i]), 0);
        assert_null(pn_config_tree_item(t, NONE[i], 0));
    }
    assert_string_equal(pn_config_tree_str(t, "encoder_conf", "none"), "none");
    pn_config_tree_free(t);
    pn_buf_done(&b);
}

static void check_list(const struct pn_config_tree *t, const char *key, size_t n, const char *const *items)
{
    assert_int_equal(pn_config_tree_list(t, key), n);
    for (size_t i = 0; i < n; i++) {
        const char *item = pn_config_tree_item(t, key, i);
        if (items[i])
            assert_string_equal(item, items[i]);
        else
            assert_null(item);
    }
    assert_null(pn_config_tree_item(t, key, n));
}

static void test_lists(void **state)
{
    struct pn_buf b;
    struct pn_config_tree *t = full(&b);
    check_list(t, "model_conf.punc_list", 4, (const char *const[]){ "<unk>", "_", "，", "。" });
    check_list(t, "encoder_conf.chunk_size", 2, (const char *const[]){ "12", "15" });
    check_list(t, "encoder_conf.pad_left", 2, (const char *const[]){ "0", "-1" });
    check_list(t, "specaug_conf.freq_mask_width_range", 2, (const char *const[]){ "0", "30" });
    check_list(t, "specaug_conf.policies", 3, (const char *const[]){ NULL, NULL, "last" });
    check_list(t, "dataset_conf.loaders", 2, (const char *const[]){ NULL, NULL });
    check_list(t, "optim_conf.betas", 2, (const char *const[]){ "0.9", "0.98" });
    check_list(t, "empty_list", 0, NULL);
    assert_int_equal(integer(t, "dataset_conf.loaders.name"), 77);
    pn_config_tree_free(t);
    pn_buf_done(&b);
}

static void test_wrong_values(void **state)
{
    struct pn_config_tree *t;
    assert_int_equal(parse(PN_STR("a: x\nb: '5'\nc: 5\nd: [5]\ne: {f: 5}\ng: 1.5\nh: 1e400\n"), &t), 0);
    static const struct {
        const char *key, *says;
    } CASES[] = { { "a", "c.yaml:1: a is 'x': it must be a whole number" },
                  { "b", "c.yaml:2: b is '5'" },
                  { "c", "c.yaml:3: c is 5: it must lie between 6 and 9" },
                  { "d", "c.yaml:4: d is 'a list'" },
                  { "e", "c.yaml:5: e is 'a map'" },
                  { "g", "c.yaml:6: g is '1.5'" } };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_err why = { 0 };
        int64_t v = 42;
        assert_int_equal(pn_config_tree_int(t, CASES[i].key, 6, 9, 0, &v, &why), -PN_EFORMAT);
        assert_int_equal(v, 42);
        assert_ptr_equal(strstr(why.text, CASES[i].says), why.text);
    }
    double f = 42;
    bool on = true;
    assert_int_equal(pn_config_tree_real(t, "g", 2, 3, 0, &f, NULL), -PN_EFORMAT);
    assert_int_equal(pn_config_tree_real(t, "h", -1e300, 1e300, 0, &f, NULL), -PN_EFORMAT);
    assert_int_equal(pn_config_tree_real(t, "a", 2, 3, 0, &f, NULL), -PN_EFORMAT);
    assert_int_equal(pn_config_tree_bool(t, "a", false, &on, NULL), -PN_EFORMAT);
    assert_true(f == 42 && on);
    pn_config_tree_free(t);
}

static void test_refused(void **state)
{
    const struct {
        struct pn_str text;
        const char *says;
    } CASES[] = {
        { PN_STR("a: &x 1\n"), "c.yaml:1: anchors" },
        { PN_STR("a: &x {b: 1}\nc: *x\n"), "c.yaml:1: anchors" },
        { PN_STR("a: &x [1]\n"), "c.yaml:1: anchors" },
        { PN_STR("a: *x\n"), "c.yaml:1: aliases" },
        { PN_STR("a: !!str 1\n"), "c.yaml:1: tags" },
        { PN_STR("a: !!python/object:os.system [1]\n"), "c.yaml:1: tags" },
        { PN_STR("%TAG ! tag:x,2000:\n---\na: 1\n"), "tags" },
        { PN_STR("a: 1\n---\nb: 2\n"), "c.yaml:2: only one document" },
        { PN_STR("a: 1\nb: 2\na: 3\n"), "c.yaml:3: the key 'a' is there twice" },
        { PN_STR("a: {b: 1}\na.b: 2\n"), "c.yaml:2: the key 'a.b' is there twice" },
        { PN_STR("- a\n"), "c.yaml:1: expected 'key: value' lines" },
        { PN_STR("just text\n"), "c.yaml:1: expected 'key: value' lines" },
        { PN_STR("? [a]\n: 1\n"), "c.yaml:1: a list cannot be a key" },
        { PN_STR("? {a: 1}\n: 1\n"), "c.yaml:1: a map cannot be a key" },
        { PN_STR("'': 1\n"), "c.yaml:1: a key without a name" },
        { PN_STR("a: \"b\\0c\"\n"), "c.yaml:1: a zero byte" },
        { PN_STR("a: {b\n"), "c.yaml:2: " },
        { PN_STR("a: \xff\n"), "c.yaml:1: " },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_config_tree *t;
        if (parse(CASES[i].text, &t) != -PN_EFORMAT || !strstr(err.text, CASES[i].says))
            fail_msg("%zu: '%s'", i, err.text);
    }
}

static void repeat(struct pn_buf *b, const char *text, int n)
{
    for (int i = 0; i < n; i++)
        pn_buf_puts(b, text);
}

static void test_limits(void **state)
{
    struct pn_buf b;
    struct pn_config_tree *t;
    pn_buf_init(&b, (size_t)8 << 20);
    pn_buf_puts(&b, "a: ");
    repeat(&b, "[", 31);
    repeat(&b, "]", 31);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), 0);
    pn_config_tree_free(t);
    pn_buf_clear(&b);
    pn_buf_puts(&b, "a: ");
    repeat(&b, "[", 32);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), -PN_EFORMAT);
    assert_non_null(strstr(err.text, "nested too deeply"));
    pn_buf_clear(&b);
    for (int i = 0; i < 8193; i++)
        pn_buf_printf(&b, "k%d: 1\n", i);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), -PN_ELIMIT);
    pn_buf_clear(&b);
    pn_buf_puts(&b, "a:\n");
    repeat(&b, "- 1\n", (1 << 19) + 1);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), -PN_ELIMIT);
    pn_buf_clear(&b);
    repeat(&b, "# comment\n", 420000);
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), -PN_ELIMIT);
    pn_buf_clear(&b);
    repeat(&b, "key", 200);
    pn_buf_puts(&b, ": 1\n");
    assert_int_equal(parse((struct pn_str){ b.ptr, b.len }, &t), -PN_EFORMAT);
    pn_buf_done(&b);
}

/* Every length, and every byte changed in three ways: an error with a reason, or a tree that answers. */
static void test_mutations(void **state)
{
    struct pn_buf b;
    pn_config_tree_free(full(&b));
    for (size_t n = 0; n <= b.len; n++) {
        char *exact = malloc(n + 1);
        struct pn_config_tree *t;
        assert_non_null(exact);
        memcpy(exact, b.ptr, n);
        if (parse((struct pn_str){ exact, n }, &t) == 0)
            (void)pn_config_tree_list(t, "model_conf.punc_list");
        pn_config_tree_free(t);
        free(exact);
    }
    for (size_t i = 0; i < 3 * b.len; i++) {
        static const char MASKS[] = { 0x01, 0x20, (char)0xff };
        struct pn_config_tree *t;
        b.ptr[i / 3] ^= MASKS[i % 3];
        if (parse((struct pn_str){ b.ptr, b.len }, &t) < 0)
            assert_true(err.text[0] != 0);
        pn_config_tree_free(t);
        b.ptr[i / 3] ^= MASKS[i % 3];
    }
    pn_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scalars),   cmocka_unit_test(test_what_is_not_there),
        cmocka_unit_test(test_lists),     cmocka_unit_test(test_wrong_values),
        cmocka_unit_test(test_refused),   cmocka_unit_test(test_limits),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
