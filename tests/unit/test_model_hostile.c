/* test_model_hostile.c - model files that are broken, forged or something else: refused with a reason, never
 * read outside of the file. Small files come from the fuzzers' seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "checkpoint_case.h"
#include "fixtures.h"
#include "model/checkpoint_impl.h"
#include "model/safetensors.h"
#include "model/vocabulary.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_hostile_safetensors(void **state)
{
    const struct {
        const char *header;
        int code;
        const char *says;
    } CASES[] = {
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, "" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}   ", 0, "" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[1,9]}}", -PN_EFORMAT,
          "outside the file" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[-8,0]}}", -PN_EFORMAT,
          "outside the file" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,0]}}", -PN_EFORMAT,
          "outside the file" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,8]}}", -PN_EFORMAT,
          "size of its shape" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,8]}}", -PN_EFORMAT,
          "impossible sizes" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[4294967296,4294967296],\"data_offsets\":[0,0]}}", -PN_EFORMAT,
          "impossible sizes" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,2],\"data_offsets\":[0,8]}}", -PN_EFORMAT,
          "more than four" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":2,\"data_offsets\":[0,8]}}", -PN_EFORMAT, "no shape" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2.0],\"data_offsets\":[0,8]}}", -PN_EFORMAT,
          "not made of numbers" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", -PN_EFORMAT, "no data offsets" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2]}}", -PN_EFORMAT, "no data offsets" },
        { "{\"x\":{\"dtype\":\"F8_E4M3\",\"shape\":[8],\"data_offsets\":[0,8]}}", -PN_EUNSUPPORTED,
          "type F8_E4M3" },
        { "{\"x\":{\"shape\":[8],\"data_offsets\":[0,8]}}", -PN_EFORMAT, "no dtype" },
        { "{\"x\":7}", -PN_EFORMAT, "no dtype" },
        { "{\"\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", -PN_EFORMAT, "no usable name" },
        { "{\"a\\nb\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", -PN_EFORMAT,
          "no usable name" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[5],\"data_offsets\":[0,5]},"
          "\"b\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
          -PN_EFORMAT, "overlaps" },
        { "{\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[0,4]},"
          "\"a\":{\"dtype\":\"I8\",\"shape\":[4],\"data_offsets\":[4,8]}}",
          -PN_EFORMAT, "duplicate" },
        { "{\"x\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,99999999999999999999]}}", -PN_EFORMAT,
          "too big" },
        { "{\"x\"", -PN_EFORMAT, "byte 1" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_checkpoint *c;
        checkpoint_case_put_safetensors("model.safetensors", CASES[i].header, 8);
        checkpoint_case_put("config.json", PN_STR("{}"));
        int r = checkpoint_case_open("model.safetensors", &c);
        if (r != CASES[i].code || !strstr(checkpoint_case_err.text, CASES[i].says))
            print_message("case %zu: %d %s\n", i, r, checkpoint_case_err.text);
        assert_int_equal(r, CASES[i].code);
        assert_non_null(strstr(checkpoint_case_err.text, CASES[i].says));
        pn_checkpoint_close(c);
    }
}

/* Nesting and numbers of values are counted before anything is built. */
static void test_json_limits(void **state)
{
    struct pn_buf b;
    struct pn_checkpoint *c;
    pn_buf_init(&b, 16 << 20);
    for (int kind = 0; kind < 2; kind++) {
        pn_buf_clear(&b);
        pn_buf_puts(&b, "{\"a\":[");
        for (int i = 0; i < 3 << 20; i++)
            pn_buf_putc(&b, kind ? (i % 2 ? ',' : '0') : '[');
        checkpoint_case_put_safetensors("model.safetensors",
                                        "{\"x\":{\"dtype\":\"I8\",\"shape\":[8],\"data_offsets\":[0,8]}}", 8);
        checkpoint_case_put("config.json", (struct pn_str){ b.ptr, b.len });
        assert_int_equal(checkpoint_case_open("", &c), -PN_ELIMIT);
        assert_non_null(strstr(checkpoint_case_err.text, kind ? "too many values" : "nested too deeply"));
    }
    pn_buf_done(&b);
}

