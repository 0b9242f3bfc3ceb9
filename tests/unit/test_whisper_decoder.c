/* test_whisper_decoder.c - rows of tokens through the decoder: the reference's logits, and the same bits in
 * every mix of rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "whisper_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N_CTX = 100, N_TOKENS = 12, N_STREAMS = 21 };

/* A sequence: the cross of a window of its own, and what its rows gave. */
struct sequence {
    struct pn_cross *cross;
    struct pn_self_cache *cache;
    float *logits; /* [N_TOKENS][n_vocab] */
    float *scores; /* [N_TOKENS][n_align_heads][N_CTX] */
};

static void sequence_init(struct sequence *s, const struct whisper_case *c, uint64_t seed)
{
    float *mel = whisper_noise(c, seed, N_CTX);
    s->cross = whisper_encode(c, mel, N_CTX, 1000000, NULL);
    free(mel);
    assert_int_equal(pn_self_cache_new(c->e, &s->cache), 0);
    s->logits = whisper_alloc((size_t)(N_TOKENS * c->w->dims.n_vocab), sizeof(float));
    s->scores = whisper_alloc((size_t)(N_TOKENS * c->w->n_align_heads * N_CTX), sizeof(float));
}

static void sequence_done(struct sequence *s)
{
    assert_null(pn_cross_unref(s->cross));
    assert_null(pn_self_cache_free(s->cache));
    free(s->logits);
    free(s->scores);
}

static int32_t token_at(int stream, int position)
{
    return (stream * 7919 + position * 104729 + 50257) % 51865;
}

static struct pn_decoder_row row_of(const struct whisper_case *c, const struct sequence *s, int stream,
                                    int position, bool scores)
{
    size_t each = (size_t)(c->w->n_align_heads * N_CTX);
    return (struct pn_decoder_row){
        .cache = s->cache,
        .cross = s->cross,
        .token = token_at(stream, position),
        .position = position,
        .logits = s->logits + (size_t)position * (size_t)c->w->dims.n_vocab,
        .scores = scores ? s->scores + (size_t)position * each : NULL,
    };
}

static void run_alone(const struct whisper_case *c, const struct sequence *s, int stream)
{
    for (int position = 0; position < N_TOKENS; position++) {
        struct pn_decoder_row row = row_of(c, s, stream, position, true);
        assert_int_equal(pn_decoder_run(c->e, &row, 1), 0);
    }
}

/* Stream i begins with a prompt of i % 5 tokens while others are further; every third call is one row. */
static void run_mixed(const struct whisper_case *c, const struct sequence *s, int n)
{
    struct pn_decoder_row rows[N_STREAMS * 5];
    int at[N_STREAMS] = { 0 };
    for (int busy = 1, call = 0; busy; call++) {
        int n_rows = 0;
        busy = 0;
        for (int i = 0; i < n; i++) {
            int want = at[i] == 0 ? 1 + i % 5 : (call + i) % 3 != 0;
            for (; want > 0 && at[i] < N_TOKENS; want--, at[i]++)
                rows[n_rows++] = row_of(c, &s[i], i, at[i], i % 2 == 0);
            busy |= at[i] < N_TOKENS;
        }
        assert_int_equal(pn_decoder_run(c->e, rows, n_rows), 0);
    }
}

static void same_results(const struct whisper_case *c, const struct sequence *a, const struct sequence *b,
                         bool scores)
{
    assert_true(isfinite(a->logits[0]));
    assert_memory_equal(a->logits, b->logits, (size_t)(N_TOKENS * c->w->dims.n_vocab) * sizeof(float));
    if (scores)
        assert_memory_equal(a->scores, b->scores,
                            (size_t)(N_TOKENS * c->w->n_align_heads * N_CTX) * sizeof(float));
}

static void mix(const char *path, enum pn_precision p, int threads)
{
    struct whisper_case alone, mixed;
    struct sequence want, got[N_STREAMS];
    whisper_case_open(&alone, path, p, 1);
    whisper_case_open(&mixed, path, p, threads);
    for (int i = 0; i < N_STREAMS; i++)
        sequence_init(&got[i], &mixed, (uint64_t)i + 100);
    run_mixed(&mixed, got, N_STREAMS);
    for (int i = 0; i < N_STREAMS; i++) {
        sequence_init(&want, &alone, (uint64_t)i + 100);
        run_alone(&alone, &want, i);
        same_results(&alone, &want, &got[i], i % 2 == 0);
        sequence_done(&want);
    }
    for (int i = 0; i < N_STREAMS; i++)
        sequence_done(&got[i]);
    whisper_case_close(&alone);
    whisper_case_close(&mixed);
}

static void test_same_bits_in_every_mix(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    whisper_random_file(&d, dir, path);
    mix(path, PN_INT8, 3);
    mix(path, PN_F32, 2);
    mix(path, PN_INT8, 1);
    pn_fixture_remove_dir(dir);
}

