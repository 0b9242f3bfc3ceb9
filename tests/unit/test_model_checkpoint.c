/* test_model_checkpoint.c - the three formats hold the same numbers; hostile and broken files are refused
 * with a reason. The micro model comes from tests/data and the shared fixtures, small files from the fuzzers'
 * seeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "checkpoint_case.h"
#include "fixtures.h"
#include "model/checkpoint.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Unpacks a shared file into the folder; false when there is none. */
static bool unpack(const char *shared, const char *name)
{
    char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH];
    checkpoint_case_path(name, to);
    return pn_fixture_shared(shared, from) && pn_fixture_gunzip(from, to);
}

static bool copy(const char *shared, const char *name)
{
    char from[PN_FIXTURE_PATH];
    struct pn_buf b;
    if (!pn_fixture_shared(shared, from) || !pn_fixture_read(from, &b))
        return false;
    checkpoint_case_put(name, (struct pn_str){ b.ptr, b.len });
    pn_buf_done(&b);
    return true;
}

static float *values(const struct pn_tensor *t)
{
    float *out = malloc((size_t)t->n * sizeof(*out));
    assert_non_null(out);
    assert_int_equal(pn_tensor_f32(t, 0, t->n, out), 0);
    return out;
}

/* Root mean square of the difference; -1 when the sizes differ. */
static double difference(const struct pn_tensor *a, const struct pn_tensor *b)
{
    if (a->n != b->n)
        return -1;
    float *x = values(a), *y = values(b);
    double sum = 0;
    for (int64_t i = 0; i < a->n; i++)
        sum += (x[i] - y[i]) * (double)(x[i] - y[i]);
    free(x);
    free(y);
    return sqrt(sum / (double)a->n);
}

/* The Hugging Face name of an OpenAI one, after the table in the format's description. */
static void hf_name(struct pn_str openai, char *out, size_t cap)
{
    static const char *const PARTS[][2] = {
        { ".blocks.", ".layers." },
        { ".attn.query", ".self_attn.q_proj" },
        { ".attn.key", ".self_attn.k_proj" },
        { ".attn.value", ".self_attn.v_proj" },
        { ".attn.out", ".self_attn.out_proj" },
        { ".attn_ln", ".self_attn_layer_norm" },
        { ".cross_attn.query", ".encoder_attn.q_proj" },
        { ".cross_attn.key", ".encoder_attn.k_proj" },
        { ".cross_attn.value", ".encoder_attn.v_proj" },
        { ".cross_attn.out", ".encoder_attn.out_proj" },
        { ".cross_attn_ln", ".encoder_attn_layer_norm" },
        { ".mlp.0", ".fc1" },
        { ".mlp.2", ".fc2" },
        { ".mlp_ln", ".final_layer_norm" },
        { ".ln_post", ".layer_norm" },
        { ".ln.", ".layer_norm." },
        { ".token_embedding", ".embed_tokens" },
        { ".positional_embedding", ".embed_positions.weight" },
    };
    char text[512];
    snprintf(text, sizeof(text), "model.%.*s", (int)openai.len, openai.ptr);
    for (size_t i = 0; i < PN_ARRAY_LEN(PARTS); i++) {
        char *at = strstr(text, PARTS[i][0]);
        if (!at)
            continue;
        char rest[512];
        snprintf(rest, sizeof(rest), "%s", at + strlen(PARTS[i][0]));
        snprintf(at, sizeof(text) - (size_t)(at - text), "%s%.200s", PARTS[i][1], rest);
    }
    assert_int_equal(pn_str_copy(out, cap, pn_str(text)), 0);
}

static struct pn_checkpoint *open_micro(void)
{
    char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH];
    struct pn_checkpoint *c;
    checkpoint_case_path("micro.pt", to);
    assert_true(pn_fixture_data("micro.pt.gz", from) || pn_fixture_shared("whisper/micro/micro.pt.gz", from));
    assert_true(pn_fixture_gunzip(from, to));
    assert_int_equal(checkpoint_case_open("micro.pt", &c), 0);
    return c;
}

