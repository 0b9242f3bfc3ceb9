/* test_whisper_encoder.c - windows through the encoder: the reference's numbers, and the same bits however
 * the work is cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "whisper_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_CTX = 100 };

static void encode_with(const char *path, enum pn_precision p, int threads, int64_t budget_us, int n_ctx,
                        float *output)
{
    struct whisper_case c;
    whisper_case_open(&c, path, p, threads);
    float *mel = whisper_noise(&c, 11, n_ctx);
    pn_cross_unref(whisper_encode(&c, mel, n_ctx, budget_us, output));
    free(mel);
    whisper_case_close(&c);
}

static void test_same_bits_however_cut(void **state)
{
    static const int64_t BUDGETS[] = { 0, 1, 300, 1000000 };
    static const int CONTEXTS[] = { N_CTX, 65, 64, 1 };
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    size_t size = (size_t)(N_CTX * d.n_audio_state);
    float *want = whisper_alloc(size, sizeof(*want)), *got = whisper_alloc(size, sizeof(*got));
    whisper_random_file(&d, dir, path);
    for (int p = PN_INT8; p <= PN_F32; p++) {
        for (size_t n = 0; n < PN_ARRAY_LEN(CONTEXTS); n++) {
            size_t bytes = (size_t)(CONTEXTS[n] * d.n_audio_state) * sizeof(float);
            encode_with(path, (enum pn_precision)p, 1, 1000000, CONTEXTS[n], want);
            assert_true(isfinite(want[0]) && want[0] != 0.0F);
            for (size_t i = 0; i < PN_ARRAY_LEN(BUDGETS); i++) {
                memset(got, 0, bytes);
                encode_with(path, (enum pn_precision)p, 1 + (int)i, BUDGETS[i], CONTEXTS[n], got);
                assert_memory_equal(got, want, bytes);
            }
        }
    }
    free(want);
    free(got);
    pn_fixture_remove_dir(dir);
}

/* Rows of a shorter context see fewer rows, and nothing of what the block held before. */
static void test_blocks_are_recycled_clean(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    size_t size = (size_t)(N_CTX * d.n_audio_state);
    float *first = whisper_alloc(size, sizeof(*first)), *again = whisper_alloc(size, sizeof(*again));
    struct whisper_case c;
    whisper_random_file(&d, dir, path);
    whisper_case_open(&c, path, PN_INT8, 2);
    float *mel = whisper_noise(&c, 5, N_CTX), *loud = whisper_noise(&c, 6, N_CTX);
    for (int i = 0; i < 2 * N_CTX * d.n_mels; i++)
        loud[i] *= 1e6F;
    pn_cross_unref(whisper_encode(&c, mel, 40, 0, first));
    pn_cross_unref(whisper_encode(&c, loud, N_CTX, 0, NULL));
    pn_cross_unref(whisper_encode(&c, mel, 40, 0, again));
    assert_memory_equal(again, first, (size_t)(40 * d.n_audio_state) * sizeof(float));
    free(mel);
    free(loud);
    free(first);
    free(again);
    whisper_case_close(&c);
    pn_fixture_remove_dir(dir);
}

static void test_refuses_contexts(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    struct whisper_case c;
    struct pn_encoder_run *run = NULL;
    whisper_random_file(&d, dir, path);
    whisper_case_open(&c, path, PN_F32, 1);
    assert_int_equal(pn_encoder_run_new(c.e, 0, &run), -PN_EINVAL);
    assert_int_equal(pn_encoder_run_new(c.e, N_CTX + 1, &run), -PN_EINVAL);
    assert_null(run);
    assert_null(pn_encoder_run_free(NULL));
    assert_null(pn_cross_unref(NULL));
    /* Given up half way: the cross goes back, too. */
    assert_int_equal(pn_encoder_run_new(c.e, N_CTX, &run), 0);
    memset(pn_encoder_run_mel(run), 0, (size_t)(2 * N_CTX * d.n_mels) * sizeof(float));
    assert_int_equal(pn_encoder_run_step(run, 0), 0);
    assert_null(pn_encoder_run_free(run));
    whisper_case_close(&c);
    pn_fixture_remove_dir(dir);
}

/* Rows 0, step, 2 step ... of the output against a golden array. */
static void compare_golden(const char *model, const char *wav, const char *golden)
{
    struct whisper_case c;
    struct pn_npy want;
    assert_true(pn_npy_load(golden, &want));
    whisper_case_open(&c, model, PN_F32, 2);
    const struct pn_whisper_dims *d = &c.w->dims;
    float *mel = whisper_window(&c, wav);
    float *got = whisper_alloc((size_t)(d->n_audio_ctx * d->n_audio_state), sizeof(*got));
    pn_cross_unref(whisper_encode(&c, mel, d->n_audio_ctx, 20000, got));
    assert_int_equal(want.n_dims, 2);
    assert_int_equal(want.dim[1], d->n_audio_state);
    size_t step = (size_t)d->n_audio_ctx / want.dim[0];
    double worst = 0;
    for (size_t i = 0; i < want.dim[0]; i++)
        worst = fmax(worst,
                     whisper_max_diff(got + i * step * want.dim[1], want.f32 + i * want.dim[1], want.dim[1]));
    print_message("%s: largest difference %.2g\n", model, worst);
    assert_true(worst < 2e-3);
    free(mel);
    free(got);
    pn_npy_done(&want);
    whisper_case_close(&c);
}

