/* test_asr_segmenter.c - segments of given probabilities against those of upstream and of whisper.cpp (spec
 * silero-vad 4 and 5), and what a stream may say and when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/vad/segmenter.h"
#include "asr/vad/whispercpp.h"
#include "fixtures.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WINDOW = 512 };

static json_t *load(const char *name)
{
    char path[PN_FIXTURE_PATH];
    if (!pn_fixture_shared(name, path))
        return NULL;
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    return root;
}

static double number(const json_t *params, const char *key, double missing)
{
    const json_t *v = json_object_get(params, key);
    return json_is_number(v) ? json_number_value(v) : missing;
}

/* ---- upstream ---- */

static struct pn_segmenter_options upstream_options(const json_t *params)
{
    double threshold = number(params, "threshold", 0.5),
           longest = number(params, "max_speech_duration_s", -1);
    int64_t pad = (int64_t)number(params, "speech_pad_ms", 30) * 16;
    return (struct pn_segmenter_options){
        .frame = WINDOW,
        .threshold = threshold,
        .silence = threshold - 0.15 > 0.01 ? threshold - 0.15 : 0.01,
        .min_speech = (int64_t)number(params, "min_speech_duration_ms", 250) * 16,
        .min_silence = (int64_t)number(params, "min_silence_duration_ms", 100) * 16,
        .pad = pad,
        .max_speech = longest < 0 ? PN_SEGMENTER_ENDLESS : (int64_t)(16000 * longest) - WINDOW - 2 * pad,
    };
}

/* Starts and ends alternate, in order, and none lies before what was called settled. */
static void check_event(const struct pn_vad_event *e, size_t i, int64_t settled, const json_t *want)
{
    assert_true(e->start == (i % 2 == 0));
    assert_true(i / 2 < json_array_size(want));
    assert_int_equal(e->sample, json_integer_value(json_array_get(json_array_get(want, i / 2), i % 2)));
    assert_true(e->sample >= settled);
}

static void check_upstream(const struct pn_segmenter_options *opt, const float *p, size_t n, int64_t samples,
                           const json_t *want)
{
    struct pn_vad_events events = { 0 };
    struct pn_vad_event e;
    static struct pn_segmenter s;
    size_t seen = 0;
    int64_t settled = 0;
    pn_segmenter_init(&s, opt, &events);
    for (size_t i = 0; i <= n; i++) {
        if (i < n)
            pn_segmenter_feed(&s, (double)p[i], PN_MIN((int64_t)(i + 1) * WINDOW, samples));
        else
            pn_segmenter_end(&s, samples);
        while (pn_vad_events_take(&events, &e))
            check_event(&e, seen++, settled, want);
        int64_t now = PN_MIN(pn_segmenter_settled(&s), samples); /* the last frame may not be whole */
        assert_true(now >= settled);
        settled = now;
    }
    assert_int_equal(seen, 2 * json_array_size(want));
    pn_vad_events_done(&events);
}

/* ---- whisper.cpp ---- */

static void check_whispercpp(const json_t *params, const float *p, size_t n, const json_t *want)
{
    struct pn_whispercpp_options opt = {
        .threshold = (float)number(params, "threshold", 0.5),
        .min_speech_ms = (int)number(params, "min_speech_duration_ms", 250),
        .min_silence_ms = (int)number(params, "min_silence_duration_ms", 100),
        .pad_ms = (int)number(params, "speech_pad_ms", 30),
        .max_speech_s = (float)number(params, "max_speech_duration_s", 1e9),
    };
    struct pn_whispercpp_segment *got = calloc(n + 1, sizeof(*got));
    assert_non_null(got);
    size_t found = pn_whispercpp_segments(&opt, p, n, got);
    assert_int_equal(found, json_array_size(want));
    for (size_t i = 0; i < found; i++) {
        const json_t *pair = json_array_get(want, i);
        assert_int_equal(pn_whispercpp_centiseconds(got[i].start),
                         json_integer_value(json_array_get(pair, 0)));
        assert_int_equal(pn_whispercpp_centiseconds(got[i].end), json_integer_value(json_array_get(pair, 1)));
    }
    free(got);
}

