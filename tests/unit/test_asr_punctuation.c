/* test_asr_punctuation.c - the CT-Transformer: logits, texts and sessions of the goldens; a folder with a
 * dictionary; refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/punctuation/dictionary.h"
#include "asr/punctuation/network.h"
#include "fixtures.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct pn_punctuation *open_model(const char *path, enum pn_precision precision)
{
    const struct pn_punctuation_options opt = { .path = path,
                                                .precision = precision,
                                                .no_packed_file = true };
    struct pn_punctuation *p = NULL;
    struct pn_err err = { 0 };
    if (pn_punctuation_open(&opt, &p, &err) < 0)
        fail_msg("%s: %s", path, err.text);
    return p;
}

static json_t *load_json(const char *name)
{
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data(name, path));
    json_t *j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    return j;
}

static const char *str_of(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* --- logits --- */

enum { MAX_WORDS = 64 };

static size_t ids_of(json_t *array, int32_t *ids, size_t max)
{
    size_t n = PN_MIN(json_array_size(array), max);
    for (size_t i = 0; i < n; i++)
        ids[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n;
}

static void open_network(const char *path, enum pn_precision precision, struct pn_mark_network *n)
{
    const struct pn_punctuation_options opt = { .path = path,
                                                .precision = precision,
                                                .no_packed_file = true };
    struct pn_funasr *f = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_funasr_open(path, &f, &err), 0);
    assert_int_equal(pn_mark_network_open(f, &opt, n, &err), 0);
    pn_funasr_close(f);
}

static float check_logits(const struct pn_mark_network *n, const int32_t *ids, size_t n_ids, size_t n_cached,
                          const char *golden)
{
    char path[PN_FIXTURE_PATH];
    struct pn_npy want;
    struct pn_mark_run run;
    assert_true(pn_fixture_data(golden, path) && pn_npy_load(path, &want));
    assert_int_equal(want.n, n_ids * (size_t)n->n_classes);
    assert_int_equal(pn_mark_run_init(&run, n), 0);
    assert_int_equal(pn_mark_run_logits(&run, ids, n_ids, n_cached), 0);
    float most = 0;
    for (size_t i = 0; i < want.n; i++)
        most = fmaxf(most, fabsf(run.logits[i] - want.f32[i]));
    print_message("%s: %.2g\n", golden, (double)most);
    pn_mark_run_done(&run);
    pn_npy_done(&want);
    return most;
}

static void test_logits_offline(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("paraformer/models/rand-punc", path));
    struct pn_mark_network n, narrow;
    open_network(path, PN_F32, &n);
    open_network(path, PN_INT8, &narrow);
    json_t *cases = load_json("paraformer/golden/rand-punc/result.json");
    for (size_t i = 0; i < 3; i++) {
        char name[64];
        int32_t ids[MAX_WORDS];
        size_t n_ids = ids_of(json_object_get(json_array_get(cases, i), "ids"), ids, PN_MARK_STEP);
        snprintf(name, sizeof(name), "paraformer/golden/rand-punc/logits_%zu.npy", i);
        assert_true(check_logits(&n, ids, n_ids, 0, name) < 1e-4F);
        assert_true(check_logits(&narrow, ids, n_ids, 0, name) < 0.5F);
    }
    json_decref(cases);
    pn_mark_network_close(&n);
    pn_mark_network_close(&narrow);
}

static void test_logits_realtime(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("paraformer/models/rand-punc-rt", path));
    struct pn_mark_network n;
    open_network(path, PN_F32, &n);
    assert_true(n.causal);
    json_t *golden = load_json("paraformer/golden/rand-punc-rt/result.json");
    json_t *indices = json_object_get(golden, "vad_index");
    int32_t ids[MAX_WORDS];
    size_t n_ids = ids_of(json_object_get(golden, "logits_ids"), ids, MAX_WORDS);
    for (size_t i = 0; i < json_array_size(indices); i++) {
        char name[64];
        size_t v = (size_t)json_integer_value(json_array_get(indices, i));
        snprintf(name, sizeof(name), "paraformer/golden/rand-punc-rt/logits_v%zu.npy", v);
        assert_true(check_logits(&n, ids, n_ids, v, name) < 1e-4F);
    }
    json_decref(golden);
    pn_mark_network_close(&n);
}

/* --- texts --- */

