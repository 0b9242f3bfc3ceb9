/* test_model_funasr.c - whole ModelScope folders: the shared fixtures, torch's edge cases, and small folders
 * of our own with what can be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "checkpoint_case.h"
#include "fixtures.h"
#include "model/funasr.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pn_err err;

static json_t *read_json(const char *folder, const char *name)
{
    char path[PN_FIXTURE_PATH + 64];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    json_t *j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    return j;
}

/* ---- the shared folders ---- */

static size_t check_shapes(const struct pn_funasr *m, const char *folder)
{
    json_t *all = read_json(folder, "tensors.json"), *shape;
    const char *name;
    size_t n = json_object_size(all);
    json_object_foreach(all, name, shape)
    {
        int64_t dim[PN_MAX_DIMS] = { 0 };
        const struct pn_tensor *t = NULL;
        int n_dims = (int)json_array_size(shape);
        for (int i = 0; i < n_dims; i++)
            dim[i] = json_integer_value(json_array_get(shape, (size_t)i));
        if (pn_funasr_tensor_of(m, name, n_dims, dim, &t, &err) < 0)
            fail_msg("%s", err.text);
        float first = NAN;
        assert_int_equal(pn_tensor_f32(t, 0, 1, &first), 0);
        assert_true(isfinite(first));
    }
    json_decref(all);
    return n;
}

static const struct folder_case {
    const char *name, *class;
    size_t n_tensors, n_tokens, n_cmvn;
} FOLDERS[] = {
    { "rand-offline", "Paraformer", 0, 82, 560 },
    { "rand-seaco", "SeacoParaformer", 0, 82, 560 },
    { "rand-streaming", "ParaformerStreaming", 0, 82, 560 },
    { "micro-offline", "Paraformer", 0, 82, 560 },
    { "micro-streaming", "ParaformerStreaming", 0, 82, 560 },
    { "micro-vad", "FsmnVADStreaming", 20, 0, 400 },
    { "rand-punc", "CTTransformer", 0, 89, 0 },
    { "rand-punc-rt", "CTTransformerStreaming", 0, 89, 0 },
};

static void check_folder(const struct folder_case *c)
{
    char relative[128], path[PN_FIXTURE_PATH], class[64] = "";
    struct pn_funasr *m = NULL;
    snprintf(relative, sizeof(relative), "paraformer/models/%s", c->name);
    PN_SHARED_OR_SKIP(relative, path);
    assert_true(pn_funasr_is_folder(path));
    assert_int_equal(pn_funasr_class_of(path, class, &err), 0);
    assert_string_equal(class, c->class);
    if (pn_funasr_open(path, &m, &err) < 0)
        fail_msg("%s: %s", c->name, err.text);
    assert_string_equal(pn_funasr_class(m), c->class);
    assert_true(check_shapes(m, path) >= PN_MAX(c->n_tensors, (size_t)20));
    assert_int_equal(pn_funasr_n_tokens(m), c->n_tokens);
    size_t n = 1;
    assert_true((pn_funasr_cmvn_shift(m, &n) != NULL) == (c->n_cmvn > 0));
    assert_int_equal(n, c->n_cmvn);
    assert_true((pn_funasr_cmvn_scale(m, &n) != NULL) == (c->n_cmvn > 0));
    assert_int_equal(n, c->n_cmvn);
    pn_funasr_close(m);
}

static void test_folders(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(FOLDERS); i++)
        check_folder(&FOLDERS[i]);
}