/* Unpacks a shared checkpoint into `dir`. */
static void unpack(const char *gz, const char *dir, const char *name, char path[PN_FIXTURE_PATH])
{
    (void)snprintf(path, PN_FIXTURE_PATH, "%.900s/%s", dir, name);
    assert_true(pn_fixture_gunzip(gz, path));
}

static void test_golden_micro(void **state)
{
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    whisper_micro_file(dir, path);
    for (int i = 1; i <= 9; i += 4) {
        char name[64], wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
        (void)snprintf(name, sizeof(name), "clips/%02d.wav", i);
        assert_true(pn_fixture_data(name, wav));
        (void)snprintf(name, sizeof(name), "golden/%02d.encoder_every50.npy", i);
        assert_true(pn_fixture_data(name, golden));
        compare_golden(path, wav, golden);
    }
    pn_fixture_remove_dir(dir);
}

static void test_golden_micro_shared(void **state)
{
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    if (PN_SANITIZED)
        skip(); /* as the ones above */
    PN_SHARED_OR_SKIP("whisper/micro/clips/01.wav", path);
    whisper_micro_file(dir, path);
    for (int i = 1; i <= 8; i++) {
        char name[64], wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
        (void)snprintf(name, sizeof(name), "whisper/micro/clips/%02d.wav", i);
        assert_true(pn_fixture_shared(name, wav));
        (void)snprintf(name, sizeof(name), "whisper/micro/golden/%02d.encoder%s.npy", i,
                       i == 1 ? "" : "_every50");
        assert_true(pn_fixture_shared(name, golden));
        compare_golden(path, wav, golden);
    }
    pn_fixture_remove_dir(dir);
}

static void test_golden_ggml(void **state)
{
    char gz[PN_FIXTURE_PATH], dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    char wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("whisper/micro/ggml-micro-f16.bin.gz", gz);
    assert_true(pn_fixture_shared("whisper/micro/clips/01.wav", wav));
    assert_true(pn_fixture_shared("whisper/micro/golden/01.encoder.npy", golden));
    assert_true(pn_fixture_temp_dir(dir));
    unpack(gz, dir, "ggml-micro.bin", path);
    compare_golden(path, wav, golden);
    pn_fixture_remove_dir(dir);
}

static void test_golden_random(void **state)
{
    static const char *const CASES[][3] = {
        { "whisper/random/random-en.pt.gz", "random-en.pt", "whisper/random/random-en.jfk.encoder.npy" },
        { "whisper/random/random-v3.pt.gz", "random-v3.pt",
          "whisper/random/random-v3.jfk.encoder_every10.npy" },
    };
    char gz[PN_FIXTURE_PATH], dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    char wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("audio/jfk.wav", wav);
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        assert_true(pn_fixture_shared(CASES[i][0], gz));
        assert_true(pn_fixture_shared(CASES[i][2], golden));
        assert_true(pn_fixture_temp_dir(dir));
        unpack(gz, dir, CASES[i][1], path);
        compare_golden(path, wav, golden);
        pn_fixture_remove_dir(dir);
    }
}

/* A model of base's true size, made here: int8 against f32. */
static void test_int8_is_close(void **state)
{
    enum { FULL = 1500 };
    struct pn_whisper_dims d;
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    if (PN_SANITIZED)
        skip(); /* a matter of numbers */
    assert_true(pn_random_dims("base", &d));
    size_t n = (size_t)(FULL * d.n_audio_state);
    float *exact = whisper_alloc(n, sizeof(*exact)), *narrow = whisper_alloc(n, sizeof(*narrow));
    whisper_random_file(&d, dir, path);
    encode_with(path, PN_F32, 2, 1000000, FULL, exact);
    encode_with(path, PN_INT8, 2, 1000000, FULL, narrow);
    double cosine = whisper_cosine(exact, narrow, n);
    print_message("int8 against f32, encoder output: cosine %.6f\n", cosine);
    assert_true(cosine > 0.999 && cosine < 1);
    free(exact);
    free(narrow);
    pn_fixture_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_however_cut), cmocka_unit_test(test_blocks_are_recycled_clean),
        cmocka_unit_test(test_refuses_contexts),      cmocka_unit_test(test_golden_micro),
        cmocka_unit_test(test_golden_micro_shared),   cmocka_unit_test(test_golden_ggml),
        cmocka_unit_test(test_golden_random),         cmocka_unit_test(test_int8_is_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
