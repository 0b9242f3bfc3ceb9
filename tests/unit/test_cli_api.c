/* test_cli_api.c - the public library as a program sees it: include/pinna.h and libpinna alone. The micro
 * model of tests/data answers, and Sphinx where its model is installed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "fixtures.h"

#include <pinna.h>

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[PN_FIXTURE_PATH], model_path[PN_FIXTURE_PATH];
static float *pcm;
static size_t n_pcm;
static struct pinna_model *micro;

static int open_micro(void **state)
{
    char gz[PN_FIXTURE_PATH], ranks[PN_FIXTURE_PATH], clip[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH];
    struct pn_buf b;
    struct pinna_error err = { 0 };
    struct pinna_model_options opt = {
        .size = sizeof(opt), .precision = PINNA_F32, .threads = 1, .max_streams = 2
    };
    if (!pn_fixture_data("micro.pt.gz", gz) || !pn_fixture_data("micro.tiktoken", ranks) ||
        !pn_fixture_data("clips/01.wav", clip) || !pn_fixture_temp_dir(dir))
        return -1;
    snprintf(model_path, sizeof(model_path), "%.900s/micro.pt", dir);
    snprintf(to, sizeof(to), "%.900s/multilingual.tiktoken", dir);
    if (!pn_fixture_gunzip(gz, model_path) || !pn_fixture_read(ranks, &b) ||
        !pn_fixture_wav(clip, &pcm, &n_pcm))
        return -1;
    FILE *f = fopen(to, "wb");
    bool ok = f && fwrite(b.ptr, 1, b.len, f) == b.len;
    if (f)
        fclose(f);
    pn_buf_done(&b);
    opt.model_dir = dir;
    if (!ok || pinna_model_open(model_path, &opt, &micro, &err) < 0) {
        fprintf(stderr, "%s: %s\n", model_path, err.text);
        return -1;
    }
    return 0;
}

static int close_micro(void **state)
{
    pinna_model_close(micro);
    free(pcm);
    pn_fixture_remove_dir(dir);
    return 0;
}

static struct pinna_result *transcribe(struct pinna_model *m, const struct pinna_options *opt)
{
    struct pinna_error err = { 0 };
    struct pinna_result *r = NULL;
    int e = pinna_transcribe(m, opt, pcm, n_pcm, &r, &err);
    if (e < 0)
        fail_msg("%s", err.text);
    return r;
}

static void test_samples_to_text(void **state)
{
    struct pinna_options opt = { .size = sizeof(opt), .language = "english" };
    struct pinna_result *r = transcribe(micro, &opt);
    assert_string_equal(pinna_version(), PINNA_VERSION);
    assert_string_equal(pinna_model_name(micro), "micro");
    assert_string_equal(pinna_result_model(r), "micro");
    assert_string_equal(pinna_result_language(r), "en");
    assert_true(pinna_result_text(r)[0] != '\0');
    assert_true(pinna_result_is_final(r));
    assert_true(fabs(pinna_result_duration(r) - (double)n_pcm / PINNA_SAMPLE_RATE) < 1e-6);
    assert_true(pinna_result_segments(r) >= 1);
    struct pinna_segment s = { .size = sizeof(s) };
    assert_int_equal(pinna_result_segment(r, 0, &s), 0);
    assert_true(s.size == sizeof(s) && s.end > s.start && s.n_tokens > 0 && s.text[0] == ' ');
    assert_true(s.avg_logprob < 0 && s.avg_logprob > -5);
    assert_int_equal(pinna_result_segment(r, pinna_result_segments(r), &s), -PINNA_EINVAL);
    pinna_result_free(r);
}

static void test_words(void **state)
{
    struct pinna_options opt = { .size = sizeof(opt), .language = "en", .word_timestamps = 1 };
    struct pinna_result *r = transcribe(micro, &opt);
    struct pinna_segment s = { .size = sizeof(s) };
    struct pinna_word w = { .size = sizeof(w) };
    assert_int_equal(pinna_result_segment(r, 0, &s), 0);
    assert_true(s.n_words > 0);
    assert_int_equal(pinna_result_word(r, 0, 0, &w), 0);
    assert_true(w.end >= w.start && w.text[0] != '\0' && w.confidence >= 0 && w.confidence <= 1);
    assert_int_equal(pinna_result_word(r, 0, s.n_words, &w), -PINNA_EINVAL);
    assert_int_equal(pinna_result_word(r, 9999, 0, &w), -PINNA_EINVAL);
    pinna_result_free(r);
}

/* An older program's struct is shorter, a newer one's longer. */
static void test_structs_grow(void **state)
{
    struct pinna_result *r = NULL;
    struct pinna_error err = { 0 };
    struct {
        struct pinna_options o;
        int news;
    } newer = { .o = { .size = sizeof(newer), .language = "en" } };
    r = transcribe(micro, &newer.o);
    newer.news = 1;
    struct pinna_result *none = NULL;
    assert_int_equal(pinna_transcribe(micro, &newer.o, pcm, n_pcm, &none, &err), -PINNA_EUNSUPPORTED);
    assert_int_equal(err.code, PINNA_EUNSUPPORTED);
    assert_true(err.text[0] != '\0');
    struct pinna_options unset = { .language = "en" };
    assert_int_equal(pinna_transcribe(micro, &unset, pcm, n_pcm, &none, NULL), -PINNA_EINVAL);
    assert_null(none);

    struct pinna_segment s = { .size = offsetof(struct pinna_segment, text), .text = "untouched" };
    assert_int_equal(pinna_result_segment(r, 0, &s), 0);
    assert_true(s.end > 0);
    assert_string_equal(s.text, "untouched");
    s.size = 0;
    assert_int_equal(pinna_result_segment(r, 0, &s), -PINNA_EINVAL);
    pinna_result_free(r);
}

