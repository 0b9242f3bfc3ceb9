/* whisper_case.c - see whisper_case.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "whisper_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pn_whisper_dims whisper_small_dims(void)
{
    return (struct pn_whisper_dims){
        .n_mels = 80,
        .n_audio_ctx = 100,
        .n_audio_state = 128,
        .n_audio_head = 2,
        .n_audio_layer = 2,
        .n_vocab = 51865,
        .n_text_ctx = 32,
        .n_text_state = 128,
        .n_text_head = 2,
        .n_text_layer = 2,
    };
}

void whisper_random_file(const struct pn_whisper_dims *d, char dir[PN_FIXTURE_PATH],
                         char path[PN_FIXTURE_PATH])
{
    struct pn_err err = { 0 };
    assert_true(pn_fixture_temp_dir(dir));
    (void)snprintf(path, PN_FIXTURE_PATH, "%.1000s/random.bin", dir);
    if (pn_random_model_write(path, d, 3, &err) < 0)
        fail_msg("%s", err.text);
}

void whisper_copy_file(const char *from, const char *to)
{
    struct pn_buf bytes;
    assert_true(pn_fixture_read(from, &bytes));
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, f), bytes.len);
    assert_int_equal(fclose(f), 0);
    pn_buf_done(&bytes);
}

void whisper_micro_file(char dir[PN_FIXTURE_PATH], char path[PN_FIXTURE_PATH])
{
    char from[PN_FIXTURE_PATH], ranks[PN_FIXTURE_PATH];
    assert_true(pn_fixture_temp_dir(dir));
    assert_true(pn_fixture_data("micro.pt.gz", from));
    (void)snprintf(path, PN_FIXTURE_PATH, "%.1000s/micro.pt", dir);
    assert_true(pn_fixture_gunzip(from, path));
    assert_true(pn_fixture_data("micro.tiktoken", from));
    (void)snprintf(ranks, PN_FIXTURE_PATH, "%.1000s/micro.tiktoken", dir);
    whisper_copy_file(from, ranks);
}

void whisper_hf_folder(char dir[PN_FIXTURE_PATH])
{
    static const char *const FILES[] = { "config.json", "generation_config.json", "vocab.json", "merges.txt",
                                         "model.safetensors" };
    char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH], name[128];
    assert_true(pn_fixture_temp_dir(dir));
    for (size_t i = 0; i < PN_ARRAY_LEN(FILES); i++) {
        (void)snprintf(to, sizeof(to), "%.900s/%s", dir, FILES[i]);
        (void)snprintf(name, sizeof(name), "whisper/micro/hf/%s.gz", FILES[i]);
        if (pn_fixture_shared(name, from)) {
            assert_true(pn_fixture_gunzip(from, to));
            continue;
        }
        (void)snprintf(name, sizeof(name), "whisper/micro/hf/%s", FILES[i]);
        assert_true(pn_fixture_shared(name, from));
        whisper_copy_file(from, to);
    }
}

void whisper_case_open(struct whisper_case *c, const char *path, enum pn_precision p, int threads)
{
    char ranks[PN_FIXTURE_PATH] = "";
    struct pn_err err = { 0 };
    *c = (struct whisper_case){ 0 };
    if (!pn_fixture_shared("whisper/tokenizer", ranks))
        ranks[0] = '\0';
    if (pn_pool_new(threads, &c->pool, &err) < 0)
        fail_msg("%s", err.text);
    const struct pn_whisper_options o = {
        .path = path, .model_dir = ranks, .precision = p, .pool = c->pool, .no_packed_file = true
    };
    if (pn_whisper_open(&o, &c->w, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pn_whisper_engine_new(c->w, c->pool, &c->e), 0);
}

void whisper_case_close(struct whisper_case *c)
{
    assert_null(pn_whisper_engine_free(c->e));
    assert_null(pn_whisper_close(c->w));
    pn_pool_free(c->pool);
}

void *whisper_alloc(size_t n, size_t size)
{
    void *p = calloc(n, size);
    assert_non_null(p);
    return p;
}

struct pn_cross *whisper_encode(const struct whisper_case *c, const float *mel, int n_ctx, int64_t budget_us,
                                float *output)
{
    const struct pn_whisper_dims *d = &c->w->dims;
    struct pn_encoder_run *run = NULL;
    assert_int_equal(pn_encoder_run_new(c->e, n_ctx, &run), 0);
    memcpy(pn_encoder_run_mel(run), mel, (size_t)(2 * n_ctx * d->n_mels) * sizeof(float));
    while (!pn_encoder_run_step(run, budget_us))
        ;
    assert_int_equal(pn_encoder_run_step(run, budget_us), 1); /* stays finished */
    if (output)
        memcpy(output, pn_encoder_run_output(run), (size_t)(n_ctx * d->n_audio_state) * sizeof(float));
    struct pn_cross *cross = pn_encoder_run_take_cross(run);
    assert_null(pn_encoder_run_free(run));
    return cross;
}

float *whisper_noise(const struct whisper_case *c, uint64_t seed, int n_ctx)
{
    size_t n = (size_t)(2 * n_ctx * c->w->dims.n_mels);
    float *mel = whisper_alloc(n, sizeof(*mel));
    pn_random_normal(seed, mel, n);
    return mel;
}

float *whisper_window(const struct whisper_case *c, const char *wav)
{
    float *pcm = NULL, *mel = whisper_alloc((size_t)(PN_MEL_CHUNK * c->w->dims.n_mels), sizeof(*mel));
    struct pn_features *f = NULL;
    size_t n = 0;
    assert_true(pn_fixture_wav(wav, &pcm, &n));
    assert_int_equal(pn_features_new(c->w->mel, &f), 0);
    assert_int_equal(pn_features_feed(f, pcm, n), 0);
    assert_int_equal(pn_features_end(f, 480000), 0);
    pn_features_read(f, 0, PN_MIN(pn_features_frames(f), PN_MEL_CHUNK), mel);
    pn_features_free(f);
    free(pcm);
    return mel;
}

double whisper_cosine(const float *a, const float *b, size_t n)
{
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        ab += (double)a[i] * (double)b[i];
        aa += (double)a[i] * (double)a[i];
        bb += (double)b[i] * (double)b[i];
    }
    return ab / sqrt(aa * bb);
}

/* NaN counts as infinitely far. */
double whisper_max_diff(const float *a, const float *b, size_t n)
{
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        double d = fabs((double)a[i] - (double)b[i]);
        worst = d <= worst ? worst : isnan(d) ? (double)INFINITY : d;
    }
    return worst;
}
