/* test_whisper_hostile.c - models that want to do harm: absurd sizes, forged packed files, numbers that are
 * none. Opening says what is wrong or makes the packed file anew; a transcription ends, whatever it says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/whisper/dims.h"
#include "asr/whisper/heads.h"
#include "asr/whisper/transcription.h"
#include "model/packed_impl.h"
#include "whisper_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[PN_FIXTURE_PATH], model[PN_FIXTURE_PATH], packed[PN_FIXTURE_PATH + 16];

/* One layer each, one head, windows of a second. */
static struct pn_whisper_dims tiny_dims(void)
{
    return (struct pn_whisper_dims){ 80, 50, 64, 1, 1, 51865, 32, 64, 1, 1 };
}

static int set_up(void **state)
{
    struct pn_whisper_dims d = tiny_dims();
    whisper_random_file(&d, folder, model);
    (void)snprintf(packed, sizeof(packed), "%s.int8.pnk", model);
    return 0;
}

static int tear_down(void **state)
{
    pn_fixture_remove_dir(folder);
    return 0;
}

static int open_model(const char *path, bool packed_file, struct pn_whisper **ret, struct pn_err *err)
{
    const struct pn_whisper_options o = { .path = path,
                                          .precision = PN_INT8,
                                          .no_packed_file = !packed_file };
    *ret = NULL;
    *err = (struct pn_err){ 0 };
    int r = pn_whisper_open(&o, ret, err);
    assert_int_equal(err->code, -r);
    assert_true(r == 0 ? *ret != NULL : !*ret && err->text[0]);
    return r;
}

static void refused(const char *path, const char *text)
{
    struct pn_whisper *w;
    struct pn_err err;
    int r = open_model(path, false, &w, &err);
    if (r == 0 || !strstr(err.text, text))
        fail_msg("%d %s; expected ... %s ...", r, err.text, text);
}

static struct pn_buf read_all(const char *path)
{
    struct pn_buf bytes;
    assert_true(pn_fixture_read(path, &bytes));
    return bytes;
}

