/* test_audio_fbank.c - Kaldi's filter bank, stacking and CMVN against the reference's arrays, and what must
 * not change them: the pieces in which samples come, when rows are taken, very short clips, no numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "audio/fbank.h"
#include "fixtures.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pn_fbank *bank(int m, int n, const float *shift, const float *scale)
{
    struct pn_fbank_options opt = { .n_mels = 80, .lfr_m = m, .lfr_n = n, .shift = shift, .scale = scale };
    struct pn_fbank *f = NULL;
    assert_int_equal(pn_fbank_new(&opt, &f), 0);
    return f;
}

/* Rows of a clip fed in pieces of 1..most samples and taken as they become ready. */
struct rows {
    size_t n;
    float *at;
};

static void take_ready(struct pn_fbank_stream *s, int width, struct rows *out)
{
    size_t ready = pn_fbank_stream_ready(s);
    float *grown = realloc(out->at, (out->n + ready + 1) * (size_t)width * sizeof(*grown));
    assert_non_null(grown);
    out->at = grown;
    pn_fbank_stream_take(s, ready, out->at + out->n * (size_t)width);
    out->n += ready;
}

static struct rows rows_of(const struct pn_fbank *f, const float *pcm, size_t n, size_t most, bool end)
{
    struct rows out = { 0 };
    struct pn_fbank_stream *s = NULL;
    unsigned seed = (unsigned)most;
    assert_int_equal(pn_fbank_stream_new(f, &s), 0);
    for (size_t at = 0, some; at < n; at += some) {
        some = most < n ? (size_t)rand_r(&seed) % most + 1 : n;
        some = PN_MIN(some, n - at);
        assert_int_equal(pn_fbank_stream_feed(s, pcm + at, some), 0);
        take_ready(s, pn_fbank_width(f), &out);
    }
    if (end)
        pn_fbank_stream_end(s);
    take_ready(s, pn_fbank_width(f), &out);
    assert_int_equal(pn_fbank_stream_samples(s), n);
    pn_fbank_stream_free(s);
    return out;
}

static float *noise(size_t n)
{
    float *pcm = malloc((n + 1) * sizeof(*pcm));
    unsigned seed = 7;
    assert_non_null(pcm);
    for (size_t i = 0; i < n; i++)
        pcm[i] = (float)rand_r(&seed) / (float)RAND_MAX - 0.5F;
    return pcm;
}

/* ---- against the reference ---- */

struct cmvn {
    float shift[560], scale[560];
};

/* The bracketed group behind a tag of an am.mvn file. */
static void read_group(const char *text, const char *tag, float values[560])
{
    const char *at = strstr(text, tag);
    assert_non_null(at);
    at = strchr(at, '[');
    assert_non_null(at);
    char *next = (char *)(uintptr_t)(at + 1);
    for (int i = 0; i < 560; i++)
        values[i] = strtof(next, &next);
}

static bool read_cmvn(struct cmvn *c)
{
    char path[PN_FIXTURE_PATH];
    struct pn_buf text;
    if (!pn_fixture_shared("paraformer/models/micro-offline/am.mvn", path))
        return false;
    assert_true(pn_fixture_read(path, &text));
    read_group(text.ptr, "<AddShift>", c->shift);
    read_group(text.ptr, "<Rescale>", c->scale);
    pn_buf_done(&text);
    return true;
}

static double worst_difference(const struct rows *got, const struct pn_npy *want)
{
    double worst = 0;
    assert_int_equal(got->n, want->dim[0]);
    for (size_t i = 0; i < want->n; i++)
        worst = fmax(worst, fabs((double)got->at[i] - (double)want->f32[i]));
    return worst;
}

/* One array of one clip. */
static void check_golden(const struct pn_fbank *f, const char *clip, const char *array, bool end)
{
    char path[PN_FIXTURE_PATH], file[96];
    float *pcm = NULL;
    size_t n;
    struct pn_npy want;
    snprintf(file, sizeof(file), "paraformer/golden/frontend/%s/%s.npy", clip, array);
    PN_SHARED_OR_SKIP(file, path);
    assert_true(pn_npy_load(path, &want));
    snprintf(file, sizeof(file), "paraformer/wav/%s.wav", clip);
    PN_SHARED_OR_SKIP(file, path);
    assert_true(pn_fixture_wav(path, &pcm, &n));
    struct rows got = rows_of(f, pcm, n, 600, end);
    double worst = worst_difference(&got, &want);
    print_message("%s/%s: worst difference %.2e\n", clip, array, worst);
    assert_true(worst < 1e-3);
    free(got.at);
    free(pcm);
    pn_npy_done(&want);
}