static void test_torch(void **state)
{
    struct pn_checkpoint *c = open_micro();
    assert_int_equal(pn_checkpoint_kind(c), PN_CHECKPOINT_TORCH);
    assert_int_equal(pn_checkpoint_count(c), 5 + 2 + 15 * 2 + 4 + 24 * 2);
    const struct {
        const char *name;
        int64_t value;
    } DIMS[] = { { "n_mels", 80 },      { "n_audio_ctx", 1500 }, { "n_audio_state", 128 },
                 { "n_audio_head", 2 }, { "n_audio_layer", 2 },  { "n_vocab", 51865 },
                 { "n_text_ctx", 448 }, { "n_text_state", 128 }, { "n_text_head", 2 },
                 { "n_text_layer", 2 } };
    int64_t v = -1;
    for (size_t i = 0; i < PN_ARRAY_LEN(DIMS); i++) {
        assert_int_equal(pn_checkpoint_int(c, DIMS[i].name, &v), 0);
        assert_int_equal(v, DIMS[i].value);
    }
    assert_int_equal(pn_checkpoint_int(c, "n_mel", &v), -PN_ENOTFOUND);
    const struct pn_tensor *t = pn_checkpoint_find(c, "encoder.conv1.weight");
    assert_non_null(t);
    assert_int_equal(t->dtype, PN_DT_F16);
    assert_int_equal(t->n_dims, 3);
    assert_true(t->dim[0] == 128 && t->dim[1] == 80 && t->dim[2] == 3);
    assert_null(pn_checkpoint_find(c, "encoder.conv1"));
    assert_null(pn_checkpoint_find(c, ""));
    for (size_t i = 0; i < pn_checkpoint_count(c); i++) {
        const struct pn_tensor *x = pn_checkpoint_at(c, i);
        char name[256];
        assert_int_equal(pn_str_copy(name, sizeof(name), x->name), 0);
        assert_ptr_equal(pn_checkpoint_find(c, name), x);
    }
    assert_int_equal(pn_checkpoint_n_tokens(c), 0);
    assert_int_equal(pn_checkpoint_file(c, "config.json").len, 0);
    /* The encoder's positions are sinusoids: half sines, half cosines. */
    t = pn_checkpoint_find(c, "encoder.positional_embedding");
    float row[128];
    assert_non_null(t);
    assert_int_equal(pn_tensor_f32(t, 128, 128, row), 0);
    assert_true(fabs(row[0] - sin(1)) < 1e-3 && fabs(row[64] - cos(1)) < 1e-3);
    pn_checkpoint_close(c);
}

static void test_ggml_equals_torch(void **state)
{
    const struct {
        const char *file;
        int64_t ftype;
        double rms; /* of a tensor with quantised weights, against its own */
    } FILES[] = { { "f16", 1, 0 }, { "q8_0", 2007, 0.01 }, { "q5_0", 2008, 0.06 } };
    struct pn_checkpoint *c = open_micro();
    for (size_t f = 0; f < PN_ARRAY_LEN(FILES); f++) {
        char shared[100];
        snprintf(shared, sizeof(shared), "whisper/micro/ggml-micro-%s.bin.gz", FILES[f].file);
        if (!unpack(shared, "ggml.bin")) {
            pn_checkpoint_close(c);
            print_message("skipped: no %s in PINNA_SHARED\n", shared);
            skip();
        }
        struct pn_checkpoint *g;
        assert_int_equal(checkpoint_case_open("ggml.bin", &g), 0);
        assert_int_equal(pn_checkpoint_kind(g), PN_CHECKPOINT_GGML);
        assert_int_equal(pn_checkpoint_count(g), pn_checkpoint_count(c));
        int64_t v = -1;
        assert_int_equal(pn_checkpoint_int(g, "ftype", &v), 0);
        assert_int_equal(v, FILES[f].ftype);
        assert_int_equal(pn_checkpoint_int(g, "n_mels", &v), 0);
        assert_int_equal(v, 80);
        for (size_t i = 0; i < pn_checkpoint_count(c); i++) {
            const struct pn_tensor *a = pn_checkpoint_at(c, i);
            char name[256];
            assert_int_equal(pn_str_copy(name, sizeof(name), a->name), 0);
            const struct pn_tensor *b = pn_checkpoint_find(g, name);
            assert_non_null(b);
            float *x = values(a);
            double size = 0;
            for (int64_t k = 0; k < a->n; k++)
                size += (double)x[k] * x[k];
            free(x);
            bool quantised = b->dtype == PN_DT_Q8_0 || b->dtype == PN_DT_Q5_0;
            double limit = quantised ? FILES[f].rms * sqrt(size / (double)a->n) : 0;
            double d = difference(a, b);
            assert_true(d >= 0 && d <= limit);
            assert_true(!quantised || d > 0);
        }
        assert_int_equal(pn_checkpoint_n_tokens(g), 50257);
        assert_true(pn_str_is(pn_checkpoint_token(g, 0), "!"));
        assert_true(pn_str_is(pn_checkpoint_token(g, 220), " "));
        assert_int_equal(pn_checkpoint_token(g, 50256).len, 0);
        assert_int_equal(pn_checkpoint_token(g, 60000).len, 0);
        pn_checkpoint_close(g);
    }
    pn_checkpoint_close(c);
}

