/* test_asr_fsmn.c - FSMN-VAD against the reference: probabilities, levels, segments of whole clips and of
 * clips in pieces of 60, 200 and 600 ms, classic and dynamic. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/vad/fsmn_model.h"
#include "asr/vad/levels.h"
#include "asr/vad/vad.h"
#include "fixtures.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FOLDER[] = "paraformer/models/micro-vad";
static const char *const CLIPS[] = { "b08000", "l01", "s01", "v01" };

/* From tests/data, else from the shared fixtures; some clips are in the latter alone. */
static bool find(const char *name, char path[PN_FIXTURE_PATH])
{
    return pn_fixture_data(name, path) || pn_fixture_shared(name, path);
}

static bool have(const char *clip)
{
    char file[96], path[PN_FIXTURE_PATH];
    snprintf(file, sizeof(file), "paraformer/golden/micro-vad/%s/result.json", clip);
    return find(file, path);
}

static void load_wav(const char *clip, float **pcm, size_t *n)
{
    char file[96], path[PN_FIXTURE_PATH];
    snprintf(file, sizeof(file), "paraformer/wav/%s.wav", clip);
    assert_true(find(file, path) && pn_fixture_wav(path, pcm, n));
}

static void load_npy(const char *clip, const char *what, struct pn_npy *ret)
{
    char file[96], path[PN_FIXTURE_PATH];
    snprintf(file, sizeof(file), "paraformer/golden/micro-vad/%s/%s.npy", clip, what);
    assert_true(find(file, path) && pn_npy_load(path, ret));
}

static json_t *load_result(const char *clip)
{
    char file[96], path[PN_FIXTURE_PATH];
    snprintf(file, sizeof(file), "paraformer/golden/micro-vad/%s/result.json", clip);
    assert_true(find(file, path));
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

/* ---- the network ---- */

static struct pn_fsmn_model *open_model(const char *path)
{
    struct pn_fsmn_model *m = NULL;
    struct pn_err err = { 0 };
    int r = pn_fsmn_model_open(path, &m, &err);
    if (r < 0)
        print_error("%s\n", err.text);
    assert_int_equal(r, 0);
    return m;
}

static void check_network(const struct pn_fsmn_model *m, const char *clip, int batch)
{
    float *pcm = NULL, rows[PN_FSMN_BATCH * 400], p[PN_FSMN_BATCH];
    size_t n, done = 0;
    double worst = 0;
    struct pn_npy want;
    struct pn_fbank_stream *s = NULL;
    struct pn_fsmn_memory *memory = NULL;
    load_wav(clip, &pcm, &n);
    load_npy(clip, "p_sil", &want);
    assert_int_equal(pn_fbank_stream_new(m->fbank, &s), 0);
    assert_int_equal(pn_fsmn_memory_new(m->net, &memory), 0);
    assert_int_equal(pn_fbank_stream_feed(s, pcm, n), 0);
    pn_fbank_stream_end(s);
    assert_int_equal(pn_fbank_stream_ready(s), want.n);
    for (size_t some; (some = PN_MIN(pn_fbank_stream_ready(s), (size_t)batch)) > 0; done += some) {
        pn_fbank_stream_take(s, some, rows);
        pn_fsmn_run(m->net, memory, (int)some, rows, p);
        for (size_t i = 0; i < some; i++)
            worst = fmax(worst, fabs((double)p[i] - (double)want.f32[done + i]));
    }
    print_message("%s, %d rows at a time: worst difference of P(silence) %.2e\n", clip, batch, worst);
    assert_true(worst < 1e-5);
    pn_fsmn_memory_free(memory);
    pn_fbank_stream_free(s);
    free(pcm);
    pn_npy_done(&want);
}

static void test_network(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(find(FOLDER, path));
    struct pn_fsmn_model *m = open_model(path);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        if (!have(CLIPS[i]))
            continue;
        check_network(m, CLIPS[i], PN_FSMN_BATCH);
        check_network(m, CLIPS[i], 1);
    }
    pn_fsmn_model_close(m);
}