static void check_words(const struct pn_punctuation *p, json_t *c)
{
    struct pn_buf out, marks;
    pn_buf_init(&out, 1 << 20);
    pn_buf_init(&marks, 1 << 20);
    assert_int_equal(pn_punctuate(p, pn_str(str_of(c, "text")), &out, &marks), 0);
    assert_string_equal(out.ptr, str_of(c, "out"));
    json_t *want = json_object_get(c, "punc_array");
    assert_int_equal(marks.len, json_array_size(want));
    for (size_t i = 0; i < marks.len; i++)
        assert_int_equal(marks.ptr[i], json_integer_value(json_array_get(want, i)));
    pn_buf_done(&out);
    pn_buf_done(&marks);
}

static void test_texts(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("paraformer/models/rand-punc", path));
    struct pn_punctuation *p = open_model(path, PN_F32);
    json_t *cases = load_json("paraformer/golden/rand-punc/result.json");
    assert_int_equal(json_array_size(cases), 7);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check_words(p, json_array_get(cases, i));
    json_decref(cases);
    pn_punctuation_close(p);
}

/* The cache is not shown; what comes out of the next call tells what was in it. */
static void check_session(struct pn_punctuator *u, json_t *calls)
{
    for (size_t i = 0; i < json_array_size(calls); i++) {
        json_t *c = json_array_get(calls, i);
        struct pn_buf out;
        pn_buf_init(&out, 1 << 20);
        assert_int_equal(pn_punctuator_add(u, pn_str(str_of(c, "in")), &out), 0);
        assert_string_equal(out.ptr, str_of(c, "out"));
        pn_buf_done(&out);
    }
}

static void test_sessions(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("paraformer/models/rand-punc-rt", path));
    struct pn_punctuation *p = open_model(path, PN_F32);
    struct pn_punctuator *u = NULL;
    assert_int_equal(pn_punctuator_new(p, &u), 0);
    json_t *golden = load_json("paraformer/golden/rand-punc-rt/result.json");
    json_t *sessions = json_object_get(golden, "sessions");
    assert_int_equal(json_array_size(sessions), 3);
    for (size_t i = 0; i < json_array_size(sessions); i++) {
        check_session(u, json_array_get(sessions, i));
        pn_punctuator_reset(u);
    }
    json_decref(golden);
    pn_punctuator_free(u);
    pn_punctuation_close(p);
}

/* The realtime model on whole texts, the other one on sessions, and at 8 bits: no golden, but an answer. */
static void test_other_ways(void **state)
{
    static const char *const MODELS[] = { "paraformer/models/rand-punc", "paraformer/models/rand-punc-rt" };
    for (size_t i = 0; i < PN_ARRAY_LEN(MODELS); i++) {
        char path[PN_FIXTURE_PATH];
        assert_true(pn_fixture_data(MODELS[i], path));
        struct pn_punctuation *p = open_model(path, PN_INT8);
        struct pn_punctuator *u = NULL;
        struct pn_buf out;
        pn_buf_init(&out, 1 << 20);
        assert_int_equal(pn_punctuator_new(p, &u), 0);
        assert_int_equal(pn_punctuate(p, PN_STR("今天天气怎么样 hello"), &out, NULL), 0);
        assert_true(out.len > PN_STR("今天天气怎么样 hello").len);
        assert_int_equal(pn_punctuator_add(u, PN_STR("今天天气怎么样"), &out), 0);
        assert_int_equal(pn_punctuator_add(u, PN_STR(" "), &out), 0);
        pn_buf_done(&out);
        pn_punctuator_free(u);
        pn_punctuation_close(p);
    }
}

/* --- packed files, dictionaries --- */

static void link_into(const char *folder, const char *from, const char *name)
{
    char source[PN_FIXTURE_PATH + 32], target[PN_FIXTURE_PATH + 32];
    snprintf(source, sizeof(source), "%s/%s", from, name);
    snprintf(target, sizeof(target), "%s/%s", folder, name);
    assert_int_equal(symlink(source, target), 0);
}

/* A folder of our own with the files of rand-punc in it. */
static void make_folder(const char *model, char folder[PN_FIXTURE_PATH])
{
    static const char *const FILES[] = { "config.yaml", "model.pt", "tokens.json" };
    assert_true(pn_fixture_temp_dir(folder));
    for (size_t i = 0; i < PN_ARRAY_LEN(FILES); i++)
        link_into(folder, model, FILES[i]);
}

static void punctuate(const struct pn_punctuation *p, const char *text, struct pn_buf *out)
{
    pn_buf_clear(out);
    assert_int_equal(pn_punctuate(p, pn_str(text), out, NULL), 0);
}

