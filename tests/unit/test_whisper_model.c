/* test_whisper_model.c - opening models: sizes, names, vocabularies, alignment heads, the packed file, and
 * checkpoints that are not what they claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/whisper/dims.h"
#include "asr/whisper/heads.h"
#include "asr/whisper/names.h"
#include "asr/whisper/ranks.h"
#include "base/file.h"
#include "whisper_case.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int open_file(const char *path, enum pn_precision p, bool packed_file, struct pn_whisper **ret,
                     struct pn_err *err)
{
    const struct pn_whisper_options o = { .path = path, .precision = p, .no_packed_file = !packed_file };
    *err = (struct pn_err){ 0 };
    return pn_whisper_open(&o, ret, err);
}

/* Opening fails with `code` and says `text`; nothing is returned. */
static void refused(const char *path, int code, const char *text)
{
    struct pn_whisper *w = NULL;
    struct pn_err err;
    int r = open_file(path, PN_INT8, false, &w, &err);
    if (r != -code || !strstr(err.text, text))
        fail_msg("%d, %s; expected %d, ... %s ...", r, err.text, -code, text);
    assert_null(w);
}

static void test_hf_names(void **state)
{
    static const char *const PAIRS[][2] = {
        { "encoder.conv1.weight", "encoder.conv1.weight" },
        { "encoder.positional_embedding", "encoder.embed_positions.weight" },
        { "encoder.ln_post.bias", "encoder.layer_norm.bias" },
        { "encoder.blocks.3.attn.query.weight", "encoder.layers.3.self_attn.q_proj.weight" },
        { "encoder.blocks.11.attn_ln.weight", "encoder.layers.11.self_attn_layer_norm.weight" },
        { "decoder.blocks.0.attn.out.bias", "decoder.layers.0.self_attn.out_proj.bias" },
        { "decoder.blocks.0.cross_attn.key.weight", "decoder.layers.0.encoder_attn.k_proj.weight" },
        { "decoder.blocks.0.cross_attn_ln.bias", "decoder.layers.0.encoder_attn_layer_norm.bias" },
        { "decoder.blocks.0.mlp.0.weight", "decoder.layers.0.fc1.weight" },
        { "decoder.blocks.0.mlp.2.bias", "decoder.layers.0.fc2.bias" },
        { "decoder.blocks.0.mlp_ln.bias", "decoder.layers.0.final_layer_norm.bias" },
        { "decoder.token_embedding.weight", "decoder.embed_tokens.weight" },
        { "decoder.positional_embedding", "decoder.embed_positions.weight" },
        { "decoder.ln.weight", "decoder.layer_norm.weight" },
    };
    char name[64];
    for (size_t i = 0; i < PN_ARRAY_LEN(PAIRS); i++) {
        assert_int_equal(pn_whisper_hf_name(PAIRS[i][0], name, sizeof(name)), 0);
        assert_string_equal(name, PAIRS[i][1]);
    }
    assert_int_equal(pn_whisper_hf_name("decoder.blocks.0.mlp.0.weight", name, 10), -PN_ELIMIT);
}

static void test_dims(void **state)
{
    struct pn_whisper_dims good = whisper_small_dims(), d = good;
    struct pn_err err = { 0 };
    assert_int_equal(pn_whisper_dims_check(&d, &err), 0);
    d.n_text_ctx = 0;
    assert_int_equal(pn_whisper_dims_check(&d, &err), -PN_EFORMAT);
    assert_non_null(strstr(err.text, "n_text_ctx is 0"));
    d = good;
    d.n_audio_head = 3;
    assert_int_equal(pn_whisper_dims_check(&d, NULL), -PN_EFORMAT);
    d = good;
    d.n_text_head = 1;
    assert_int_equal(pn_whisper_dims_check(&d, NULL), -PN_EFORMAT);
    d = good;
    d.n_text_state = 64;
    d.n_text_head = 1;
    assert_int_equal(pn_whisper_dims_check(&d, NULL), -PN_EFORMAT);
    d = good;
    d.n_vocab = 1 << 30;
    assert_int_equal(pn_whisper_dims_check(&d, NULL), -PN_EFORMAT);
}

static void check_model(const struct pn_whisper *w, const struct pn_whisper_dims *d)
{
    assert_memory_equal(&w->dims, d, sizeof(*d));
    assert_int_equal(w->encoder[1].qkv.n, 3 * d->n_audio_state);
    assert_int_equal(w->decoder[1].cross_kv.n, 2 * d->n_audio_state);
    assert_int_equal(w->conv2.k, 3 * d->n_audio_state);
    assert_int_equal(w->conv1.precision, PN_F32);
    assert_int_equal(w->embedding.n, d->n_vocab);
    assert_int_equal(w->vocab->eot, 50257);
    assert_int_equal(pn_bpe_size(w->vocab->bpe), 50257);
    assert_int_equal(pn_bpe_token(w->vocab->bpe, 65).ptr[0], 'A');
    assert_int_equal(pn_bpe_token(w->vocab->bpe, 50256).len, 0);
    assert_int_equal(pn_mel_bins(w->mel), d->n_mels);
}