static void test_hostile_vocabulary(void **state)
{
    const struct {
        struct pn_str json;
        int code;
        size_t n;
    } CASES[] = {
        { PN_STR("{}"), 0, 0 },
        { PN_STR("{\"a\":0,\"\\u0120b\":2,\"\":3,\"<|x|>\":9}"), 0, 4 },
        { PN_STR("{\"a\":0,\"b\":0}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"a\":-1}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"a\":1048576}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"a\":\"0\"}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"a b\":0}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"\\u0144\":0}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"\\u00ad\":0}"), -PN_EFORMAT, 0 },
        { PN_STR("{\"\\ud800\":0}"), -PN_EFORMAT, 0 },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_checkpoint *c = NULL;
        assert_int_equal(pn_checkpoint_new(&c, NULL), 0);
        assert_int_equal(pn_vocabulary_read(c, CASES[i].json, (struct pn_str){ 0 }, NULL), CASES[i].code);
        assert_true(CASES[i].code < 0 || pn_checkpoint_n_tokens(c) == CASES[i].n);
        if (i == 1) {
            assert_true(pn_str_is(pn_checkpoint_token(c, 2), " b"));
            assert_int_equal(pn_checkpoint_token(c, 1).len, 0);
        }
        pn_checkpoint_close(c);
    }
}