static void test_wrong_options(void **state)
{
    static const struct pinna_options WRONG[] = {
        { .size = sizeof(struct pinna_options), .language = "klingon" },
        { .size = sizeof(struct pinna_options), .task = "sing" },
        { .size = sizeof(struct pinna_options), .temperature = -1 },
        { .size = sizeof(struct pinna_options), .temperature = NAN },
        { .size = sizeof(struct pinna_options), .beam_size = -1 },
        { .size = sizeof(struct pinna_options), .best_of = -1 },
    };
    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++) {
        struct pinna_result *r = NULL;
        struct pinna_error err = { 0 };
        assert_int_equal(pinna_transcribe(micro, &WRONG[i], pcm, n_pcm, &r, &err), -PINNA_EINVAL);
        assert_true(err.code == PINNA_EINVAL && err.text[0] != '\0');
    }
}

static void test_wrong_models(void **state)
{
    struct pinna_model *m = NULL;
    struct pinna_error err = { 0 };
    struct pinna_model_options opt = { .size = sizeof(opt), .precision = 7 };
    assert_int_equal(pinna_model_open("no-such-model", NULL, &m, &err), -PINNA_ENOTFOUND);
    assert_non_null(strstr(err.text, "no-such-model"));
    assert_int_equal(pinna_model_open("/nowhere/at.all", NULL, &m, NULL), -PINNA_ENOTFOUND);
    assert_int_equal(pinna_model_open(NULL, NULL, &m, NULL), -PINNA_EINVAL);
    assert_int_equal(pinna_model_open(model_path, &opt, &m, NULL), -PINNA_EINVAL);
    opt = (struct pinna_model_options){ .size = sizeof(opt), .threads = -1 };
    assert_int_equal(pinna_model_open(model_path, &opt, &m, NULL), -PINNA_EINVAL);
    assert_null(m);
    pinna_model_close(NULL);
    pinna_stream_close(NULL);
    pinna_result_free(NULL);
}

static void test_no_audio_no_text(void **state)
{
    struct pinna_result *r = NULL;
    assert_int_equal(pinna_transcribe(micro, NULL, NULL, 0, &r, NULL), 0);
    assert_string_equal(pinna_result_text(r), "");
    pinna_result_free(r);
}

