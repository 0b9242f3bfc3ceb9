/* test_asr_vad.c - what all detectors promise, each by a model of its own that the test makes: boundaries in
 * order, the same however the samples are cut, settled times that hold, options, odd samples. And what the
 * energy detector must not hear, and must. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "../../bench/noises.h"
#include "../../bench/random_paraformer.h"
#include "../../bench/random_silero.h"
#include "asr/vad/vad.h"
#include "failing_memory.h"
#include "fixtures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE = 16000, N_MODELS = 3 };

static struct pn_vad_model *models[N_MODELS];
static char folder[PN_FIXTURE_PATH], vad_folder[PN_FIXTURE_PATH + 8], silero_file[PN_FIXTURE_PATH + 16];

/* A sound that is like speech to a detector: syllables of bands that come and go, in phrases with pauses. */
static float *babble(size_t n)
{
    float *pcm = malloc(n * sizeof(*pcm));
    uint64_t seed = 5;
    assert_non_null(pcm);
    struct pn_noise hiss = pn_noise_start(PN_NOISE_WHITE, -60, seed);
    pn_noise_next(&hiss, pcm, n);
    for (size_t i = 0; i < n; i++) {
        double t = (double)i / RATE, syllable = sin(2 * M_PI * 2.5 * t),
               pitch = 110 + 20 * sin(2 * M_PI * 0.7 * t);
        double phrase = fmod(t, 4) < 2.5 ? 1 : 0, sum = 0;
        for (int h = 1; h < 30; h++)
            sum += sin(2 * M_PI * pitch * h * t) * (0.5 + 0.5 * sin(h * 0.9 + 9 * t)) / h;
        pcm[i] += (float)(0.1 * phrase * fmax(syllable, 0) * sum);
    }
    return pcm;
}

/* ---- events of a clip ---- */

struct heard {
    struct pn_vad_event at[256];
    size_t n;
};

static void note(struct pn_vad *v, struct heard *h, int64_t settled)
{
    struct pn_vad_event e;
    while (pn_vad_next(v, &e)) {
        assert_true(h->n < PN_ARRAY_LEN(h->at));
        assert_true(e.start == (h->n % 2 == 0));
        assert_true(e.sample >= (h->n ? h->at[h->n - 1].sample : 0));
        assert_true(e.sample >= settled);
        h->at[h->n++] = e;
    }
}

/* In pieces of 1..most samples. */
static void listen_again(struct pn_vad *v, const float *pcm, size_t n, size_t most, struct heard *h)
{
    unsigned seed = (unsigned)most;
    int64_t settled = 0;
    *h = (struct heard){ .n = 0 };
    for (size_t at = 0, some; at < n; at += some) {
        some = most < n ? (size_t)rand_r(&seed) % most + 1 : n;
        some = PN_MIN(some, n - at);
        assert_int_equal(pn_vad_feed(v, pcm + at, some), 0);
        note(v, h, settled);
        assert_true(pn_vad_settled(v) >= settled && pn_vad_settled(v) <= (int64_t)(at + some));
        settled = pn_vad_settled(v);
    }
    assert_int_equal(pn_vad_end(v), 0);
    note(v, h, settled);
    assert_int_equal(pn_vad_settled(v), n);
    assert_int_equal(h->n % 2, 0);
    assert_true(h->n == 0 || h->at[h->n - 1].sample <= (int64_t)n);
}

static void listen(const struct pn_vad_model *m, const struct pn_vad_options *opt, const float *pcm, size_t n,
                   struct heard *h)
{
    struct pn_vad *v = NULL;
    assert_int_equal(pn_vad_new(m, opt, &v), 0);
    listen_again(v, pcm, n, 960, h);
    pn_vad_free(v);
}

static void assert_same(const struct heard *a, const struct heard *b)
{
    assert_int_equal(a->n, b->n);
    for (size_t i = 0; i < a->n; i++) {
        assert_true(a->at[i].start == b->at[i].start);
        assert_int_equal(a->at[i].sample, b->at[i].sample);
    }
}

/* ---- promises of all ---- */

