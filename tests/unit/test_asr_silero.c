/* test_asr_silero.c - Silero's network against the reference's probabilities and traces, and damaged files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/vad/silero_net.h"
#include "asr/vad/vad.h"
#include "fixtures.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char MODEL[] = "silero/for-tests-silero-v6.2.0-ggml.bin";

static struct pn_silero_net *open_net(const char *path)
{
    struct pn_silero_weights *w = NULL;
    struct pn_silero_net *net = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_silero_read(path, &w, &err), 0);
    assert_int_equal(pn_silero_net_new(w, &net), 0);
    free(w);
    return net;
}

static bool clip(const char *name, float **pcm, size_t *n)
{
    char path[PN_FIXTURE_PATH], file[96];
    bool jfk = strcmp(name, "jfk") == 0;
    snprintf(file, sizeof(file), jfk ? "audio/%s.wav" : "silero/wav/%s.wav", name);
    return pn_fixture_shared(file, path) && pn_fixture_wav(path, pcm, n);
}

/* The probability of each window, the last one filled up with zeros. */
static float *probabilities(const struct pn_silero_net *net, const float *pcm, size_t n, bool mirror,
                            size_t *ret_n)
{
    struct pn_silero_state state = { 0 };
    size_t windows = (n + PN_SILERO_WINDOW - 1) / PN_SILERO_WINDOW;
    float *p = malloc((windows + 1) * sizeof(*p));
    assert_non_null(p);
    for (size_t i = 0; i < windows; i++) {
        float window[PN_SILERO_WINDOW] = { 0 };
        size_t from = i * PN_SILERO_WINDOW;
        memcpy(window, pcm + from, PN_MIN(n - from, (size_t)PN_SILERO_WINDOW) * sizeof(*window));
        p[i] = pn_silero_step(net, &state, window, mirror, NULL);
    }
    *ret_n = windows;
    return p;
}

static void check_probs(const char *name, const char *what, const float *p, size_t n, double most)
{
    char file[96], path[PN_FIXTURE_PATH];
    struct pn_npy want;
    double worst = 0;
    snprintf(file, sizeof(file), "silero/golden/%s.%s.npy", name, what);
    PN_SHARED_OR_SKIP(file, path);
    assert_true(pn_npy_load(path, &want));
    assert_int_equal(want.n, n);
    for (size_t i = 0; i < n; i++)
        worst = fmax(worst, fabs((double)p[i] - (double)want.f32[i]));
    print_message("%s.%s: worst difference %.2e\n", name, what, worst);
    assert_true(worst < most);
    pn_npy_done(&want);
}

static void test_probabilities(void **state)
{
    static const char *const CLIPS[] = { "jfk",          "tts_en_pauses", "tts_zh_noisefloor",
                                         "tts_en_noisy", "noise_white",   "hum50",
                                         "silence" };
    char path[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP(MODEL, path);
    struct pn_silero_net *net = open_net(path);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        float *pcm = NULL;
        size_t n = 0, windows;
        assert_true(clip(CLIPS[i], &pcm, &n));
        float *p = probabilities(net, pcm, n, false, &windows);
        check_probs(CLIPS[i], "probs_upstream_f16w", p, windows, 1e-3);
        check_probs(CLIPS[i], "probs_upstream", p, windows, 2e-2);
        free(p);
        p = probabilities(net, pcm, n, true, &windows);
        check_probs(CLIPS[i], "probs_f32act", p, windows, 1e-3);
        check_probs(CLIPS[i], "probs", p, windows, 1e-2);
        free(p);
        free(pcm);
    }
    pn_silero_net_free(net);
}

static void check_array(const char *variant, int window, const char *what, const float *got, size_t n,
                        size_t frames)
{
    char file[96], path[PN_FIXTURE_PATH];
    struct pn_npy want;
    snprintf(file, sizeof(file), "silero/trace/%s.w%d.%s.npy", variant, window, what);
    PN_SHARED_OR_SKIP(file, path);
    assert_true(pn_npy_load(path, &want));
    assert_int_equal(want.n, n);
    for (size_t t = 0; t < frames; t++) /* [channel][frame] there, [frame][channel] here */
        for (size_t c = 0; c < n / frames; c++) {
            double w = (double)want.f32[c * frames + t];
            assert_true(fabs((double)got[t * (n / frames) + c] - w) < 1e-4 + 1e-4 * fabs(w));
        }
    pn_npy_done(&want);
}