static void test_cases(void **state)
{
    json_t *cases = load("silero/state_machine.json"), *c;
    size_t i;
    if (!cases)
        skip();
    json_array_foreach(cases, i, c)
    {
        const json_t *probs = json_object_get(c, "probs"), *params = json_object_get(c, "params");
        size_t n = json_array_size(probs);
        float *p = malloc((n + 1) * sizeof(*p));
        assert_non_null(p);
        for (size_t k = 0; k < n; k++)
            p[k] = (float)json_number_value(json_array_get(probs, k));
        struct pn_segmenter_options opt = upstream_options(params);
        check_upstream(&opt, p, n, json_integer_value(json_object_get(c, "upstream_n_samples")),
                       json_object_get(c, "upstream_samples"));
        check_whispercpp(params, p, n, json_object_get(c, "whispercpp_cs"));
        free(p);
    }
    assert_true(i >= 48);
    json_decref(cases);
}

/* ---- the clips ---- */

static bool probs_of(const char *clip, const char *what, struct pn_npy *ret)
{
    char name[96], path[PN_FIXTURE_PATH];
    snprintf(name, sizeof(name), "silero/golden/%s.%s.npy", clip, what);
    return pn_fixture_shared(name, path) && pn_npy_load(path, ret);
}

/* Upstream's iterator knows no shortest speech; only full windows. */
static void check_iterator(const json_t *golden, const struct pn_npy *p)
{
    const json_t *want = json_object_get(golden, "upstream_iterator_events");
    struct pn_vad_events events = { 0 };
    struct pn_vad_event e;
    static struct pn_segmenter s;
    struct pn_segmenter_options opt = { WINDOW, 0.5, 0.35, 0, 1600, 480, PN_SEGMENTER_ENDLESS };
    size_t seen = 0, full = (size_t)json_integer_value(json_object_get(golden, "n_samples")) / WINDOW;
    pn_segmenter_init(&s, &opt, &events);
    for (size_t i = 0; i < full; i++) {
        pn_segmenter_feed(&s, (double)p->f32[i], (int64_t)(i + 1) * WINDOW);
        for (; pn_vad_events_take(&events, &e); seen++) {
            const json_t *w = json_array_get(want, seen);
            assert_int_equal(json_integer_value(json_array_get(w, 0)), i);
            assert_true(e.start == (strcmp(json_string_value(json_array_get(w, 1)), "start") == 0));
            assert_int_equal(e.sample, json_integer_value(json_array_get(w, 2)));
        }
    }
    assert_int_equal(seen, json_array_size(want));
    pn_vad_events_done(&events);
}

static void check_clip(const char *clip)
{
    char name[64];
    struct pn_npy ggml, upstream;
    const char *key;
    json_t *set;
    snprintf(name, sizeof(name), "silero/golden/%s.json", clip);
    json_t *golden = load(name);
    assert_non_null(golden);
    assert_true(probs_of(clip, "probs", &ggml) && probs_of(clip, "probs_upstream", &upstream));
    json_object_foreach(json_object_get(golden, "sets"), key, set)
    {
        const json_t *params = json_object_get(set, "params");
        struct pn_segmenter_options opt = upstream_options(params);
        check_whispercpp(params, ggml.f32, ggml.n, json_object_get(set, "whispercpp_cs"));
        check_upstream(&opt, upstream.f32, upstream.n,
                       json_integer_value(json_object_get(golden, "n_samples")),
                       json_object_get(set, "upstream_samples"));
    }
    check_iterator(golden, &upstream);
    pn_npy_done(&ggml);
    pn_npy_done(&upstream);
    json_decref(golden);
}

static void test_clips(void **state)
{
    static const char *const CLIPS[] = { "jfk",          "tts_en_pauses", "tts_zh_noisefloor",
                                         "tts_en_noisy", "noise_white",   "hum50",
                                         "silence" };
    char path[PN_FIXTURE_PATH];
    PN_SHARED_OR_SKIP("silero/golden/jfk.json", path);
    for (size_t i = 0; i < PN_ARRAY_LEN(CLIPS); i++)
        check_clip(CLIPS[i]);
}

/* Boundaries come out in order, whatever was put in and taken out between. */
static void test_events(void **state)
{
    struct pn_vad_events e = { 0 };
    struct pn_vad_event got;
    assert_false(pn_vad_events_take(&e, &got));
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 3; i++)
            pn_vad_events_put(&e, i % 2 == 0, round * 100 + i);
        for (int i = 0; i < 2 + (round % 2); i++)
            assert_true(pn_vad_events_take(&e, &got));
    }
    pn_vad_events_put(&e, true, 5); /* before the last one: moved */
    while (pn_vad_events_take(&e, &got))
        assert_true(got.sample <= 4902);
    assert_int_equal(got.sample, 4902);
    assert_true(got.start);
    pn_vad_events_done(&e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_clips),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