static bool make_hf_folder(void)
{
    return unpack("whisper/micro/hf/model.safetensors.gz", "model.safetensors") &&
           unpack("whisper/micro/hf/vocab.json.gz", "vocab.json") &&
           unpack("whisper/micro/hf/tokenizer.json.gz", "tokenizer.json") &&
           copy("whisper/micro/hf/config.json", "config.json") &&
           copy("whisper/micro/hf/generation_config.json", "generation_config.json");
}

static void check_hf(const char *name, const struct pn_checkpoint *torch)
{
    struct pn_checkpoint *h;
    assert_int_equal(checkpoint_case_open(name, &h), 0);
    assert_int_equal(pn_checkpoint_kind(h), PN_CHECKPOINT_HF);
    assert_int_equal(pn_checkpoint_count(h), pn_checkpoint_count(torch));
    for (size_t i = 0; i < pn_checkpoint_count(torch); i++) {
        const struct pn_tensor *a = pn_checkpoint_at(torch, i);
        char other[256];
        hf_name(a->name, other, sizeof(other));
        const struct pn_tensor *b = pn_checkpoint_find(h, other);
        if (!b)
            fail_msg("no %s", other);
        assert_true(difference(a, b) == 0);
    }
    int64_t v = -1;
    assert_int_equal(pn_checkpoint_int(h, "d_model", &v), 0);
    assert_int_equal(v, 128);
    assert_int_equal(pn_checkpoint_int(h, "scale_embedding", &v), 0);
    assert_int_equal(v, 0);
    assert_int_equal(pn_checkpoint_n_tokens(h), 50257);
    assert_true(pn_checkpoint_file(h, "generation_config.json").len > 100);
    pn_checkpoint_close(h);
}

static void test_hf_equals_torch(void **state)
{
    if (!make_hf_folder()) {
        print_message("skipped: no whisper/micro/hf in PINNA_SHARED\n");
        skip();
    }
    char path[PN_FIXTURE_PATH];
    struct pn_checkpoint *c = open_micro(), *h, *g;
    check_hf("", c);
    check_hf("model.safetensors", c);
    /* The vocabulary is the same from vocab.json, tokenizer.json and ggml's list. */
    assert_true(unpack("whisper/micro/ggml-micro-q5_0.bin.gz", "ggml.bin"));
    assert_int_equal(checkpoint_case_open("ggml.bin", &g), 0);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(checkpoint_case_open("", &h), 0);
        assert_int_equal(pn_checkpoint_n_tokens(h), pn_checkpoint_n_tokens(g));
        for (size_t id = 0; id < pn_checkpoint_n_tokens(g); id++)
            assert_true(pn_str_eq(pn_checkpoint_token(h, id), pn_checkpoint_token(g, id)));
        pn_checkpoint_close(h);
        checkpoint_case_path("vocab.json", path);
        assert_int_equal(unlink(path), i ? -1 : 0);
    }
    pn_checkpoint_close(g);
    pn_checkpoint_close(c);
}