/* However the samples are cut, and after a reset, too. */
static void test_pieces(void **state)
{
    enum { N = RATE * 9 + 333 };
    static const size_t MOST[] = { 7, 160, 512, 961, 16000, N };
    float *pcm = babble(N);
    for (int m = 0; m < N_MODELS; m++) {
        struct pn_vad *v = NULL;
        struct heard whole, got;
        assert_int_equal(pn_vad_new(models[m], NULL, &v), 0);
        listen_again(v, pcm, N, N, &whole);
        for (size_t i = 0; i < PN_ARRAY_LEN(MOST); i++) {
            pn_vad_reset(v);
            listen_again(v, pcm, N, MOST[i], &got);
            assert_same(&got, &whole);
        }
        pn_vad_reset(v);
        assert_int_equal(pn_vad_feed(v, pcm, 5000), 0); /* half a word, forgotten */
        pn_vad_reset(v);
        listen_again(v, pcm, N, 480, &got);
        assert_same(&got, &whole);
        pn_vad_free(v);
    }
    free(pcm);
}

static void test_odd_lengths(void **state)
{
    float *pcm = babble(RATE);
    for (int m = 0; m < N_MODELS; m++) {
        struct pn_vad *v = NULL;
        assert_int_equal(pn_vad_new(models[m], NULL, &v), 0);
        for (size_t n = 0; n < RATE; n = n < 600 ? n + 37 : n * 3) {
            struct heard got;
            listen_again(v, pcm, n, 100, &got);
            assert_int_equal(pn_vad_feed(v, pcm, 1), -PN_EINVAL);
            assert_int_equal(pn_vad_end(v), -PN_EINVAL);
            pn_vad_reset(v);
        }
        pn_vad_free(v);
    }
    free(pcm);
}

/* No numbers count as silence; nothing breaks on what is too loud. */
static void test_odd_samples(void **state)
{
    enum { N = RATE * 4 };
    float *pcm = babble(N), *same = malloc(N * sizeof(*same));
    assert_non_null(same);
    for (size_t i = 0; i < N; i += 501)
        pcm[i] = i % 3 ? NAN : 0;
    for (size_t i = 0; i < N; i++)
        same[i] = isnan(pcm[i]) ? 0 : pcm[i];
    for (int m = 0; m < N_MODELS; m++) {
        struct heard got, want;
        listen(models[m], NULL, pcm, N, &got);
        listen(models[m], NULL, same, N, &want);
        assert_same(&got, &want);
    }
    for (size_t i = 0; i < N; i++)
        pcm[i] = i % 5 == 0 ? INFINITY : i % 7 == 0 ? -3e38F : pcm[i];
    for (int m = 0; m < N_MODELS; m++) {
        struct heard got;
        listen(models[m], NULL, pcm, N, &got);
    }
    free(pcm);
    free(same);
}

static void test_options(void **state)
{
    static const struct pn_vad_options BAD[] = {
        { .threshold = 1.5F },     { .threshold = -0.1F },      { .threshold = NAN },
        { .min_speech_ms = -1 },   { .end_silence_ms = 60001 }, { .max_speech_ms = 60001 },
        { .max_speech_ms = -1 },   { .pad_ms = 10001 },         { .pad_ms = -5 },
        { .end_silence_ms = -99 },
    };
    struct pn_vad *v = NULL;
    for (int m = 0; m < N_MODELS; m++)
        for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
            assert_int_equal(pn_vad_new(models[m], &BAD[i], &v), -PN_EINVAL);
    assert_null(v);
    assert_null(pn_vad_free(NULL));
    assert_null(pn_vad_model_close(NULL));
    assert_int_equal(pn_vad_model_kind(models[0]), PN_VAD_ENERGY);
    assert_string_equal(pn_vad_model_name(models[1]), "silero");
    assert_string_equal(pn_vad_model_name(models[2]), "fsmn");
}

/* Segments are never longer than asked, whatever ends them. */
static void test_longest(void **state)
{
    enum { N = RATE * 20 };
    float *pcm = babble(N);
    for (int m = 0; m < N_MODELS; m++)
        for (int ms = 1000; ms <= 5000; ms += 1300) {
            struct pn_vad_options opt = {
                .max_speech_ms = ms, .end_silence_ms = 2000, .pad_ms = 20, .threshold = 0.3F
            };
            struct heard got;
            listen(models[m], &opt, pcm, N, &got);
            for (size_t i = 0; i < got.n; i += 2)
                assert_true(got.at[i + 1].sample - got.at[i].sample <= (ms + 70) * 16);
        }
    free(pcm);
}

/* ---- no memory ---- */