static void test_answers(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_funasr *m = NULL;
    PN_SHARED_OR_SKIP("paraformer/models/rand-seaco", path);
    assert_int_equal(pn_funasr_open(path, &m, &err), 0);
    int64_t i = 0;
    double f = 0;
    bool on = true;
    size_t n;
    assert_int_equal(pn_funasr_int(m, "encoder_conf.output_size", 1, 4096, 0, &i, &err), 0);
    assert_int_equal(i, 32);
    assert_int_equal(pn_funasr_real(m, "predictor_conf.tail_threshold", 0, 1, 0, &f, &err), 0);
    assert_true(f == 0.45);
    assert_int_equal(pn_funasr_bool(m, "predictor_conf.use_cif1_cnn", true, &on, &err), 0);
    assert_false(on);
    assert_string_equal(pn_funasr_str(m, "predictor_conf.upsample_type", ""), "cnn_blstm");
    assert_int_equal(pn_funasr_token_id(m, PN_STR("<blank>")), 0);
    assert_int_equal(pn_funasr_token_id(m, PN_STR("<unk>")), 81);
    assert_int_equal(pn_funasr_token_id(m, PN_STR("没")), -1);
    assert_true(pn_str_is(pn_funasr_token(m, 3), "空") && pn_funasr_token(m, 82).len == 0);
    assert_true(pn_str_is(pn_funasr_pieces(m, PN_STR("music")), "mu@@ sic"));
    assert_int_equal(pn_funasr_pieces(m, PN_STR("musik")).len, 0);
    assert_true(fabsf(pn_funasr_cmvn_shift(m, &n)[0] - -8.539298f) < 1e-6f);
    assert_true(fabsf(pn_funasr_cmvn_scale(m, &n)[559] - 0.270082f) < 1e-6f);
    const struct pn_tensor *t = NULL;
    const int64_t wrong[] = { 32, 560 };
    struct pn_err why = { 0 };
    assert_int_equal(
        pn_funasr_tensor_of(m, "encoder.encoders0.0.self_attn.linear_q_k_v.weight", 2, wrong, &t, &why),
        -PN_EFORMAT);
    assert_non_null(strstr(why.text, "96 x 560 instead of 32 x 560"));
    memset(&why, 0, sizeof(why));
    assert_int_equal(pn_funasr_tensor_of(m, "encoder.none", 2, wrong, &t, &why), -PN_EFORMAT);
    assert_non_null(strstr(why.text, "no tensor encoder.none"));
    assert_null(t);
    pn_funasr_close(m);
    PN_SHARED_OR_SKIP("paraformer/models/rand-punc-rt", path);
    assert_int_equal(pn_funasr_open(path, &m, &err), 0);
    assert_int_equal(pn_funasr_list(m, "model_conf.punc_list"), 6);
    assert_string_equal(pn_funasr_item(m, "model_conf.punc_list", 2), "，");
    pn_funasr_close(m);
}

/* ---- torch's edge cases ---- */

static void check_tensor(const struct pn_checkpoint *c, const char *name, json_t *want)
{
    const struct pn_tensor *t = pn_checkpoint_find(c, name);
    json_t *shape = json_object_get(want, "shape"), *values = json_object_get(want, "values");
    if (!t)
        fail_msg("no tensor %s", name);
    assert_int_equal(t->n_dims, json_array_size(shape));
    for (int i = 0; i < t->n_dims; i++)
        assert_int_equal(t->dim[i], json_integer_value(json_array_get(shape, (size_t)i)));
    assert_int_equal(t->n, json_array_size(values));
    bool whole = strcmp(json_string_value(json_object_get(want, "dtype")), "torch.int64") == 0;
    for (int64_t i = 0; i < t->n; i++) {
        double value = json_number_value(json_array_get(values, (size_t)i));
        float f = 0;
        int64_t n = 0;
        if (whole) {
            assert_int_equal(t->dtype, PN_DT_I64);
            memcpy(&n, (const char *)t->data + i * (int64_t)sizeof(n), sizeof(n));
            assert_true((double)n == value);
        } else {
            assert_int_equal(pn_tensor_f32(t, i, 1, &f), 0);
            assert_true(f == (float)value);
        }
    }
}