static void check_trace(const char *variant, int window, const struct pn_silero_trace *t,
                        const struct pn_silero_state *s, float p)
{
    check_array(variant, window, "input", t->x, PN_ARRAY_LEN(t->x), 1);
    check_array(variant, window, "mag", t->magnitude, PN_ARRAY_LEN(t->magnitude), 4);
    check_array(variant, window, "enc0", t->conv0, PN_ARRAY_LEN(t->conv0), 4);
    check_array(variant, window, "enc1", t->conv1, PN_ARRAY_LEN(t->conv1), 2);
    check_array(variant, window, "enc2", t->conv2, PN_ARRAY_LEN(t->conv2), 1);
    check_array(variant, window, "enc3", t->conv3, PN_ARRAY_LEN(t->conv3), 1);
    check_array(variant, window, "gates", t->gates, PN_ARRAY_LEN(t->gates), 1);
    check_array(variant, window, "c", s->c, PN_ARRAY_LEN(s->c), 1);
    check_array(variant, window, "h", s->h, PN_ARRAY_LEN(s->h), 1);
    check_array(variant, window, "prob", &p, 1, 1);
}

static void test_trace(void **state)
{
    char path[PN_FIXTURE_PATH];
    float *pcm = NULL;
    size_t n = 0;
    PN_SHARED_OR_SKIP(MODEL, path);
    PN_SHARED_OR_SKIP("audio/jfk.wav", path);
    assert_true(pn_fixture_shared(MODEL, path) && clip("jfk", &pcm, &n));
    struct pn_silero_net *net = open_net(path);
    for (int mirror = 0; mirror < 2; mirror++) {
        struct pn_silero_state s = { 0 };
        for (int i = 0; i <= 24; i++) {
            struct pn_silero_trace t;
            float p = pn_silero_step(net, &s, pcm + (size_t)i * PN_SILERO_WINDOW, mirror, &t);
            if (i == 0 || i == 24)
                check_trace(mirror ? "ggml" : "upstream", i, &t, &s, p);
        }
    }
    free(pcm);
    pn_silero_net_free(net);
}

/* ---- segments from samples ---- */

static int ms_of(const json_t *params, const char *key, double scale)
{
    return (int)(json_number_value(json_object_get(params, key)) * scale);
}

/* Upstream's segments of the whole clip, heard in pieces of 20 ms. */
static void check_segments(const struct pn_vad_model *m, const json_t *set, const float *pcm, size_t n)
{
    const json_t *params = json_object_get(set, "params"), *want = json_object_get(set, "upstream_samples");
    struct pn_vad_options opt = {
        .threshold = (float)json_number_value(json_object_get(params, "threshold")),
        .min_speech_ms = ms_of(params, "min_speech_duration_ms", 1),
        .end_silence_ms = ms_of(params, "min_silence_duration_ms", 1),
        .max_speech_ms = ms_of(params, "max_speech_duration_s", 1000),
        .pad_ms = ms_of(params, "speech_pad_ms", 1),
    };
    struct pn_vad *v = NULL;
    struct pn_vad_event e;
    size_t seen = 0;
    assert_int_equal(pn_vad_new(m, &opt, &v), 0);
    for (size_t at = 0; at < n; at += 320)
        assert_int_equal(pn_vad_feed(v, pcm + at, PN_MIN(n - at, (size_t)320)), 0);
    assert_int_equal(pn_vad_end(v), 0);
    for (; pn_vad_next(v, &e); seen++)
        assert_int_equal(e.sample,
                         json_integer_value(json_array_get(json_array_get(want, seen / 2), seen % 2)));
    assert_int_equal(seen, 2 * json_array_size(want));
    pn_vad_free(v);
}