static void test_shards(void **state)
{
    struct pn_checkpoint *c;
    checkpoint_case_put_safetensors("a.safetensors",
                                    "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    checkpoint_case_put_safetensors("b.safetensors",
                                    "{\"y\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
    checkpoint_case_put("config.json",
                        PN_STR("{\"d_model\":3,\"x\":null,\"scale_embedding\":true,\"f\":0.5}"));
    checkpoint_case_put(
        "model.safetensors.index.json",
        PN_STR("{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\",\"z\":\"a.safetensors\"}}"));
    assert_int_equal(checkpoint_case_open("", &c), 0);
    assert_int_equal(pn_checkpoint_count(c), 2);
    assert_true(pn_checkpoint_find(c, "x") && pn_checkpoint_find(c, "y"));
    int64_t v = 0;
    assert_int_equal(pn_checkpoint_int(c, "scale_embedding", &v), 0);
    assert_int_equal(v, 1);
    assert_int_equal(pn_checkpoint_int(c, "f", &v), -PN_ENOTFOUND);
    pn_checkpoint_close(c);
    const struct {
        struct pn_str index;
        int code;
    } CASES[] = {
        { PN_STR("{\"weight_map\":{\"x\":\"../a.safetensors\"}}"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":{\"x\":\"/etc/passwd\"}}"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":{\"x\":\"\"}}"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":{\"x\":5}}"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":[]}"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":{}}"), -PN_EFORMAT },
        { PN_STR("[]"), -PN_EFORMAT },
        { PN_STR("{\"weight_map\":{\"x\":\"c.safetensors\"}}"), -PN_ENOTFOUND },
        { PN_STR("{\"weight_map\":{\"x\":\"config.json\"}}"), -PN_ELIMIT },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        checkpoint_case_put("model.safetensors.index.json", CASES[i].index);
        assert_int_equal(checkpoint_case_open("", &c), CASES[i].code);
    }
    checkpoint_case_put_safetensors("b.safetensors",
                                    "{\"x\":{\"dtype\":\"F16\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4);
    checkpoint_case_put("model.safetensors.index.json",
                        PN_STR("{\"weight_map\":{\"x\":\"a.safetensors\",\"y\":\"b.safetensors\"}}"));
    assert_int_equal(checkpoint_case_open("", &c), -PN_EFORMAT);
    assert_non_null(strstr(checkpoint_case_err.text, "tensor 'x' twice"));
}

static void test_source_id(void **state)
{
    struct pn_buf b;
    struct pn_checkpoint *c;
    char path[PN_FIXTURE_PATH];
    assert_true(pn_fixture_data("../fuzz/corpus/ggml/f16.bin", path) && pn_fixture_read(path, &b));
    checkpoint_case_put("a.bin", (struct pn_str){ b.ptr, b.len });
    assert_int_equal(checkpoint_case_open("a.bin", &c), 0);
    struct pn_source_id first = pn_checkpoint_id(c);
    pn_checkpoint_close(c);
    assert_int_equal(first.size, b.len);
    assert_true(first.mtime_ns > 0);
    b.ptr[b.len - 1] ^= 1; /* a value: not hashed, the time of change tells */
    checkpoint_case_put("b.bin", (struct pn_str){ b.ptr, b.len });
    assert_int_equal(checkpoint_case_open("b.bin", &c), 0);
    struct pn_source_id second = pn_checkpoint_id(c);
    pn_checkpoint_close(c);
    assert_memory_equal(first.hash, second.hash, sizeof(first.hash));
    assert_true(second.mtime_ns >= first.mtime_ns);
    b.ptr[4] ^= 1; /* n_vocab */
    checkpoint_case_put("b.bin", (struct pn_str){ b.ptr, b.len });
    assert_int_equal(checkpoint_case_open("b.bin", &c), 0);
    second = pn_checkpoint_id(c);
    pn_checkpoint_close(c);
    assert_memory_not_equal(first.hash, second.hash, sizeof(first.hash));
    pn_buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_torch, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_ggml_equals_torch, checkpoint_case_set_up,
                                        checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_hf_equals_torch, checkpoint_case_set_up,
                                        checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_shards, checkpoint_case_set_up, checkpoint_case_tear_down),
        cmocka_unit_test_setup_teardown(test_source_id, checkpoint_case_set_up, checkpoint_case_tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