static void write_all(const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

/* ---- checkpoints ---- */

static void test_absurd_sizes(void **state)
{
    static const struct {
        size_t at; /* of an int32 of the ggml file */
        int32_t value;
        const char *text;
    } WRONG[] = {
        { 4, 51863, "n_vocab" },
        { 4, 51867, "n_vocab" },
        { 4, -1, "n_vocab" },
        { 8, 0, "n_audio_ctx" },
        { 8, INT32_MAX, "n_audio_ctx" },
        { 12, 100, "n_audio_state" },
        { 16, 0, "n_audio_head" },
        { 16, 1000000, "n_audio_head" },
        { 20, 1000000, "n_audio_layer" },
        { 20, INT32_MIN, "n_audio_lay" },
        { 24, 0, "n_text_ctx" },
        { 24, 15, "n_text_ctx" },
        { 24, 449, "n_text_ctx" },
        { 24, 8192, "n_text_ctx" },
        { 28, 128, "n_text_state" },
        { 32, 0, "n_text_head" },
        { 32, 2, "n_text_head" },
        { 36, 1000000, "n_text_layer" },
        { 40, 300, "n_mels" },
        { 40, 0, "n_mels" },
        { 40, 81, "encoder.conv1.weight" },
        { 44, -1, "file type" },
        { 48, 65536, "mel filters" },
        { 52, INT32_MAX, "mel filters" },
    };
    struct pn_buf bytes = read_all(model);
    for (size_t i = 0; i < PN_ARRAY_LEN(WRONG); i++) {
        int32_t was;
        memcpy(&was, bytes.ptr + WRONG[i].at, sizeof(was));
        memcpy(bytes.ptr + WRONG[i].at, &WRONG[i].value, sizeof(was));
        write_all(model, bytes.ptr, bytes.len);
        refused(model, WRONG[i].text);
        memcpy(bytes.ptr + WRONG[i].at, &was, sizeof(was));
    }
    pn_buf_done(&bytes);
}

static void test_vocabularies_that_lie(void **state)
{
    const size_t at = 12 * 4 + 8 + 80 * 201 * 4; /* of the number of tokens */
    const int32_t wrong[] = { -1, 0, 1, 50256, 50258, 60000, INT32_MAX, INT32_MIN };
    struct pn_buf bytes = read_all(model);
    for (size_t i = 0; i < PN_ARRAY_LEN(wrong); i++) {
        memcpy(bytes.ptr + at, &wrong[i], sizeof(wrong[i]));
        write_all(model, bytes.ptr, bytes.len);
        refused(model, "");
    }
    const uint32_t tokens = 50257, huge = UINT32_MAX;
    memcpy(bytes.ptr + at, &tokens, sizeof(tokens));
    memcpy(bytes.ptr + at + 4, &huge, sizeof(huge)); /* the length of the first one */
    write_all(model, bytes.ptr, bytes.len);
    refused(model, "token");
    pn_buf_done(&bytes);
}

static void test_cut_off_anywhere(void **state)
{
    struct pn_buf bytes = read_all(model);
    for (size_t n = 0; n < bytes.len; n += n < 64 ? 1 : bytes.len / 23) {
        write_all(model, bytes.ptr, n);
        refused(model, "");
    }
    pn_buf_done(&bytes);
}

/* ---- Hugging Face folders ---- */

/* `key`'s number in folder/file becomes `value`; returns what was there, to be written again. */
static struct pn_buf set_value(const char *path, const char *key, const char *value)
{
    struct pn_buf was = read_all(path), now;
    char quoted[64];
    (void)snprintf(quoted, sizeof(quoted), "\"%s\":", key);
    const char *at = memmem(was.ptr, was.len, quoted, strlen(quoted));
    assert_non_null(at);
    size_t from = (size_t)(at - was.ptr) + strlen(quoted), to = from;
    while (was.ptr[to] != ',' && was.ptr[to] != '}')
        to++;
    pn_buf_init(&now, 1 << 20);
    pn_buf_str(&now, (struct pn_str){ was.ptr, from });
    pn_buf_puts(&now, value);
    pn_buf_str(&now, (struct pn_str){ was.ptr + to, was.len - to });
    assert_int_equal(now.failed, 0);
    write_all(path, now.ptr, now.len);
    pn_buf_done(&now);
    return was;
}

static void test_numbers_of_config_json(void **state)
{
    static const char *const KEYS[] = { "d_model",
                                        "num_mel_bins",
                                        "encoder_layers",
                                        "decoder_layers",
                                        "vocab_size",
                                        "encoder_attention_heads",
                                        "max_source_positions",
                                        "max_target_positions" };
    static const char *const VALUES[] = { "\"80\"", "-1", "0", "1e300", "null", "99999999999999", "[]", "7" };
    char dir[PN_FIXTURE_PATH], config[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("whisper/micro/hf/model.safetensors.gz", dir);
    whisper_hf_folder(dir);
    (void)snprintf(config, sizeof(config), "%.900s/config.json", dir);
    for (size_t i = 0; i < PN_ARRAY_LEN(KEYS); i++) {
        for (size_t j = 0; j < PN_ARRAY_LEN(VALUES); j++) {
            struct pn_buf was = set_value(config, KEYS[i], VALUES[j]);
            refused(dir, "");
            write_all(config, was.ptr, was.len);
            pn_buf_done(&was);
        }
    }
    pn_fixture_remove_dir(dir);
}

static void test_alignment_heads_out_of_range(void **state)
{
    static const char *const LISTS[] = {
        "[[0, 99]]", "[[-1, 0]]",       "[[4294967296, 0]]", "[[0]]", "[[0, 0, 0]]", "[[\"0\", 0]]", "[null]",
        "7",         "{\"0\": [0, 0]}", "[[1, 0], [1, 9]]",
    };
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH], text[128];
    struct pn_whisper *w;
    struct pn_err err;
    PN_SHARED_OR_SKIP("whisper/micro/hf/model.safetensors.gz", dir);
    whisper_hf_folder(dir);
    (void)snprintf(path, sizeof(path), "%.900s/generation_config.json", dir);
    for (size_t i = 0; i < PN_ARRAY_LEN(LISTS); i++) {
        (void)snprintf(text, sizeof(text), "{\"alignment_heads\": %s}", LISTS[i]);
        write_all(path, text, strlen(text));
        assert_int_equal(open_model(dir, false, &w, &err), 0);
        assert_true(w->n_align_heads > 0);
        for (int h = 0; h < w->n_align_heads; h++)
            assert_in_range(w->align_heads[h], 0, w->dims.n_text_layer * w->dims.n_text_head - 1);
        pn_whisper_close(w);
    }
    pn_fixture_remove_dir(dir);
}

/* ---- packed files ---- */

/* A packed file in memory, whose head and table can be changed. */
struct forgery {
    struct pn_buf bytes;
    struct pn_packed_head *head;
    struct pn_packed_entry *table;
};

static struct forgery forge(void)
{
    struct forgery f = { .bytes = read_all(packed) };
    f.head = (struct pn_packed_head *)(void *)f.bytes.ptr;
    f.table = (struct pn_packed_entry *)(void *)(f.bytes.ptr + f.head->table);
    return f;
}

static struct pn_packed_entry *entry(const struct forgery *f, const char *name)
{
    for (size_t i = 0; i < f->head->n_sections; i++)
        if (strcmp(f->table[i].name, name) == 0)
            return &f->table[i];
    fail_msg("no section %s", name);
    return NULL;
}

/* With a checksum that is right. */
static void plant(struct forgery *f)
{
    pn_packed_checksum(f->head, f->table, f->head->checksum);
    write_all(packed, f->bytes.ptr, f->bytes.len);
}

/* Opens with the packed file that is there; true: it was used as it is. */
static bool is_taken(struct pn_whisper **ret)
{
    struct pn_err err;
    struct pn_buf before = read_all(packed);
    if (open_model(model, true, ret, &err) < 0)
        fail_msg("%s", err.text);
    struct pn_buf after = read_all(packed);
    bool same = before.len == after.len && memcmp(before.ptr, after.ptr, before.len) == 0;
    pn_buf_done(&before);
    pn_buf_done(&after);
    return same;
}

static void make_packed(void)
{
    struct pn_whisper *w;
    struct pn_err err;
    assert_int_equal(open_model(model, true, &w, &err), 0);
    pn_whisper_close(w);
}

static void expect_anew(struct forgery *f)
{
    struct pn_whisper *w;
    plant(f);
    assert_false(is_taken(&w));
    assert_int_equal(pn_bpe_size(w->vocab->bpe), 50257);
    pn_whisper_close(w);
    assert_true(is_taken(&w)); /* what was made is right */
    pn_whisper_close(w);
    pn_buf_done(&f->bytes);
}

static void test_forged_tables(void **state)
{
    make_packed();
    struct forgery f = forge();
    struct pn_packed_entry *a = entry(&f, "decoder.token_embedding"), *b = entry(&f, "decoder.ln.weight");
    struct pn_packed_entry was = *a;
    a->offset = b->offset;
    a->size = b->size;
    b->offset = was.offset;
    b->size = was.size;
    expect_anew(&f);

    f = forge();
    entry(&f, "encoder.conv1")->size--;
    expect_anew(&f);

    f = forge();
    entry(&f, "decoder.positional_embedding")->size = 0;
    expect_anew(&f);

    f = forge();
    entry(&f, "vocabulary")->size = 3;
    expect_anew(&f);

    f = forge();
    entry(&f, "encoder.conv1")->size = UINT64_MAX - 63;
    expect_anew(&f);

    f = forge();
    entry(&f, "vocabulary")->name[9] = 's';
    expect_anew(&f);
}

static void test_cut_packed_files(void **state)
{
    make_packed();
    struct pn_buf bytes = read_all(packed);
    for (size_t n = 0; n < bytes.len; n += n < 256 ? 32 : bytes.len / 11) {
        struct pn_whisper *w;
        write_all(packed, bytes.ptr, n);
        assert_false(is_taken(&w));
        pn_whisper_close(w);
    }
    pn_buf_done(&bytes);
}

/* The file of a model of other sizes, under this one's key. */
static void test_packed_file_of_another_model(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    struct pn_whisper *w;
    struct pn_err err;
    make_packed();
    struct forgery mine = forge();
    struct pn_buf checkpoint = read_all(model);
    assert_int_equal(pn_random_model_write(model, &d, 7, &err), 0);
    make_packed();
    struct forgery f = forge();
    memcpy(f.head, mine.head, offsetof(struct pn_packed_head, file_size));
    pn_buf_done(&mine.bytes);
    plant(&f);
    pn_buf_done(&f.bytes);
    write_all(model, checkpoint.ptr, checkpoint.len);
    pn_buf_done(&checkpoint);
    assert_false(is_taken(&w));
    assert_int_equal(w->dims.n_audio_state, 64);
    pn_whisper_close(w);
}

/* A vocabulary whose ids reach beyond the text tokens: the blank's id would be written to. */
static void test_packed_vocabulary_with_too_many_tokens(void **state)
{
    enum { N = 1 << 20, AT = 64 };
    make_packed();
    struct forgery f = forge();
    struct pn_packed_entry *e = entry(&f, "vocabulary"), *big = entry(&f, "decoder.token_embedding");
    struct pn_buf bytes;
    pn_buf_init(&bytes, 64 << 20);
    pn_buf_str(&bytes, (struct pn_str){ f.bytes.ptr, f.head->table });
    size_t at = bytes.len;
    const uint32_t count = N;
    pn_buf_str(&bytes, (struct pn_str){ (const char *)&count, sizeof(count) });
    for (uint32_t i = 0; i < N; i++) {
        uint32_t len = i == N - 1;
        pn_buf_str(&bytes, (struct pn_str){ (const char *)&len, sizeof(len) });
    }
    pn_buf_putc(&bytes, ' ');
    e->offset = at;
    e->size = bytes.len - at;
    while (bytes.len % AT)
        pn_buf_putc(&bytes, 0);
    assert_true(big->offset < at);
    struct pn_packed_head *h = (struct pn_packed_head *)(void *)bytes.ptr;
    h->table = bytes.len;
    pn_buf_str(&bytes, (struct pn_str){ (const char *)f.table, f.head->n_sections * sizeof(*f.table) });
    assert_int_equal(bytes.failed, 0);
    h = (struct pn_packed_head *)(void *)bytes.ptr;
    h->file_size = bytes.len;
    pn_buf_done(&f.bytes);
    f = (struct forgery){ bytes, h, (struct pn_packed_entry *)(void *)(bytes.ptr + h->table) };
    expect_anew(&f);
}

/* ---- numbers that are none ---- */

static struct pn_transcript *transcribe(struct pn_whisper *w, const struct pn_transcribe_options *o)
{
    enum { N = 3 * 16000 };
    struct pn_whisper_engine *e = NULL;
    struct pn_features *features = NULL;
    struct pn_transcription *t = NULL;
    struct pn_transcript *ret = NULL;
    struct pn_err err = { 0 };
    float *pcm = whisper_alloc(N, sizeof(*pcm));
    pn_random_normal(5, pcm, N);
    assert_int_equal(pn_whisper_engine_new(w, NULL, &e), 0);
    assert_int_equal(pn_features_new(w->mel, &features), 0);
    assert_int_equal(pn_features_feed(features, pcm, N), 0);
    assert_int_equal(pn_features_end(features, 480000), 0);
    int r = pn_transcription_new(e, features, o, &t, &err);
    if (r == 0)
        r = pn_transcription_run(t, &err);
    if (r == 0)
        r = pn_transcription_result(t, &ret, &err);
    if (r < 0)
        fail_msg("%s", err.text);
    pn_transcription_free(t);
    pn_features_free(features);
    pn_whisper_engine_free(e);
    free(pcm);
    return ret;
}

static void check_transcript(const struct pn_transcript *t)
{
    assert_true(t->final);
    for (size_t i = 0; i < t->n_segments; i++) {
        const struct pn_segment *s = &t->segments[i];
        assert_true(s->start >= 0 && s->end >= s->start && isfinite(s->end));
        assert_true(s->confidence >= 0 && s->confidence <= 1);
        for (size_t j = 0; j < s->n_words; j++)
            assert_true(isfinite(s->words[j].start) && isfinite(s->words[j].end));
    }
}

/* Every way to decode. */
static void transcribe_all_ways(struct pn_whisper *w)
{
    for (int way = 0; way < 5; way++) {
        struct pn_transcribe_options o;
        pn_transcribe_defaults(&o);
        o.language = way == 0 ? "" : "en";
        o.initial_prompt = "a word";
        o.beam_size = way == 1 ? 16 : 0;
        o.best_of = way == 2 ? 16 : 1;
        o.temperature[0] = way == 2 ? 1 : 0;
        o.n_temperatures = way == 2 || way == 1 ? 1 : o.n_temperatures;
        o.word_timestamps = way == 3 || way == 4;
        o.batch = o.auto_context = way == 4;
        o.no_speech_threshold = (double)NAN; /* nothing is passed over */
        struct pn_transcript *t = transcribe(w, &o);
        check_transcript(t);
        pn_transcript_free(t);
    }
}

static void fill_section(const char *name, float value, size_t each)
{
    struct forgery f = forge();
    const struct pn_packed_entry *e = entry(&f, name);
    for (size_t at = 0; at + sizeof(value) <= e->size; at += each * sizeof(value))
        memcpy(f.bytes.ptr + e->offset + at, &value, sizeof(value));
    plant(&f);
    pn_buf_done(&f.bytes);
}

static void test_numbers_that_are_none(void **state)
{
    static const struct {
        const char *section;
        float value;
        size_t each; /* every so many floats */
    } WRONG[] = {
        { "decoder.ln.weight", NAN, 1 },
        { "decoder.ln.bias", INFINITY, 2 },
        { "decoder.ln.weight", -INFINITY, 3 },
        { "decoder.ln.weight", 3e38F, 1 },
        { "decoder.token_embedding", NAN, 97 }, /* weights, scales, sums: some logits are numbers */
        { "encoder.positional_embedding", NAN, 1 },
        { "encoder.ln_post.weight", INFINITY, 1 },
        { "decoder.blocks.0.cross_attn.query", NAN, 5 },
    };
    make_packed();
    struct pn_buf good = read_all(packed);
    for (size_t i = 0; i < PN_ARRAY_LEN(WRONG); i++) {
        struct pn_whisper *w;
        fill_section(WRONG[i].section, WRONG[i].value, WRONG[i].each);
        assert_true(is_taken(&w));
        transcribe_all_ways(w);
        pn_whisper_close(w);
        write_all(packed, good.ptr, good.len);
    }
    pn_buf_done(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_absurd_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vocabularies_that_lie, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_off_anywhere, set_up, tear_down),
        cmocka_unit_test(test_numbers_of_config_json),
        cmocka_unit_test(test_alignment_heads_out_of_range),
        cmocka_unit_test_setup_teardown(test_forged_tables, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cut_packed_files, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packed_file_of_another_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_packed_vocabulary_with_too_many_tokens, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_that_are_none, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