/* Modification time of the packed file, 0 when there is none. */
static int64_t packed_time(const char *path)
{
    char name[PN_FIXTURE_PATH + 16];
    struct stat st;
    (void)snprintf(name, sizeof(name), "%s.int8.pnk", path);
    return stat(name, &st) == 0 ? st.st_mtim.tv_sec * 1000000000LL + st.st_mtim.tv_nsec : 0;
}

static void poke(const char *path, off_t at, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, at), n);
    close(fd);
}

static void test_packed_file(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH], packed[PN_FIXTURE_PATH + 16];
    struct pn_whisper *first = NULL, *second = NULL;
    struct pn_err err;
    whisper_random_file(&d, dir, path);
    assert_int_equal(open_file(path, PN_INT8, false, &first, &err), 0);
    assert_int_equal(packed_time(path), 0);
    assert_int_equal(open_file(path, PN_INT8, true, &second, &err), 0);
    int64_t made = packed_time(path);
    assert_true(made > 0);
    check_model(first, &d);
    check_model(second, &d);
    assert_memory_equal(first->embedding.w, second->embedding.w, (size_t)(d.n_vocab * d.n_text_state));
    pn_whisper_close(second);

    assert_int_equal(open_file(path, PN_INT8, true, &second, &err), 0); /* used, not made again */
    assert_int_equal(packed_time(path), made);
    check_model(second, &d);
    assert_memory_equal(first->embedding.w, second->embedding.w, (size_t)(d.n_vocab * d.n_text_state));
    pn_whisper_close(second);

    (void)snprintf(packed, sizeof(packed), "%s.int8.pnk", path); /* damaged: made again */
    poke(packed, 40, "damage", 6);
    assert_int_equal(open_file(path, PN_INT8, true, &second, &err), 0);
    assert_true(packed_time(path) > made);
    check_model(second, &d);
    pn_whisper_close(second);

    made = packed_time(path); /* another checkpoint under the name: made again */
    assert_int_equal(pn_random_model_write(path, &d, 99, &err), 0);
    assert_int_equal(open_file(path, PN_INT8, true, &second, &err), 0);
    assert_true(packed_time(path) > made);
    assert_memory_not_equal(first->embedding.w, second->embedding.w, (size_t)(d.n_vocab * d.n_text_state));
    pn_whisper_close(second);
    pn_whisper_close(first);
    assert_null(pn_whisper_close(NULL));
    pn_fixture_remove_dir(dir);
}

/* The position of `name` in the file, past it. */
static off_t find_name(const char *path, const char *name)
{
    struct pn_buf bytes;
    assert_true(pn_fixture_read(path, &bytes));
    const char *at = memmem(bytes.ptr, bytes.len, name, strlen(name));
    assert_non_null(at);
    off_t offset = at - bytes.ptr + (off_t)strlen(name);
    pn_buf_done(&bytes);
    return offset;
}

static void test_wrong_checkpoints(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    whisper_random_file(&d, dir, path);
    refused("/nonexistent/model.pt", PN_ENOTFOUND, "model.pt");
    const struct {
        off_t at; /* of an int32 in the header */
        int32_t value;
        int code;
        const char *text;
    } HEADERS[] = {
        { 20, 3, PN_EFORMAT, "encoder.blocks.2.attn_ln.weight" },
        { 36, 3, PN_EFORMAT, "decoder.blocks.2.attn_ln.weight" },
        { 12, 192, PN_EFORMAT, "n_audio_state" },
        { 8, 101, PN_EFORMAT, "encoder.positional_embedding has the shape 100 x 128" },
        { 4, 51866, PN_EFORMAT, "decoder.token_embedding.weight" },
        { 16, 0, PN_EFORMAT, "n_audio_head" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(HEADERS); i++) {
        int32_t was[16];
        struct pn_buf bytes;
        assert_true(pn_fixture_read(path, &bytes));
        memcpy(was, bytes.ptr, sizeof(was));
        pn_buf_done(&bytes);
        poke(path, HEADERS[i].at, &HEADERS[i].value, sizeof(int32_t));
        refused(path, HEADERS[i].code, HEADERS[i].text);
        poke(path, 0, was, sizeof(was));
    }
    static const uint16_t HALF_NAN = 0x7e01;
    poke(path, find_name(path, "decoder.blocks.1.mlp.2.weight") + 1000, &HALF_NAN, sizeof(HALF_NAN));
    refused(path, PN_EFORMAT,
            "decoder.blocks.1.mlp.2.weight cannot be used: it holds values that are not finite");
    pn_fixture_remove_dir(dir);
}

static void test_rank_files(void **state)
{
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH], other[PN_FIXTURE_PATH];
    struct pn_whisper *w = NULL;
    struct pn_err err;
    whisper_micro_file(dir, path);
    assert_int_equal(open_file(path, PN_INT8, false, &w, &err), 0); /* micro.tiktoken */
    assert_string_equal(w->name, "micro");
    pn_whisper_close(w);
    w = NULL;
    (void)snprintf(other, sizeof(other), "%.900s/micro.tiktoken", dir);
    (void)snprintf(path, sizeof(path), "%.900s/multilingual.tiktoken", dir);
    assert_int_equal(rename(other, path), 0);
    (void)snprintf(path, sizeof(path), "%.900s/micro.pt", dir);
    assert_int_equal(open_file(path, PN_INT8, false, &w, &err), 0);
    pn_whisper_close(w);
    (void)snprintf(other, sizeof(other), "%.900s/multilingual.tiktoken", dir);
    poke(other, 0, "!!!", 3);
    refused(path, PN_EFORMAT, "line 1");
    assert_int_equal(unlink(other), 0);
    refused(path, PN_ENOTFOUND, "multilingual.tiktoken");
    refused(path, PN_ENOTFOUND, dir);
    pn_fixture_remove_dir(dir);
}