static void test_packed_file(void **state)
{
    char model[PN_FIXTURE_PATH], folder[PN_FIXTURE_PATH], cache[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("paraformer/models/rand-punc", model));
    make_folder(model, folder);
    assert_true(pn_fixture_temp_dir(cache));
    for (int precision = PN_INT8; precision <= PN_F32; precision++) {
        struct pn_buf first, again;
        pn_buf_init(&first, 1 << 20);
        pn_buf_init(&again, 1 << 20);
        const struct pn_punctuation_options opt = { .path = folder,
                                                    .cache_dir = cache,
                                                    .precision = (enum pn_precision)precision };
        for (int i = 0; i < 2; i++) {
            struct pn_punctuation *p = NULL;
            assert_int_equal(pn_punctuation_open(&opt, &p, NULL), 0);
            punctuate(p, "今天天气怎么样打开空调你好谢谢", i ? &again : &first);
            pn_punctuation_close(p);
        }
        assert_string_equal(first.ptr, again.ptr);
        pn_buf_done(&first);
        pn_buf_done(&again);
    }
    pn_fixture_remove_dir(folder);
    pn_fixture_remove_dir(cache);
}

static void test_folder_with_dictionary(void **state)
{
    char model[PN_FIXTURE_PATH], folder[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH + 32];
    assert_true(pn_fixture_data("paraformer/models/rand-punc", model));
    make_folder(model, folder);
    snprintf(path, sizeof(path), "%s/jieba_usr_dict", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("今天 100 t\n打 5\nhello 3\n", f) >= 0 && fclose(f) == 0);
    struct pn_punctuation *p = open_model(folder, PN_F32);
    struct pn_buf out, marks;
    pn_buf_init(&out, 1 << 20);
    pn_buf_init(&marks, 1 << 20);
    /* The vocabulary has single characters only, so all stays as it was, through the other path. */
    assert_int_equal(pn_punctuate(p, PN_STR("今天天气怎么样"), &out, &marks), 0);
    assert_string_equal(out.ptr, "今。天，天气怎么？样。");
    assert_int_equal(marks.len, 7);
    pn_buf_done(&out);
    pn_buf_done(&marks);
    pn_punctuation_close(p);
    pn_fixture_remove_dir(folder);
}

static void test_refusals(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_punctuation *p = NULL;
    struct pn_err err = { 0 };
    struct pn_punctuation_options opt = { .path = "/nonexistent",
                                          .precision = PN_F32,
                                          .no_packed_file = true };
    assert_int_equal(pn_punctuation_open(&opt, &p, &err), -PN_ENOTFOUND);
    assert_true(err.text[0] != 0 && !p);
    assert_true(pn_fixture_data("paraformer/models/rand-seaco", path));
    opt.path = path;
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_punctuation_open(&opt, &p, &err), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "Paraformer"));
    assert_null(pn_punctuation_close(NULL));
    assert_null(pn_punctuator_free(NULL));
}

/* --- the dictionary's own reader --- */

static int64_t id_of(const void *ctx, struct pn_str word)
{
    static const char *const WORDS[] = { "<unk>", "天", "今天", "天气" };
    for (size_t i = 0; i < PN_ARRAY_LEN(WORDS); i++)
        if (pn_str_is(word, WORDS[i]))
            return (int64_t)i;
    return -1;
}

static void test_dictionary(void **state)
{
    const struct pn_mark_vocabulary v = { NULL, id_of, 0, NULL, 0 };
    const struct pn_str texts[] = { PN_STR("今天 60 t\r\n\n天 10\nnowhere 30 x\n<unk> 50\nbad -1 n\n"),
                                    PN_STR("天气") };
    struct pn_mark_dictionary d = { 0 };
    assert_int_equal(pn_mark_dictionary_parse(texts, 2, &v, 4, &d), 0);
    assert_true(d.log_p[0] == 1);
    assert_true(fabsf(d.log_p[1] - logf(10.0F / 150)) < 1e-6F);
    assert_true(fabsf(d.log_p[2] - logf(60.0F / 150)) < 1e-6F);
    assert_true(d.log_p[3] == d.log_p[2]); /* no number: as frequent as any */
    assert_true(fabsf(d.least + logf(150)) < 1e-5F);
    pn_mark_dictionary_done(&d);
    const struct pn_str huge = { "x", (size_t)PN_MARK_DICTIONARY_MAX + 1 };
    assert_int_equal(pn_mark_dictionary_parse(&huge, 1, &v, 4, &d), -PN_ELIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_logits_offline),
        cmocka_unit_test(test_logits_realtime),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_other_ways),
        cmocka_unit_test(test_packed_file),
        cmocka_unit_test(test_folder_with_dictionary),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_dictionary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