static void test_edge_cases(void **state)
{
    char folder[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("paraformer/models/edge-pt", folder);
    json_t *all = read_json(folder, "expected.json"), *want, *values;
    const char *file, *name;
    json_object_foreach(all, file, want)
    {
        char path[PN_FIXTURE_PATH + 64];
        struct pn_checkpoint *c = NULL;
        struct pn_err why = { 0 };
        json_t *tensors = json_object_get(want, "tensors");
        snprintf(path, sizeof(path), "%s/%s", folder, file);
        int r = pn_checkpoint_open(path, &c, &why);
        if ((r == 0) != json_is_object(tensors))
            fail_msg("%s: %d %s", file, r, why.text);
        assert_true(r == 0 || (why.text[0] && !c));
        json_object_foreach(tensors, name, values) check_tensor(c, name, values);
        assert_true(r < 0 || pn_checkpoint_count(c) == json_object_size(tensors));
        pn_checkpoint_close(c);
    }
    json_decref(all);
}

/* ---- folders of our own ---- */

static void put_seed(const char *seed, size_t from, const char *name)
{
    char relative[200], path[PN_FIXTURE_PATH];
    struct pn_buf b;
    snprintf(relative, sizeof(relative), "../fuzz/corpus/%s", seed);
    assert_true(pn_fixture_data(relative, path) && pn_fixture_read(path, &b));
    checkpoint_case_put(name, (struct pn_str){ b.ptr + from, b.len - from });
    pn_buf_done(&b);
}

static void put_folder(void)
{
    put_seed("config_tree/full.yaml", 0, "config.yaml");
    put_seed("torch/two.pt", 0, "model.pt");
    put_seed("cmvn/four", 0, "am.mvn");
    put_seed("tokens/json", 1, "tokens.json");
    put_seed("tokens/seg_dict", 1, "seg_dict");
}

static int open_folder(struct pn_funasr **ret)
{
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path("", path);
    memset(&err, 0, sizeof(err));
    *ret = NULL;
    int r = pn_funasr_open(path, ret, &err);
    assert_int_equal(err.code, -r);
    assert_true(r == 0 ? *ret != NULL : !*ret);
    return r;
}

static void remove_file(const char *name)
{
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path(name, path);
    assert_int_equal(remove(path), 0);
}

static bool is_folder(void)
{
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path("", path);
    return pn_funasr_is_folder(path);
}

static void test_roles(void **state)
{
    struct pn_funasr *m;
    put_folder();
    checkpoint_case_put("words.txt", PN_STR("a\nb\n"));
    checkpoint_case_put("tokens.txt", PN_STR("c\n"));
    assert_int_equal(open_folder(&m), 0);
    assert_int_equal(pn_funasr_n_tokens(m), 6); /* tokens.json goes before tokens.txt */
    struct pn_source_id before = pn_funasr_id(m);
    pn_funasr_close(m);
    checkpoint_case_put("configuration.json",
                        PN_STR("{\"file_path_metas\": {\"init_param\": \"model.pt\", \"tokenizer_conf\": "
                               "{\"token_list\": \"words.txt\", \"seg_dict_file\": \"gone\"}}}"));
    assert_int_equal(open_folder(&m), 0);
    assert_int_equal(pn_funasr_n_tokens(m), 2);
    assert_true(pn_str_is(pn_funasr_pieces(m, PN_STR("hello")), "hel@@ lo"));
    struct pn_source_id after = pn_funasr_id(m);
    assert_memory_not_equal(before.hash, after.hash, sizeof(before.hash));
    pn_funasr_close(m);
    remove_file("configuration.json");
    remove_file("tokens.json");
    assert_int_equal(open_folder(&m), 0);
    assert_int_equal(pn_funasr_n_tokens(m), 1);
    pn_funasr_close(m);
}

static void test_roles_stay_inside(void **state)
{
    static const char *const NAMES[] = {
        "\"../config.yaml\"", "\"/etc/passwd\"", "\"a/b\"", "\"..\"", "\".\"", "\"\"",
        "\"a\\\\b\"",         "\"a\\nb\"",       "7",       "[]"
    };
    put_folder();
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++) {
        char text[160];
        struct pn_funasr *m;
        snprintf(text, sizeof(text), "{\"file_path_metas\": {\"frontend_conf\": {\"cmvn_file\": %s}}}",
                 NAMES[i]);
        checkpoint_case_put("configuration.json", pn_str(text));
        assert_int_equal(open_folder(&m), -PN_EFORMAT);
        assert_non_null(strstr(err.text, "cmvn_file"));
    }
    struct pn_funasr *m;
    checkpoint_case_put("configuration.json", PN_STR("{\"file_path_metas\": [1]}"));
    assert_int_equal(open_folder(&m), 0);
    pn_funasr_close(m);
    checkpoint_case_put("configuration.json", PN_STR("[1]"));
    assert_int_equal(open_folder(&m), -PN_EFORMAT);
    checkpoint_case_put("configuration.json", PN_STR("{"));
    assert_int_equal(open_folder(&m), -PN_EFORMAT);
}