static void test_golden(void **state)
{
    static const char *const CLIPS[] = { "b00700", "b08000", "b10560", "b19700", "b28800", "c02",
                                         "c03",    "d02",    "d03",    "s01",    "z16000" };
    struct cmvn c;
    if (!read_cmvn(&c))
        skip();
    struct pn_fbank *frames = bank(1, 1, NULL, NULL), *stacked = bank(7, 6, NULL, NULL),
                    *full = bank(7, 6, c.shift, c.scale);
    check_golden(frames, "d02", "fbank", true);
    check_golden(frames, "s01", "fbank", true);
    check_golden(stacked, "d02", "lfr", true);
    check_golden(stacked, "s01", "lfr", true);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++)
        check_golden(full, CLIPS[i], "feats", true);
    pn_fbank_free(frames);
    pn_fbank_free(stacked);
    pn_fbank_free(full);
}

/* Without an end, only the rows whose last frame is here: of b19700 the two whole chunks' (the recogniser
 * never shows the tail to the front end). */
static void test_without_end(void **state)
{
    char path[PN_FIXTURE_PATH];
    float *pcm = NULL;
    size_t n;
    struct cmvn c;
    struct pn_npy want;
    if (!read_cmvn(&c))
        skip();
    PN_SHARED_OR_SKIP("paraformer/golden/frontend/b19700/feats_stream600.npy", path);
    assert_true(pn_npy_load(path, &want));
    PN_SHARED_OR_SKIP("paraformer/wav/b19700.wav", path);
    assert_true(pn_fixture_wav(path, &pcm, &n));
    struct pn_fbank *f = bank(7, 6, c.shift, c.scale);
    struct rows got = rows_of(f, pcm, n / 9600 * 9600, 9600, false);
    assert_true(worst_difference(&got, &want) < 1e-3);
    free(got.at);
    got = rows_of(f, pcm, 700, 700, false);
    assert_int_equal(got.n, 0);
    free(got.at);
    free(pcm);
    pn_fbank_free(f);
    pn_npy_done(&want);
}

/* ---- by definition ---- */

static double definition(const float *x, int bin)
{
    double mean = 0, re = 0, im = 0;
    for (int i = 0; i < 400; i++)
        mean += (double)x[i] * 32768 / 400;
    for (int i = 0; i < 400; i++) {
        double here = (double)x[i] * 32768 - mean, before = (double)x[i ? i - 1 : 0] * 32768 - mean;
        double y = (here - 0.97 * before) * (0.54 - 0.46 * cos(2 * M_PI * i / 399));
        re += y * cos(2 * M_PI * i * bin / 512);
        im += y * sin(2 * M_PI * i * bin / 512);
    }
    return re * re + im * im;
}

static void test_definition(void **state)
{
    struct pn_fbank *f = bank(1, 1, NULL, NULL);
    float *pcm = noise(400);
    struct rows got = rows_of(f, pcm, 400, 400, true);
    double low = 1127 * log(1 + 20.0 / 700), step = (1127 * log(1 + 8000.0 / 700) - low) / 81;
    assert_int_equal(got.n, 1);
    for (int b = 0; b < 80; b++) {
        double sum = 0;
        for (int k = 0; k < 256; k++) {
            double at = (1127 * log(1 + 31.25 * k / 700) - low) / step - b;
            sum += fmax(0, fmin(at, 2 - at)) * definition(pcm, k);
        }
        assert_true(fabs((double)got.at[b] - log(sum)) < 1e-4);
    }
    free(got.at);
    free(pcm);
    pn_fbank_free(f);
}

/* Row i holds frames n i - (m - 1) / 2 .. + m - 1, clamped to those that exist. */
static void test_stacking(void **state)
{
    enum { N = 16000 };
    static const int SHAPES[][2] = {
        { 7, 6 }, { 5, 1 }, { 1, 1 }, { 2, 3 }, { 16, 16 }, { 3, 16 }, { 4, 1 }
    };
    float *pcm = noise(N);
    struct pn_fbank *one = bank(1, 1, NULL, NULL);
    for (size_t n = 0; n <= N; n += n < 3000 ? 97 : 6501) {
        struct rows frames = rows_of(one, pcm, n, 160, true);
        assert_int_equal(frames.n, n < 400 ? 0 : 1 + (n - 400) / 160);
        for (size_t s = 0; s < PN_ARRAY_LEN(SHAPES); s++) {
            int lfr_m = SHAPES[s][0], lfr_n = SHAPES[s][1], last = (int)frames.n - 1;
            struct pn_fbank *f = bank(lfr_m, lfr_n, NULL, NULL);
            struct rows got = rows_of(f, pcm, n, 500, true);
            assert_int_equal(got.n, (frames.n + (size_t)lfr_n - 1) / (size_t)lfr_n);
            for (int i = 0; i < (int)got.n; i++)
                for (int j = 0; j < lfr_m; j++) {
                    int frame = i * lfr_n - (lfr_m - 1) / 2 + j;
                    frame = frame < 0 ? 0 : PN_MIN(frame, last);
                    assert_memory_equal(got.at + (i * lfr_m + j) * 80, frames.at + frame * 80,
                                        80 * sizeof(float));
                }
            free(got.at);
            pn_fbank_free(f);
        }
        free(frames.at);
    }
    pn_fbank_free(one);
    free(pcm);
}