/* Beams of one window, forked after half of the tokens. */
static void test_beams(void **state)
{
    enum { BEAMS = 5, FORK = 6 };
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    struct whisper_case c;
    struct sequence want, beam[BEAMS];
    struct pn_decoder_row rows[BEAMS];
    whisper_random_file(&d, dir, path);
    whisper_case_open(&c, path, PN_INT8, 2);
    sequence_init(&want, &c, 9);
    run_alone(&c, &want, 0);
    for (int i = 0; i < BEAMS; i++) {
        sequence_init(&beam[i], &c, 9);
        pn_cross_unref(beam[i].cross);
        beam[i].cross = pn_cross_ref(want.cross);
        pn_self_cache_copy(beam[i].cache, want.cache, FORK);
        memcpy(beam[i].logits, want.logits, (size_t)(FORK * d.n_vocab) * sizeof(float));
        memcpy(beam[i].scores, want.scores, (size_t)(FORK * c.w->n_align_heads * N_CTX) * sizeof(float));
    }
    for (int position = FORK; position < N_TOKENS; position++) {
        for (int i = 0; i < BEAMS; i++)
            rows[i] = row_of(&c, &beam[i], i % 2, position, i < 3);
        assert_int_equal(pn_decoder_run(c.e, rows, BEAMS), 0);
    }
    same_results(&c, &want, &beam[0], true);
    same_results(&c, &want, &beam[2], true);
    same_results(&c, &want, &beam[4], false);
    same_results(&c, &beam[1], &beam[3], false);
    assert_true(whisper_max_diff(want.logits, beam[1].logits, (size_t)(N_TOKENS * d.n_vocab)) > 0.01);
    for (int i = 0; i < BEAMS; i++)
        sequence_done(&beam[i]);
    sequence_done(&want);
    whisper_case_close(&c);
    pn_fixture_remove_dir(dir);
}

static void test_refuses_rows(void **state)
{
    struct pn_whisper_dims d = whisper_small_dims();
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    struct whisper_case c;
    struct sequence s;
    whisper_random_file(&d, dir, path);
    whisper_case_open(&c, path, PN_F32, 1);
    sequence_init(&s, &c, 1);
    const struct pn_decoder_row good = row_of(&c, &s, 0, 3, false);
    struct pn_decoder_row rows[2] = { good, good };
    assert_int_equal(pn_decoder_run(c.e, rows, 0), 0);
    assert_int_equal(pn_decoder_run(c.e, rows, -1), -PN_EINVAL);
    assert_int_equal(pn_decoder_run(c.e, rows, PN_DECODER_MAX_ROWS + 1), -PN_EINVAL);
    assert_int_equal(pn_decoder_run(c.e, rows, 2), -PN_EINVAL); /* one position twice */
    rows[0].token = d.n_vocab;
    assert_int_equal(pn_decoder_run(c.e, rows, 1), -PN_EINVAL);
    rows[0].token = -1;
    assert_int_equal(pn_decoder_run(c.e, rows, 1), -PN_EINVAL);
    rows[0] = good;
    rows[0].position = d.n_text_ctx;
    assert_int_equal(pn_decoder_run(c.e, rows, 1), -PN_EINVAL);
    rows[0] = good;
    rows[0].cross = NULL;
    assert_int_equal(pn_decoder_run(c.e, rows, 1), -PN_EINVAL);
    assert_null(pn_self_cache_free(NULL));
    sequence_done(&s);
    whisper_case_close(&c);
    pn_fixture_remove_dir(dir);
}

/* Logits at the end of the start sequence `sot` against a golden array of their last rows. */
static void compare_golden(const char *model, const char *wav, const char *golden, const int32_t *sot, int n)
{
    struct whisper_case c;
    struct pn_npy want;
    struct pn_self_cache *cache = NULL;
    struct pn_decoder_row rows[4];
    assert_true(pn_npy_load(golden, &want));
    whisper_case_open(&c, model, PN_F32, 2);
    const struct pn_whisper_dims *d = &c.w->dims;
    float *mel = whisper_window(&c, wav);
    float *logits = whisper_alloc((size_t)(n * d->n_vocab), sizeof(*logits));
    struct pn_cross *cross = whisper_encode(&c, mel, d->n_audio_ctx, 1000000, NULL);
    assert_int_equal(pn_self_cache_new(c.e, &cache), 0);
    for (int i = 0; i < n; i++)
        rows[i] = (struct pn_decoder_row){ cache, cross, sot[i], i, logits + (size_t)(i * d->n_vocab), NULL };
    assert_int_equal(pn_decoder_run(c.e, rows, n), 0);
    assert_int_equal(want.dim[1], d->n_vocab);
    size_t skip = ((size_t)n - want.dim[0]) * want.dim[1];
    double worst = whisper_max_diff(logits + skip, want.f32, want.n);
    print_message("%s: largest difference %.2g\n", model, worst);
    assert_true(worst < 5e-3);
    pn_cross_unref(cross);
    pn_self_cache_free(cache);
    free(mel);
    free(logits);
    pn_npy_done(&want);
    whisper_case_close(&c);
}