static void test_what_is_missing(void **state)
{
    struct pn_funasr *m;
    char path[PN_FIXTURE_PATH], class[64] = "as it was";
    assert_false(is_folder());
    assert_int_equal(open_folder(&m), -PN_ENOTFOUND);
    checkpoint_case_path("none", path);
    assert_int_equal(pn_funasr_open(path, &m, &err), -PN_ENOTFOUND);
    assert_int_equal(pn_funasr_class_of(path, class, NULL), -PN_ENOTFOUND);
    assert_string_equal(class, "as it was");
    put_folder();
    assert_true(is_folder());
    remove_file("am.mvn");
    remove_file("tokens.json");
    remove_file("seg_dict");
    assert_int_equal(open_folder(&m), 0);
    size_t n = 7;
    assert_null(pn_funasr_cmvn_shift(m, &n));
    assert_int_equal(n, 0);
    assert_int_equal(pn_funasr_n_tokens(m), 0);
    assert_int_equal(pn_funasr_token_id(m, PN_STR("a")), -1);
    assert_int_equal(pn_funasr_pieces(m, PN_STR("a")).len, 0);
    pn_funasr_close(m);
    remove_file("model.pt");
    assert_true(is_folder());
    assert_int_equal(open_folder(&m), -PN_ENOTFOUND);
    assert_non_null(strstr(err.text, "model.pt"));
    checkpoint_case_put("config.json", PN_STR("{}"));
    assert_false(is_folder());
}

static void test_what_is_old(void **state)
{
    struct pn_funasr *m;
    put_folder();
    remove_file("model.pt");
    checkpoint_case_put("model.pb", PN_STR("\x80\x02"));
    assert_int_equal(open_folder(&m), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "before v2.0"));
    checkpoint_case_put("config.yaml", PN_STR("encoder: sanm\n"));
    assert_true(is_folder());
    assert_int_equal(open_folder(&m), -PN_EUNSUPPORTED);
    remove_file("model.pb");
    assert_false(is_folder());
    assert_int_equal(open_folder(&m), -PN_EFORMAT);
    checkpoint_case_put(
        "config.yaml",
        PN_STR("model: a_class_with_a_name_that_is_longer_than_any_class_would_ever_have_in_earnest\n"));
    assert_int_equal(open_folder(&m), -PN_EFORMAT);
}

/* A broken part is named, and nothing is left behind. */
static void test_broken_parts(void **state)
{
    static const char *const NAMES[] = { "config.yaml", "am.mvn", "tokens.json", "model.pt" };
    for (size_t i = 0; i < PN_ARRAY_LEN(NAMES); i++) {
        struct pn_funasr *m;
        put_folder();
        checkpoint_case_put(NAMES[i], PN_STR("{\xff"));
        assert_int_equal(open_folder(&m), -PN_EFORMAT);
        assert_non_null(strstr(err.text, NAMES[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folders),
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_edge_cases),
        cmocka_unit_test_setup_teardown(test_roles, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_roles_stay_inside, checkpoint_case_set_up,
                                        checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_missing, checkpoint_case_set_up,
                                        checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_old, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_broken_parts, checkpoint_case_set_up, checkpoint_case_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