static void test_levels(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(find(FOLDER, path));
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        if (!have(CLIPS[i]))
            continue;
        struct pn_levels l = { 0 };
        struct pn_npy want;
        float *pcm = NULL;
        size_t n, some;
        load_wav(CLIPS[i], &pcm, &n);
        load_npy(CLIPS[i], "decibel", &want);
        for (size_t at = 0; at < n; at += some) {
            int64_t before = l.frames;
            some = PN_MIN(n - at, (size_t)1001);
            pn_levels_feed(&l, pcm + at, some);
            for (int64_t f = before; f < l.frames; f++)
                assert_true(fabs(l.decibel[f % PN_LEVELS_KEPT] - (double)want.f32[f]) < 1e-3);
        }
        assert_int_equal(l.frames, want.n);
        free(pcm);
        pn_npy_done(&want);
    }
}

/* ---- decisions from the reference's probabilities ---- */

struct boundaries {
    struct {
        int call;
        bool start;
        int64_t ms;
    } at[64];
    size_t n;
};

/* Rows known after `samples`: two frames wait for those behind them. */
static int64_t rows_after(int64_t samples, int64_t all, bool whole)
{
    int64_t frames = samples < 400 ? 0 : 1 + (samples - 400) / 160;
    return whole ? all : PN_MAX(frames - 2, 0);
}

static void decide(const struct pn_fsmn_rules *rules, const char *clip, int64_t samples, int call_ms,
                   struct boundaries *ret)
{
    struct pn_npy p, decibel;
    struct pn_fsmn_decision d;
    int64_t row = 0, fed = 0;
    load_npy(clip, "p_sil", &p);
    load_npy(clip, "decibel", &decibel);
    pn_fsmn_decision_init(&d, rules);
    for (int call = 0; fed < samples; call++) {
        fed = PN_MIN(fed + (int64_t)call_ms * 16, samples);
        pn_fsmn_call_begin(&d, call_ms);
        for (int64_t until = rows_after(fed, (int64_t)p.n, fed == samples); row < until; row++) {
            int64_t ms = 0;
            enum pn_fsmn_change c =
                pn_fsmn_frame(&d, (double)p.f32[row], (double)decibel.f32[row], row + 1 == (int64_t)p.n, &ms);
            if (c != PN_FSMN_NOTHING && ret->n < PN_ARRAY_LEN(ret->at)) {
                ret->at[ret->n].call = call;
                ret->at[ret->n].start = c == PN_FSMN_START;
                ret->at[ret->n++].ms = ms;
            }
        }
        pn_fsmn_call_end(&d);
    }
    pn_npy_done(&p);
    pn_npy_done(&decibel);
}

/* [[start, end], ...] */
static void check_segments(const struct boundaries *got, const json_t *want)
{
    assert_int_equal(got->n, 2 * json_array_size(want));
    for (size_t i = 0; i < got->n; i++) {
        assert_true(got->at[i].start == (i % 2 == 0));
        assert_int_equal(got->at[i].ms,
                         json_integer_value(json_array_get(json_array_get(want, i / 2), i % 2)));
    }
}

/* [{call, value: [[start or -1, end or -1], ...]}, ...] */
static void check_calls(const struct boundaries *got, const json_t *want)
{
    size_t i, k, seen = 0;
    json_t *call, *pair;
    json_array_foreach(want, i, call)
        json_array_foreach(json_object_get(call, "value"), k, pair) for (size_t side = 0; side < 2; side++)
    {
        int64_t ms = json_integer_value(json_array_get(pair, side));
        if (ms < 0)
            continue;
        assert_true(seen < got->n);
        assert_int_equal(got->at[seen].call, json_integer_value(json_object_get(call, "call")));
        assert_true(got->at[seen].start == (side == 0));
        assert_int_equal(got->at[seen].ms, ms);
        seen++;
    }
    assert_int_equal(seen, got->n);
}

static void check_decisions(const struct pn_fsmn_rules *rules, const char *clip, bool dynamic)
{
    static const int CALLS_MS[] = { 60, 200, 600 };
    json_t *result = load_result(clip);
    int64_t samples = json_integer_value(json_object_get(result, "samples"));
    struct pn_fsmn_rules r = *rules;
    struct boundaries got = { 0 };
    char key[64];
    r.dynamic = dynamic;
    if (dynamic)
        r.speech_noise_thres = 0.5;
    decide(&r, clip, samples, 60000, &got);
    check_segments(&got, json_object_get(result, dynamic ? "offline_dynamic_default" : "offline_fixed_800"));
    for (size_t i = 0; i < PN_ARRAY_LEN(CALLS_MS); i++) {
        snprintf(key, sizeof(key), "stream_%dms_%s", CALLS_MS[i], dynamic ? "dynamic" : "fixed_800");
        got = (struct boundaries){ 0 };
        decide(&r, clip, samples, CALLS_MS[i], &got);
        check_calls(&got, json_object_get(result, key));
    }
    json_decref(result);
}