static void test_golden_logits(void **state)
{
    static const struct {
        const char *gz, *name, *wav, *golden;
        int32_t sot[3];
        int n;
    } CASES[] = {
        { "whisper/micro/micro.pt.gz",
          "micro.pt",
          "whisper/micro/clips/01.wav",
          "whisper/micro/golden/01.first_logits.npy",
          { 50258, 50259, 50359 },
          3 },
        { "whisper/micro/ggml-micro-f16.bin.gz",
          "ggml-micro.bin",
          "whisper/micro/clips/01.wav",
          "whisper/micro/golden/01.first_logits.npy",
          { 50258, 50259, 50359 },
          3 },
        { "whisper/random/random-en.pt.gz",
          "random-en.pt",
          "audio/jfk.wav",
          "whisper/random/random-en.jfk.first_logits.npy",
          { 50257 },
          1 },
        { "whisper/random/random-v3.pt.gz",
          "random-v3.pt",
          "audio/jfk.wav",
          "whisper/random/random-v3.jfk.first_logits.npy",
          { 50258, 50356, 50360 },
          3 },
    };
    char gz[PN_FIXTURE_PATH], dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    char wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        PN_SHARED_OR_SKIP(CASES[i].gz, gz);
        assert_true(pn_fixture_shared(CASES[i].wav, wav));
        assert_true(pn_fixture_shared(CASES[i].golden, golden));
        assert_true(pn_fixture_temp_dir(dir));
        (void)snprintf(path, sizeof(path), "%.900s/%s", dir, CASES[i].name);
        assert_true(pn_fixture_gunzip(gz, path));
        compare_golden(path, wav, golden, CASES[i].sot, CASES[i].n);
        pn_fixture_remove_dir(dir);
    }
}

static void test_golden_logits_hf(void **state)
{
    char dir[PN_FIXTURE_PATH], wav[PN_FIXTURE_PATH], golden[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("whisper/micro/clips/01.wav", wav);
    assert_true(pn_fixture_shared("whisper/micro/golden/01.first_logits.npy", golden));
    whisper_hf_folder(dir);
    compare_golden(dir, wav, golden, (const int32_t[]){ 50258, 50259, 50359 }, 3);
    pn_fixture_remove_dir(dir);
}

/* Logits of a prompt over the window of f32 and of int8, each through its own encoder. */
static void prompt_logits(const char *path, enum pn_precision p, int n_ctx, float *logits)
{
    struct whisper_case c;
    struct pn_self_cache *cache = NULL;
    struct pn_decoder_row rows[N_TOKENS];
    whisper_case_open(&c, path, p, 2);
    float *mel = whisper_noise(&c, 21, n_ctx);
    struct pn_cross *cross = whisper_encode(&c, mel, n_ctx, 1000000, NULL);
    assert_int_equal(pn_self_cache_new(c.e, &cache), 0);
    for (int i = 0; i < N_TOKENS; i++)
        rows[i] = (struct pn_decoder_row){
            cache, cross, token_at(0, i), i, logits + (size_t)(i * c.w->dims.n_vocab), NULL
        };
    assert_int_equal(pn_decoder_run(c.e, rows, N_TOKENS), 0);
    pn_cross_unref(cross);
    pn_self_cache_free(cache);
    free(mel);
    whisper_case_close(&c);
}

static void test_int8_is_close(void **state)
{
    struct pn_whisper_dims d;
    char dir[PN_FIXTURE_PATH], path[PN_FIXTURE_PATH];
    if (PN_SANITIZED)
        skip(); /* a matter of numbers */
    assert_true(pn_random_dims("base", &d));
    size_t n = (size_t)(N_TOKENS * d.n_vocab);
    float *exact = whisper_alloc(n, sizeof(*exact)), *narrow = whisper_alloc(n, sizeof(*narrow));
    whisper_random_file(&d, dir, path);
    prompt_logits(path, PN_F32, 1500, exact);
    prompt_logits(path, PN_INT8, 1500, narrow);
    double cosine = whisper_cosine(exact, narrow, n);
    print_message("int8 against f32, logits: cosine %.6f\n", cosine);
    assert_true(cosine > 0.999 && cosine < 1);
    free(exact);
    free(narrow);
    pn_fixture_remove_dir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_bits_in_every_mix), cmocka_unit_test(test_beams),
        cmocka_unit_test(test_refuses_rows),           cmocka_unit_test(test_golden_logits),
        cmocka_unit_test(test_golden_logits_hf),       cmocka_unit_test(test_int8_is_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
