/* test_audio_features.c - log-mel rows against the reference's arrays, and what must not change them: the
 * pieces in which samples come, padding, very short clips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "audio/mel_filters.h"
#include "audio/mel_front.h"
#include "fixtures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PAD = 480000 };

static struct pn_features *make(const struct pn_mel *m, const float *pcm, size_t n, size_t pad)
{
    struct pn_features *f = NULL;
    assert_int_equal(pn_features_new(m, &f), 0);
    assert_int_equal(pn_features_feed(f, pcm, n), 0);
    assert_int_equal(pn_features_end(f, pad), 0);
    return f;
}

/* The array is [bin][frame] of frames from `from` on. */
static double worst_difference(const struct pn_features *f, const struct pn_npy *want, int64_t from)
{
    size_t bins = want->dim[0], frames = want->dim[1];
    float *got = malloc(bins * frames * sizeof(*got));
    assert_non_null(got);
    pn_features_read(f, from, (int64_t)frames, got);
    double worst = 0;
    for (size_t b = 0; b < bins; b++)
        for (size_t t = 0; t < frames; t++)
            worst = fmax(worst, fabs((double)got[t * bins + b] - (double)want->f32[b * frames + t]));
    free(got);
    return worst;
}

static void check_golden(const char *name, const float *pcm, size_t n, size_t pad, int64_t from)
{
    char path[PN_FIXTURE_PATH], file[64];
    struct pn_npy want;
    snprintf(file, sizeof(file), "whisper/mel/%s.npy", name);
    PN_SHARED_OR_SKIP(file, path);
    assert_true(pn_npy_load(path, &want));
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new((int)want.dim[0], &m), 0);
    struct pn_features *f = make(m, pcm, n, pad);
    if (pad == 0)
        assert_int_equal(pn_features_frames(f), want.dim[1]);
    double worst = worst_difference(f, &want, from);
    print_message("%s: worst difference %.2e\n", name, worst);
    assert_true(worst < 1e-4);
    pn_features_free(f);
    pn_mel_free(m);
    pn_npy_done(&want);
}

static void test_jfk(void **state)
{
    char path[PN_FIXTURE_PATH];
    float *pcm = NULL;
    size_t n;
    PN_SHARED_OR_SKIP("audio/jfk.wav", path);
    assert_true(pn_fixture_wav(path, &pcm, &n));
    check_golden("jfk.mel80", pcm, n, 0, 0);
    check_golden("jfk.mel128", pcm, n, 0, 0);
    check_golden("jfk.mel80.padded_tail", pcm, n, PAD, 1090);
    free(pcm);
}

static void test_tone(void **state)
{
    static const size_t LENGTHS[] = { 201, 399, 400, 560, 1000 };
    char path[PN_FIXTURE_PATH], name[64];
    struct pn_npy tone;
    PN_SHARED_OR_SKIP("whisper/mel/tone_s16.npy", path);
    assert_true(pn_npy_load(path, &tone));
    float *pcm = malloc(tone.n * sizeof(*pcm));
    assert_non_null(pcm);
    for (size_t i = 0; i < tone.n; i++)
        pcm[i] = (float)tone.s16[i] / 32768.0F;
    check_golden("tone.mel80", pcm, tone.n, 0, 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(LENGTHS); i++) {
        snprintf(name, sizeof(name), "tone_first%zu.mel80", LENGTHS[i]);
        check_golden(name, pcm, LENGTHS[i], 0, 0);
    }
    free(pcm);
    pn_npy_done(&tone);
}

static void check_filters(int bins)
{
    char path[PN_FIXTURE_PATH], name[64];
    struct pn_npy want;
    struct pn_mel_filters f;
    snprintf(name, sizeof(name), "whisper/mel/mel_filters_%d.npy", bins);
    PN_SHARED_OR_SKIP(name, path);
    assert_true(pn_npy_load(path, &want));
    assert_int_equal(pn_mel_filters_slaney(&f, bins), 0);
    for (int m = 0; m < bins; m++)
        for (int k = 0; k < PN_FFT_BINS; k++) {
            int i = k - f.filter[m].first;
            float w = i >= 0 && i < f.filter[m].n ? f.weight[f.filter[m].offset + i] : 0;
            assert_true(fabsf(w - want.f32[m * PN_FFT_BINS + k]) < 1e-8F);
        }
    pn_mel_filters_done(&f);
    pn_npy_done(&want);
}

static void test_filters(void **state)
{
    check_filters(80);
    check_filters(128);
}

/* The transform against the definition, in double. */
static void test_spectrum(void **state)
{
    static struct pn_fft400 t;
    float x[3 * PN_MEL_HOP + PN_FFT_SIZE];
    pn_lanes power[PN_FFT_BINS];
    unsigned seed = 1;
    for (size_t i = 0; i < PN_ARRAY_LEN(x); i++)
        x[i] = (float)rand_r(&seed) / (float)RAND_MAX - 0.5F;
    pn_fft400_init(&t);
    pn_fft400_power(&t, x, PN_MEL_HOP, power);
    for (int l = 0; l < PN_FFT_LANES; l++)
        for (int k = 0; k < PN_FFT_BINS; k++) {
            double re = 0, im = 0;
            for (int i = 0; i < PN_FFT_SIZE; i++) {
                double v = (double)x[l * PN_MEL_HOP + i] * (0.5 - 0.5 * cos(2 * M_PI * i / PN_FFT_SIZE));
                re += v * cos(2 * M_PI * i * k / PN_FFT_SIZE);
                im += v * sin(2 * M_PI * i * k / PN_FFT_SIZE);
            }
            assert_true(fabs((double)power[k][l] - (re * re + im * im)) < 2e-5 * (1 + re * re + im * im));
        }
}