/* Opening, making a stream and a second of sound: 0, or the first failure. */
static int use_once(const char *path, const float *pcm, struct pn_err *err)
{
    struct pn_vad_model *m = NULL;
    struct pn_vad *v = NULL;
    int r = pn_vad_model_open(path, &m, err);
    if (r == 0)
        r = pn_vad_new(m, NULL, &v);
    if (r == 0)
        r = pn_vad_feed(v, pcm, 5 * RATE);
    if (r == 0)
        r = pn_vad_end(v);
    pn_vad_free(v);
    pn_vad_model_close(m);
    return r;
}

/* Each allocation fails in turn: that is told, and nothing is lost. */
static void test_no_memory(void **state)
{
    const char *const PATHS[] = { NULL, silero_file, vad_folder };
    float *pcm = babble(5 * RATE);
    for (size_t i = 0; i < PN_ARRAY_LEN(PATHS); i++)
        for (long n = 0;; n++) {
            struct pn_err err = { 0 };
            pn_fail_allocation = n;
            int r = use_once(PATHS[i], pcm, &err);
            bool used = pn_fail_allocation < 0;
            pn_fail_allocation = -1;
            /* jansson's lexer takes a text that it has no memory for as a wrong one. */
            if (r < 0 && r != -PN_ENOMEM && !(r == -PN_EFORMAT && strstr(err.text, "near '\"")))
                fail_msg("allocation %ld of detector %zu: %s", n, i, err.text);
            if (r == 0 && !used)
                break;
            assert_true(n < 2000);
        }
    free(pcm);
}

/* ---- the energy detector ---- */

static void test_babble(void **state)
{
    enum { N = RATE * 12 };
    float *pcm = babble(N);
    struct pn_vad_options opt = { .end_silence_ms = 700 };
    struct heard got;
    listen(models[0], &opt, pcm, N, &got);
    assert_int_equal(got.n, 6); /* phrases at 0, 4 and 8 s */
    for (int i = 0; i < 3; i++) {
        int64_t start = got.at[2 * i].sample, end = got.at[2 * i + 1].sample;
        assert_true(start <= i * 4 * RATE + RATE / 10 && start >= i * 4 * RATE - RATE / 2);
        assert_true(end >= (i * 4 + 2) * RATE && end <= i * 4 * RATE + 3 * RATE);
    }
    free(pcm);
}

/* Nobody speaks: at three levels, half a minute of each, and all of them in turn. */
static void test_noises(void **state)
{
    enum { N = RATE * 30 };
    float *pcm = malloc(N * sizeof(*pcm));
    assert_non_null(pcm);
    for (int kind = PN_NOISE_WHITE; kind <= PN_NOISE_ALL; kind++)
        for (int db = -70; db <= -10; db += 30) {
            struct pn_noise s = pn_noise_start((enum pn_noise_kind)kind, db, (uint64_t)(kind * 100 - db));
            struct heard got;
            size_t n = kind == PN_NOISE_ALL ? N : N / 3;
            for (int turn = 0; turn < 2; turn++) {
                pn_noise_next(&s, pcm, n);
                listen(models[0], NULL, pcm, n, &got);
                assert_int_equal(got.n, 0);
            }
        }
    free(pcm);
}

/* ---- */

static int open_models(void **state)
{
    struct pn_random_sizes sizes;
    struct pn_err err = { 0 };
    if (!pn_fixture_temp_dir(folder) || !pn_random_sizes_of("vad", &sizes))
        return -1;
    snprintf(silero_file, sizeof(silero_file), "%s/silero.bin", folder);
    snprintf(vad_folder, sizeof(vad_folder), "%s/vad", folder);
    if (pn_vad_model_open(NULL, &models[0], &err) < 0 || pn_random_silero_write(silero_file, 1, &err) < 0 ||
        pn_vad_model_open(silero_file, &models[1], &err) < 0 ||
        pn_random_folder_write(vad_folder, &sizes, 1, &err) < 0 ||
        pn_vad_model_open(vad_folder, &models[2], &err) < 0) {
        print_error("%s\n", err.text);
        return -1;
    }
    return 0;
}

static int close_models(void **state)
{
    for (int m = 0; m < N_MODELS; m++)
        models[m] = pn_vad_model_close(models[m]);
    pn_fixture_remove_dir(vad_folder);
    pn_fixture_remove_dir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pieces),      cmocka_unit_test(test_odd_lengths),
        cmocka_unit_test(test_odd_samples), cmocka_unit_test(test_options),
        cmocka_unit_test(test_longest),     cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_babble),      cmocka_unit_test(test_noises),
    };
    return cmocka_run_group_tests(tests, open_models, close_models);
}