static void test_ranks_block(void **state)
{
    const struct pn_str tokens[] = { PN_STR("a"), PN_STR(""), PN_STR("bcd") };
    struct pn_bpe *bpe = NULL, *copy = NULL;
    assert_int_equal(pn_bpe_new(tokens, PN_ARRAY_LEN(tokens), &bpe, NULL), 0);
    size_t size = pn_whisper_ranks_size(bpe);
    assert_int_equal(size, 4 * 4 + 4);
    uint32_t *block = whisper_alloc(1, size);
    pn_whisper_ranks_write(bpe, block);
    assert_int_equal(pn_whisper_ranks_read(block, size, &copy, NULL), 0);
    assert_int_equal(pn_bpe_size(copy), 3);
    assert_true(pn_str_is(pn_bpe_token(copy, 2), "bcd"));
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(pn_whisper_ranks_read(block, cut, &copy, NULL), -PN_EFORMAT);
    block[1] = UINT32_MAX;
    assert_int_equal(pn_whisper_ranks_read(block, size, &copy, NULL), -PN_EFORMAT);
    block[0] = UINT32_MAX;
    assert_int_equal(pn_whisper_ranks_read(block, size, &copy, NULL), -PN_EFORMAT);
    free(block);
    pn_bpe_free(bpe);
    pn_bpe_free(copy);
}

static void check_heads(const char *name, int n_layer, int n_head, const int *want, int n)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    struct pn_checkpoint *c = NULL;
    int *got = NULL, got_n = 0;
    whisper_random_file(&d, dir, path);
    assert_int_equal(pn_checkpoint_open(path, &c, NULL), 0);
    d.n_text_layer = n_layer;
    d.n_text_head = n_head;
    assert_int_equal(pn_whisper_heads(name, &d, c, &got, &got_n), 0);
    assert_int_equal(got_n, n);
    assert_memory_equal(got, want, (size_t)n * sizeof(*want));
    free(got);
    pn_checkpoint_close(c);
    pn_fixture_remove_dir(dir);
}

static void test_alignment_heads(void **state)
{
    check_heads("tiny", 4, 6, (const int[]){ 14, 18, 20, 21, 22, 23 }, 6);
    check_heads("turbo", 4, 20, (const int[]){ 44, 51, 63, 66, 71, 74 }, 6);
    check_heads("micro", 2, 2, (const int[]){ 2, 3 }, 2);
    check_heads("micro", 3, 1, (const int[]){ 1, 2 }, 2);
    check_heads("tiny", 2, 2, (const int[]){ 2, 3 }, 2); /* not its sizes */
}

/* From a folder: config.json, vocab.json, generation_config.json. */
static void test_hf_folder(void **state)
{
    char dir[PN_FIXTURE_PATH];
    struct pn_whisper *w = NULL;
    struct pn_err err;
    PN_SHARED_OR_SKIP("whisper/micro/hf/model.safetensors.gz", dir);
    whisper_hf_folder(dir);
    assert_int_equal(open_file(dir, PN_F32, false, &w, &err), 0);
    assert_int_equal(w->n_align_heads, 2);
    assert_int_equal(w->align_heads[0], 2);
    assert_int_equal(pn_bpe_size(w->vocab->bpe), 50257);
    assert_true(pn_str_is(pn_bpe_token(w->vocab->bpe, 220), " "));
    pn_whisper_close(w);
    pn_fixture_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hf_names),        cmocka_unit_test(test_dims),
        cmocka_unit_test(test_packed_file),     cmocka_unit_test(test_wrong_checkpoints),
        cmocka_unit_test(test_rank_files),      cmocka_unit_test(test_ranks_block),
        cmocka_unit_test(test_alignment_heads), cmocka_unit_test(test_hf_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