static void test_decisions(void **state)
{
    char path[PN_FIXTURE_PATH];
    assert_true(find(FOLDER, path));
    struct pn_fsmn_model *m = open_model(path);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        if (!have(CLIPS[i]))
            continue;
        check_decisions(&m->rules, CLIPS[i], false);
        check_decisions(&m->rules, CLIPS[i], true);
    }
    pn_fsmn_model_close(m);
}

/* ---- the detector, from samples ---- */

/* Pieces of the reference's calls: 60 ms. */
static void listen(const struct pn_vad_model *m, const float *pcm, size_t n, bool dynamic,
                   struct boundaries *ret)
{
    struct pn_vad_options opt = { .dynamic_silence = dynamic };
    struct pn_vad *v = NULL;
    struct pn_vad_event e;
    assert_int_equal(pn_vad_new(m, &opt, &v), 0);
    int call = 0;
    for (size_t at = 0; at < n; at += 960, call++) {
        assert_int_equal(pn_vad_feed(v, pcm + at, PN_MIN(n - at, (size_t)960)), 0);
        if (at + 960 >= n)
            assert_int_equal(pn_vad_end(v), 0);
        while (pn_vad_next(v, &e) && ret->n < PN_ARRAY_LEN(ret->at)) {
            ret->at[ret->n].call = call;
            ret->at[ret->n].start = e.start;
            ret->at[ret->n++].ms = e.sample / 16;
        }
    }
    pn_vad_free(v);
}

static void test_detector(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_vad_model *m = NULL;
    assert_true(find(FOLDER, path));
    assert_int_equal(pn_vad_model_open(path, &m, NULL), 0);
    assert_int_equal(pn_vad_model_kind(m), PN_VAD_FSMN);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++) {
        if (!have(CLIPS[i]))
            continue;
        float *pcm = NULL;
        size_t n;
        json_t *result = load_result(CLIPS[i]);
        struct boundaries classic = { 0 }, dynamic = { 0 };
        load_wav(CLIPS[i], &pcm, &n);
        listen(m, pcm, n, false, &classic);
        check_calls(&classic, json_object_get(result, "stream_60ms_fixed_800"));
        listen(m, pcm, n, true, &dynamic);
        check_calls(&dynamic, json_object_get(result, "stream_60ms_dynamic"));
        free(pcm);
        json_decref(result);
    }
    pn_vad_model_close(m);
}

/* P(silence) is exactly 1 there, which the reference does not survive. */
static void test_digital_silence(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_vad_model *m = NULL;
    float *pcm = NULL;
    size_t n = 16000;
    struct boundaries got = { 0 };
    assert_true(find(FOLDER, path));
    assert_int_equal(pn_vad_model_open(path, &m, NULL), 0);
    pcm = calloc(n, sizeof(*pcm));
    assert_non_null(pcm);
    listen(m, pcm, n, false, &got);
    listen(m, pcm, n, true, &got);
    assert_int_equal(got.n, 0);
    free(pcm);
    pn_vad_model_close(m);
}

static void test_wrong_folder(void **state)
{
    char path[PN_FIXTURE_PATH];
    struct pn_vad_model *m = NULL;
    struct pn_err err = { 0 };
    assert_true(find("paraformer/models/micro-offline", path));
    assert_int_equal(pn_vad_model_open(path, &m, &err), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "Paraformer"));
    assert_int_equal(pn_vad_model_open("/nowhere", &m, NULL), -PN_ENOTFOUND);
    assert_null(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_network),         cmocka_unit_test(test_levels),
        cmocka_unit_test(test_decisions),       cmocka_unit_test(test_detector),
        cmocka_unit_test(test_digital_silence), cmocka_unit_test(test_wrong_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