static void test_strangers(void **state)
{
    const struct {
        struct pn_str bytes;
        int code;
        const char *says;
    } CASES[] = {
        { PN_STR(""), -PN_EFORMAT, "empty" },
        { PN_STR("\x1f\x8b\x08"), -PN_EUNSUPPORTED, "gunzip" },
        { PN_STR("version https://git-lfs.github.com/spec/v1\n"), -PN_EUNSUPPORTED, "git lfs pull" },
        { PN_STR("<!DOCTYPE html>"), -PN_EUNSUPPORTED, "web page" },
        { PN_STR("GGUF\x03"), -PN_EUNSUPPORTED, "GGUF" },
        { PN_STR("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."), -PN_EUNSUPPORTED, "before 1.6" },
        { PN_STR("\x80\x02}q\x00."), -PN_EUNSUPPORTED, "bare pickle" },
        { PN_STR("RIFF....WAVE"), -PN_EFORMAT, "not a model" },
        { PN_STR("PK\x03\x04"), -PN_EFORMAT, "cut off" },
        { PN_STR("PK\x05\x06\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), -PN_EFORMAT, "no data.pkl" },
        { PN_STR("lmgg"), -PN_EFORMAT, "byte 4" },
        { PN_STR("\xff\xff\xff\xff\xff\xff\xff\xff{}"), -PN_ELIMIT, "header" },
        { PN_STR("\xff\0\0\0\0\0\0\0{}"), -PN_EFORMAT, "past the end" },
        { PN_STR("\x02\0\0\0\0\0\0\0{}"), -PN_EFORMAT, "" },
    };
    struct pn_checkpoint *c;
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        checkpoint_case_put("model", CASES[i].bytes);
        assert_int_equal(checkpoint_case_open("model", &c), CASES[i].code);
        if (!strstr(checkpoint_case_err.text, CASES[i].says))
            fail_msg("case %zu: %s", i, checkpoint_case_err.text);
    }
    char tar[512] = "a";
    memcpy(tar + 257, "ustar", 5);
    checkpoint_case_put("model", (struct pn_str){ tar, sizeof(tar) });
    assert_int_equal(checkpoint_case_open("model", &c), -PN_EUNSUPPORTED);
    assert_int_equal(checkpoint_case_open("none", &c), -PN_ENOTFOUND);
    assert_int_equal(checkpoint_case_open("model/x", &c), -PN_ENOTFOUND);
    assert_int_equal(checkpoint_case_open("", &c), -PN_ENOTFOUND);
    checkpoint_case_put("pytorch_model.bin", PN_STR("PK"));
    assert_int_equal(checkpoint_case_open("", &c), -PN_EUNSUPPORTED);
    char path[PN_FIXTURE_PATH];
    checkpoint_case_path("pipe", path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(checkpoint_case_open("pipe", &c), -PN_EINVAL);
}

typedef int (*reader_fn)(struct pn_checkpoint *c, struct pn_str file, struct pn_err *e);

static int read_safetensors(struct pn_checkpoint *c, struct pn_str file, struct pn_err *e)
{
    return pn_safetensors_read(c, file, "test", e);
}

static const struct {
    const char *path;
    reader_fn read;
    int code;
    const char *says;
} SEEDS[] = {
    { "torch/two.pt", pn_torch_read, 0, "" },
    { "torch/zip64.pt", pn_torch_read, 0, "" },
    { "torch/shared.pt", pn_torch_read, 0, "" },
    { "torch/protocol4.pt", pn_torch_read, 0, "" },
    { "torch/transposed.pt", pn_torch_read, 0, "" },
    { "torch/system.pt", pn_torch_read, -PN_EFORMAT,
      "posix.system at byte 80 is not allowed in a checkpoint" },
    { "ggml/f16.bin", pn_ggml_read, 0, "" },
    { "ggml/q.bin", pn_ggml_read, 0, "" },
    { "ggml/empty.bin", pn_ggml_read, -PN_EFORMAT, "no weights" },
    { "safetensors/two.safetensors", read_safetensors, 0, "" },
    { "safetensors/types.safetensors", read_safetensors, 0, "" },
    { "safetensors/overlap.safetensors", read_safetensors, -PN_EFORMAT, "overlaps" },
};

static void read_seed(size_t i, struct pn_buf *b)
{
    char name[200], path[PN_FIXTURE_PATH];
    snprintf(name, sizeof(name), "../fuzz/corpus/%s", SEEDS[i].path);
    assert_true(pn_fixture_data(name, path) && pn_fixture_read(path, b));
}

/* Reads `n` bytes from a block of just that size and all values of what comes out. */
static int read_bytes(size_t seed, const char *bytes, size_t n)
{
    char *exact = malloc(n ? n : 1);
    struct pn_checkpoint *c = NULL;
    assert_non_null(exact);
    memcpy(exact, bytes, n);
    memset(&checkpoint_case_err, 0, sizeof(checkpoint_case_err));
    assert_int_equal(pn_checkpoint_new(&c, &checkpoint_case_err), 0);
    int r = SEEDS[seed].read(c, (struct pn_str){ exact, n }, &checkpoint_case_err);
    assert_int_equal(checkpoint_case_err.code, -r);
    if (r == 0)
        r = pn_checkpoint_index(c, &checkpoint_case_err);
    for (size_t i = 0; r == 0 && i < pn_checkpoint_count(c); i++) {
        const struct pn_tensor *t = pn_checkpoint_at(c, i);
        float out[256];
        for (int64_t at = 0; at < t->n; at += 256) {
            int v = pn_tensor_f32(t, at, PN_MIN(t->n - at, 256), out);
            assert_true(v == 0 || v == -PN_EUNSUPPORTED);
        }
    }
    pn_checkpoint_close(c);
    free(exact);
    return r;
}

static void test_seeds(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SEEDS); i++) {
        struct pn_buf b;
        read_seed(i, &b);
        int r = read_bytes(i, b.ptr, b.len);
        if (r != SEEDS[i].code)
            print_message("%s: %d %s\n", SEEDS[i].path, r, checkpoint_case_err.text);
        assert_int_equal(r, SEEDS[i].code);
        assert_non_null(strstr(checkpoint_case_err.text, SEEDS[i].says));
        pn_buf_done(&b);
    }
}

/* Every length, and every byte with its bits flipped, all ones and zero. What a truncated file gives is an
 * error; a changed one gives an error or tensors that lie inside the file. */
static void test_mutations(void **state)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(SEEDS); i++) {
        struct pn_buf b;
        read_seed(i, &b);
        size_t accepted = 0;
        for (size_t n = 0; n < b.len; n++)
            accepted += read_bytes(i, b.ptr, n) == 0;
        /* ggml has no total: it may end behind any tensor. */
        assert_true(accepted <= (SEEDS[i].read == pn_ggml_read ? 4u : 0u));
        for (size_t at = 0; at < b.len; at++) {
            char old = b.ptr[at];
            const char VALUES[] = { (char)(old ^ 1), (char)(old ^ 0x80), (char)0xff, 0, 0x7f };
            for (size_t v = 0; v < PN_ARRAY_LEN(VALUES); v++) {
                b.ptr[at] = VALUES[v];
                (void)read_bytes(i, b.ptr, b.len);
            }
            b.ptr[at] = old;
        }
        pn_buf_done(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hostile_safetensors, checkpoint_case_set_up,
                                        checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_json_limits, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test(test_hostile_vocabulary),
        cmocka_unit_test_setup_teardown(test_strangers, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