/* Samples in odd pieces give what they give at once. */
static void test_stream_is_the_same(void **state)
{
    struct pinna_options opt = { .size = sizeof(opt), .language = "en" };
    struct pinna_result *whole = transcribe(micro, &opt), *r = NULL;
    struct pinna_segment last = { .size = sizeof(last) };
    struct pinna_stream *s = NULL;
    assert_string_equal(pinna_result_live_text(whole), "");
    assert_int_equal(pinna_stream_open(micro, &opt, &s, NULL), 0);
    assert_string_equal(pinna_stream_error(s), "");
    for (size_t i = 0, len = 1; i < n_pcm; i += len, len = len * 3 + 1) {
        len = len < n_pcm - i ? len : n_pcm - i;
        assert_int_equal(pinna_stream_feed(s, pcm + i, len, -1), len);
        int e = pinna_stream_result(s, 0, &r);
        assert_true(e == 0);
        assert_true(!r || !pinna_result_is_final(r));
        pinna_result_free(r);
        r = NULL;
    }
    assert_int_equal(pinna_stream_finish(s), 0);
    assert_true(pinna_stream_feed(s, pcm, 1, 0) < 0);
    assert_true(pinna_stream_error(s)[0] != '\0');
    assert_int_equal(pinna_stream_result(s, -1, &r), 1);
    assert_string_equal(pinna_result_text(r), pinna_result_text(whole));
    assert_string_equal(pinna_result_live_text(r), pinna_result_text(whole));
    assert_int_equal(pinna_result_segment(r, pinna_result_segments(r) - 1, &last), 0);
    assert_false(last.open);
    assert_true(pinna_stream_position(s) > 0);
    pinna_stream_close(s);
    pinna_result_free(r);
    pinna_result_free(whole);
}

static void test_streams_are_counted(void **state)
{
    struct pinna_stream *a = NULL, *b = NULL, *c = NULL;
    struct pinna_error err = { 0 };
    assert_int_equal(pinna_stream_open(micro, NULL, &a, NULL), 0);
    assert_int_equal(pinna_stream_open(micro, NULL, &b, NULL), 0);
    assert_int_equal(pinna_stream_open(micro, NULL, &c, &err), -PINNA_EFULL);
    assert_null(c);
    assert_int_equal(err.code, PINNA_EFULL);
    pinna_stream_close(a); /* with nothing fed, and below with audio that nobody waits for */
    assert_int_equal(pinna_stream_open(micro, NULL, &c, NULL), 0);
    assert_true(pinna_stream_feed(c, pcm, n_pcm, -1) == (int64_t)n_pcm);
    pinna_stream_close(c);
    pinna_stream_close(b);
}

static void *transcribe_thread(void *arg)
{
    const struct pinna_options opt = { .size = sizeof(opt), .language = "en" };
    struct pinna_result **ret = arg;
    pinna_transcribe(micro, &opt, pcm, n_pcm, ret, NULL);
    return NULL;
}

/* More threads than streams: they wait for each other, and each gets its own answer. */
static void test_many_threads(void **state)
{
    enum { N = 5 };
    pthread_t threads[N];
    struct pinna_result *r[N] = { NULL };
    for (int i = 0; i < N; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, transcribe_thread, &r[i]), 0);
    for (int i = 0; i < N; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < N; i++) {
        assert_non_null(r[i]);
        assert_string_equal(pinna_result_text(r[i]), pinna_result_text(r[0]));
    }
    for (int i = 0; i < N; i++)
        pinna_result_free(r[i]);
}

static void test_sphinx(void **state)
{
    struct pinna_model *m = NULL;
    struct pinna_error err = { 0 };
    struct pinna_model_options opt = { .size = sizeof(opt), .threads = 1 };
    int e = pinna_model_open("sphinx", &opt, &m, &err);
    if (e == -PINNA_ENOTFOUND) {
        print_message("skipped: %s\n", err.text);
        skip();
    }
    assert_int_equal(e, 0);
    struct pinna_options chinese = { .size = sizeof(chinese), .language = "zh" };
    struct pinna_result *r = NULL;
    assert_int_equal(pinna_transcribe(m, &chinese, pcm, n_pcm, &r, &err), -PINNA_EUNSUPPORTED);
    r = transcribe(m, NULL);
    assert_string_equal(pinna_result_model(r), "sphinx");
    assert_string_equal(pinna_result_language(r), "en");
    pinna_result_free(r);
    pinna_model_close(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_samples_to_text),    cmocka_unit_test(test_words),
        cmocka_unit_test(test_structs_grow),       cmocka_unit_test(test_wrong_options),
        cmocka_unit_test(test_wrong_models),       cmocka_unit_test(test_no_audio_no_text),
        cmocka_unit_test(test_stream_is_the_same), cmocka_unit_test(test_streams_are_counted),
        cmocka_unit_test(test_many_threads),       cmocka_unit_test(test_sphinx),
    };
    return cmocka_run_group_tests(tests, open_micro, close_micro);
}