/* Where a difference of 0.01 in the probabilities changes nothing; a pad of 0 cannot be asked for. */
static void test_segments(void **state)
{
    static const char *const CLIPS[] = { "jfk",          "tts_en_pauses", "tts_zh_noisefloor",
                                         "tts_en_noisy", "noise_white",   "hum50",
                                         "silence" };
    char path[PN_FIXTURE_PATH], file[96];
    struct pn_vad_model *m = NULL;
    const char *key;
    json_t *set;
    int checked = 0;
    PN_SHARED_OR_SKIP(MODEL, path);
    assert_int_equal(pn_vad_model_open(path, &m, NULL), 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        float *pcm = NULL;
        size_t n = 0;
        snprintf(file, sizeof(file), "silero/golden/%s.json", CLIPS[i]);
        assert_true(pn_fixture_shared(file, path) && clip(CLIPS[i], &pcm, &n));
        json_t *golden = json_load_file(path, 0, NULL);
        json_object_foreach(json_object_get(golden, "sets"), key, set)
        {
            if (!json_is_true(json_object_get(set, "upstream_stable")) ||
                ms_of(json_object_get(set, "params"), "speech_pad_ms", 1) == 0)
                continue;
            check_segments(m, set, pcm, n);
            checked++;
        }
        json_decref(golden);
        free(pcm);
    }
    print_message("%d sets of segments\n", checked);
    assert_true(checked >= 10);
    pn_vad_model_close(m);
}

/* ---- files ---- */

static int parse(const struct pn_buf *file, size_t len)
{
    struct pn_silero_weights *w = malloc(sizeof(*w));
    struct pn_err err = { 0 };
    assert_non_null(w);
    int r = pn_silero_parse((struct pn_str){ file->ptr, len }, "model.bin", w, &err);
    assert_true((r < 0) == (err.text[0] != 0));
    free(w);
    return r;
}

/* Every cut of the head and of the records' heads, and one in each tensor. */
static void test_truncated(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_buf file;
    PN_SHARED_OR_SKIP(MODEL, path);
    assert_true(pn_fixture_read(path, &file));
    assert_int_equal(parse(&file, file.len), 0);
    for (size_t len = 0; len < file.len; len += len < 300 ? 1 : 4999)
        assert_int_equal(parse(&file, len), -PN_EFORMAT);
    pn_buf_done(&file);
}

static void test_damaged(void **state)
{
    /* byte, new value: magic, type, window, a shape, dims, name, type of values, an infinite weight */
    static const struct {
        size_t at;
        char value;
    } DAMAGE[] = { { 0, 0 },     { 4, 11 },  { 10, 'x' },  { 31, 3 },       { 42, 1 },
                   { 90, 1 },    { 106, 4 }, { 106, -1 },  { 110, 0 },      { 114, 2 },
                   { 113, 127 }, { 118, 2 }, { 130, 'x' }, { 99291, 0x7f }, { 126, 1 } };
    char path[PN_FIXTURE_PATH];
    struct pn_buf file;
    PN_SHARED_OR_SKIP(MODEL, path);
    assert_true(pn_fixture_read(path, &file));
    for (size_t i = 0; i < PN_ARRAY_LEN(DAMAGE); i++) {
        char before = file.ptr[DAMAGE[i].at], next = file.ptr[DAMAGE[i].at - (DAMAGE[i].value == 0x7f)];
        file.ptr[DAMAGE[i].at] = DAMAGE[i].value;
        if (DAMAGE[i].value == 0x7f)
            file.ptr[DAMAGE[i].at - 1] = (char)0x80;
        assert_int_equal(parse(&file, file.len), -PN_EFORMAT);
        file.ptr[DAMAGE[i].at - (DAMAGE[i].value == 0x7f)] = next;
        file.ptr[DAMAGE[i].at] = before;
    }
    /* the last record twice */
    pn_buf_append(&file, file.ptr + 752598, 752901 - 752598);
    assert_int_equal(parse(&file, file.len), -PN_EFORMAT);
    pn_buf_done(&file);
}

static void test_missing(void **state)
{
    struct pn_silero_weights *w = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_silero_read("/nowhere/model.bin", &w, &err), -PN_ENOTFOUND);
    assert_null(w);
    assert_null(pn_silero_net_free(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probabilities), cmocka_unit_test(test_trace),   cmocka_unit_test(test_segments),
        cmocka_unit_test(test_truncated),     cmocka_unit_test(test_damaged), cmocka_unit_test(test_missing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