/* Whatever the pieces, the same rows, bit for bit. */
static void test_pieces(void **state)
{
    enum { N = 16000 * (PN_SANITIZED ? 1 : 7) + 77 };
    struct pn_fbank *f = bank(7, 6, NULL, NULL);
    float *pcm = noise(N);
    struct rows whole = rows_of(f, pcm, N, N, true);
    for (size_t most = 1; most < N; most = most * 5 + 1) {
        struct rows got = rows_of(f, pcm, N, most, true);
        assert_int_equal(got.n, whole.n);
        assert_memory_equal(got.at, whole.at, whole.n * 560 * sizeof(float));
        free(got.at);
    }
    free(whole.at);
    free(pcm);
    pn_fbank_free(f);
}

/* A stream that was used for one clip gives the next the rows of a fresh one. */
static void test_reset(void **state)
{
    enum { N = 8000 };
    struct pn_fbank *f = bank(7, 6, NULL, NULL);
    struct pn_fbank_stream *s = NULL;
    float *pcm = noise(N), out[8 * 560];
    struct rows fresh = rows_of(f, pcm, N, N, true);
    assert_int_equal(fresh.n, 8);
    assert_int_equal(pn_fbank_stream_new(f, &s), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pn_fbank_stream_feed(s, pcm + 77 * i, (size_t)(501 * i)), 0);
        pn_fbank_stream_end(s);
        assert_int_equal(pn_fbank_stream_feed(s, pcm, 1), -PN_EINVAL);
        pn_fbank_stream_reset(s);
        assert_int_equal(pn_fbank_stream_samples(s), 0);
        assert_int_equal(pn_fbank_stream_feed(s, pcm, N), 0);
        pn_fbank_stream_end(s);
        assert_int_equal(pn_fbank_stream_ready(s), 8);
        pn_fbank_stream_take(s, 8, out);
        assert_memory_equal(out, fresh.at, sizeof(out));
        pn_fbank_stream_reset(s);
    }
    pn_fbank_stream_free(s);
    free(fresh.at);
    free(pcm);
    pn_fbank_free(f);
}

static void test_silence(void **state)
{
    static const float ZEROS[4000];
    struct pn_fbank *f = bank(7, 6, NULL, NULL);
    struct rows got = rows_of(f, ZEROS, PN_ARRAY_LEN(ZEROS), 4000, true);
    for (size_t i = 0; i < got.n * 560; i++)
        assert_true(fabsf(got.at[i] - -15.942385F) < 1e-5F);
    free(got.at);
    pn_fbank_free(f);
}

/* Samples from a damaged recording count as 0. */
static void test_not_numbers(void **state)
{
    enum { N = 8000 };
    struct pn_fbank *f = bank(7, 6, NULL, NULL);
    float *pcm = noise(N);
    pcm[5] = NAN;
    pcm[3000] = -INFINITY;
    pcm[6000] = 3e38F;
    struct rows odd = rows_of(f, pcm, N, 100, true);
    pcm[5] = pcm[3000] = pcm[6000] = 0;
    struct rows clean = rows_of(f, pcm, N, 100, true);
    assert_memory_equal(odd.at, clean.at, clean.n * 560 * sizeof(float));
    free(odd.at);
    free(clean.at);
    free(pcm);
    pn_fbank_free(f);
}

static void test_misuse(void **state)
{
    static const float ONES[80];
    static const struct pn_fbank_options BAD[] = {
        { .n_mels = 0, .lfr_m = 1, .lfr_n = 1 },  { .n_mels = 129, .lfr_m = 1, .lfr_n = 1 },
        { .n_mels = 80, .lfr_m = 0, .lfr_n = 1 }, { .n_mels = 80, .lfr_m = 17, .lfr_n = 1 },
        { .n_mels = 80, .lfr_m = 1, .lfr_n = 0 }, { .n_mels = 80, .lfr_m = 1, .lfr_n = 1, .shift = ONES },
    };
    struct pn_fbank *f = NULL;
    for (size_t i = 0; i < PN_ARRAY_LEN(BAD); i++)
        assert_int_equal(pn_fbank_new(&BAD[i], &f), -PN_EINVAL);
    assert_null(pn_fbank_free(NULL));
    assert_null(pn_fbank_stream_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),     cmocka_unit_test(test_without_end),
        cmocka_unit_test(test_definition), cmocka_unit_test(test_stacking),
        cmocka_unit_test(test_pieces),     cmocka_unit_test(test_reset),
        cmocka_unit_test(test_silence),    cmocka_unit_test(test_not_numbers),
        cmocka_unit_test(test_misuse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