static float *noise(size_t n)
{
    float *pcm = malloc(n * sizeof(*pcm));
    unsigned seed = 7;
    assert_non_null(pcm);
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)rand_r(&seed) / (float)RAND_MAX - 0.5F;
    return pcm;
}

static void assert_same(const struct pn_features *a, const struct pn_features *b, int64_t frames, int bins)
{
    size_t size = (size_t)frames * (size_t)bins * sizeof(float);
    float *x = malloc(size), *y = malloc(size);
    assert_true(x && y);
    pn_features_read(a, 0, frames, x);
    pn_features_read(b, 0, frames, y);
    assert_memory_equal(x, y, size);
    free(x);
    free(y);
}

/* Whatever the pieces, the same rows, bit for bit. */
static void test_pieces(void **state)
{
    enum { N = 16000 * 31 + 77 };
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new(80, &m), 0);
    float *pcm = noise(N);
    struct pn_features *whole = make(m, pcm, N, PAD);
    for (size_t most = 1; most < 100000; most = most * 7 + 1) {
        struct pn_features *f = NULL;
        unsigned seed = (unsigned)most;
        assert_int_equal(pn_features_new(m, &f), 0);
        for (size_t at = 0, some; at < N; at += some) {
            some = (size_t)rand_r(&seed) % most + 1;
            some = PN_MIN(some, N - at);
            assert_int_equal(pn_features_feed(f, pcm + at, some), 0);
        }
        assert_int_equal(pn_features_end(f, PAD), 0);
        assert_same(whole, f, N / PN_MEL_HOP + 3000, 80);
        pn_features_free(f);
    }
    pn_features_free(whole);
    free(pcm);
    pn_mel_free(m);
}

/* Padding is the same as feeding zeros, at every distance from the mirrored end. */
static void test_padding(void **state)
{
    static const size_t PADS[] = { 0, 1, 39, 40, 41, 159, 160, 199, 200, 201, 399, 400, 401, 1000, 48000 };
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new(80, &m), 0);
    for (size_t n = 150; n < 1400; n += 83)
        for (size_t i = 0; i < PN_ARRAY_LEN(PADS); i++) {
            float *pcm = noise(n + PADS[i]);
            memset(pcm + n, 0, PADS[i] * sizeof(*pcm));
            struct pn_features *padded = make(m, pcm, n, PADS[i]), *fed = make(m, pcm, n + PADS[i], 0);
            assert_int_equal(pn_features_frames(padded), n / PN_MEL_HOP);
            assert_int_equal(pn_features_samples(padded), n);
            assert_same(padded, fed, (int64_t)(n + PADS[i]) / PN_MEL_HOP, 80);
            pn_features_free(padded);
            pn_features_free(fed);
            free(pcm);
        }
    pn_mel_free(m);
}

static void test_silence(void **state)
{
    static const float ZEROS[1600];
    float row[2 * 80];
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new(80, &m), 0);
    for (size_t n = 0; n <= 1600; n += 100) {
        struct pn_features *f = make(m, ZEROS, n, PAD);
        for (int64_t from = 0; from < 4000; from += 999) {
            pn_features_read(f, from, 2, row);
            for (size_t i = 0; i < PN_ARRAY_LEN(row); i++)
                assert_true(row[i] == -1.5F);
        }
        pn_features_free(f);
    }
    pn_mel_free(m);
}

/* Samples from a damaged float recording: rows stay finite, and later ones are not touched. */
static void test_not_numbers(void **state)
{
    float *pcm = noise(32000), row[80];
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new(80, &m), 0);
    pcm[5] = NAN;
    pcm[3000] = INFINITY;
    pcm[6000] = 3e38F;
    struct pn_features *f = make(m, pcm, 32000, PAD);
    pcm[5] = pcm[3000] = pcm[6000] = 0;
    struct pn_features *clean = make(m, pcm, 32000, PAD);
    for (int64_t t = 0; t < 200; t++) {
        float want[80];
        pn_features_read(f, t, 1, row);
        pn_features_read(clean, t, 1, want);
        for (size_t b = 0; b < PN_ARRAY_LEN(row); b++)
            assert_true(isfinite(row[b]));
        if (t > 50)
            assert_memory_equal(row, want, sizeof(row));
    }
    pn_features_free(f);
    pn_features_free(clean);
    free(pcm);
    pn_mel_free(m);
}

static void test_misuse(void **state)
{
    static const float ZERO[1];
    struct pn_mel *m = NULL;
    assert_int_equal(pn_mel_new(0, &m), -PN_EINVAL);
    assert_int_equal(pn_mel_new(257, &m), -PN_EINVAL);
    assert_int_equal(pn_mel_new(256, &m), 0);
    struct pn_features *f = make(m, ZERO, 1, 0);
    assert_int_equal(pn_features_feed(f, ZERO, 1), -PN_EINVAL);
    assert_int_equal(pn_features_end(f, 0), -PN_EINVAL);
    pn_features_free(f);
    pn_mel_free(m);
    assert_null(pn_mel_free(NULL));
    assert_null(pn_features_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters), cmocka_unit_test(test_spectrum),    cmocka_unit_test(test_jfk),
        cmocka_unit_test(test_tone),    cmocka_unit_test(test_pieces),      cmocka_unit_test(test_padding),
        cmocka_unit_test(test_silence), cmocka_unit_test(test_not_numbers), cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
