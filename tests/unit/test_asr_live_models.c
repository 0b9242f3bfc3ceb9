/* test_asr_live_models.c - the models that are loaded at start, and real ones through the pipeline: the small
 * trained models of tests/data, live and as files. */
#include "asr/models.h"
#include "asr/pipeline/pipeline.h"
#include "asr/scheduler.h"
#include "audio/decoder.h"
#include "fixtures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static char g_folder[PN_FIXTURE_PATH]; /* MODEL_DIR: Whisper as "whisper" */
static char g_offline[PN_FIXTURE_PATH], g_streaming[PN_FIXTURE_PATH], g_vad[PN_FIXTURE_PATH];
static char g_punctuation[PN_FIXTURE_PATH];
static char g_warnings[1024];

static bool into_folder(const char *data, const char *name)
{
    char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH + 64];
    struct pn_buf bytes;
    snprintf(to, sizeof(to), "%s/%s", g_folder, name);
    if (!pn_fixture_data(data, from))
        return false;
    if (strcmp(data + strlen(data) - 3, ".gz") == 0)
        return pn_fixture_gunzip(from, to);
    if (!pn_fixture_read(from, &bytes))
        return false;
    FILE *f = fopen(to, "wb");
    bool ok = f && fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len;
    ok = f && fclose(f) == 0 && ok;
    pn_buf_done(&bytes);
    return ok;
}

static int make_folder(void **state)
{
    (void)state;
    bool ok = pn_fixture_temp_dir(g_folder) && into_folder("micro.pt.gz", "whisper.pt") &&
              into_folder("micro.tiktoken", "multilingual.tiktoken") &&
              pn_fixture_data("paraformer/models/micro-offline", g_offline) &&
              pn_fixture_data("paraformer/models/micro-streaming", g_streaming) &&
              pn_fixture_data("paraformer/models/micro-vad", g_vad) &&
              pn_fixture_data("paraformer/models/rand-punc", g_punctuation);
    return ok ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    pn_fixture_remove_dir(g_folder);
    return 0;
}

static void note_warning(void *ctx, const char *line)
{
    (void)ctx;
    size_t n = strlen(g_warnings);
    snprintf(g_warnings + n, sizeof(g_warnings) - n, "%s\n", line);
}

static struct pn_models_options options(const char *model)
{
    g_warnings[0] = '\0';
    return (struct pn_models_options){ .model = model,
                                       .threads = 2,
                                       .precision = PN_F32,
                                       .model_dir = g_folder,
                                       .max_loaded = 2,
                                       .vad = g_vad,
                                       .warn = note_warning };
}

static struct pn_models *open_models(const struct pn_models_options *opt)
{
    struct pn_models *m = NULL;
    struct pn_err err = { 0 };
    if (pn_models_open(opt, &m, &err) < 0)
        fail_msg("%s", err.text);
    return m;
}

/* ---- which models ---- */

static void test_a_live_model_of_its_own(void **state)
{
    (void)state;
    struct pn_models_options opt = options("whisper");
    opt.live_model = g_streaming;
    struct pn_models *m = open_models(&opt);
    assert_string_equal(pn_models_default(m)->name, "whisper");
    assert_string_equal(pn_models_live(m)->name, "micro-streaming");
    assert_true(pn_models_live(m)->streaming);
    struct pn_recognizer *r = NULL; /* it can be asked for by name, too */
    assert_int_equal(pn_models_acquire(m, PN_STR("micro-streaming"), &r, NULL), 0);
    assert_ptr_equal(r, pn_models_live(m));
    pn_models_release(m, r);
    assert_string_equal(g_warnings, "");
    pn_models_free(m);
}

static void test_no_live_model(void **state)
{
    (void)state;
    struct pn_models_options opt = options("whisper");
    struct pn_models *m = open_models(&opt);
    assert_ptr_equal(pn_models_live(m), pn_models_default(m));
    assert_string_equal(g_warnings, "");
    pn_models_free(m);
    opt.live_model = "paraformer-zh-streaming"; /* is not here */
    m = open_models(&opt);
    assert_ptr_equal(pn_models_live(m), pn_models_default(m));
    assert_non_null(strstr(g_warnings, "pinna pull paraformer-zh-streaming; live audio"));
    assert_non_null(strstr(g_warnings, "whisper"));
    pn_models_free(m);
}

static void test_one_model_for_two_purposes(void **state)
{
    (void)state;
    struct pn_models_options opt = options(g_offline);
    opt.live_model = g_streaming;
    opt.final_model = g_offline;
    struct pn_models *m = open_models(&opt);
    assert_string_equal(pn_models_default(m)->name, "micro-offline");
    assert_string_equal(pn_models_live(m)->name, "micro-streaming");
    assert_string_equal(g_warnings, "");
    pn_models_free(m);
}

static void check_refused(const struct pn_models_options *opt, int code, const char *text)
{
    struct pn_models *m = NULL;
    struct pn_err err = { 0 };
    assert_int_equal(pn_models_open(opt, &m, &err), code);
    if (!strstr(err.text, text))
        fail_msg("%s", err.text);
    assert_null(m);
}

static void test_settings_that_cannot_be(void **state)
{
    (void)state;
    struct pn_models_options opt = options("whisper");
    opt.vad = "silero";
    check_refused(&opt, -PN_ENOTFOUND, "pinna pull silero-vad");
    opt = options("whisper");
    opt.vad = "/no/such/file";
    check_refused(&opt, -PN_ENOTFOUND, "/no/such/file");
    opt = options(g_offline);
    opt.punctuation = "ct-punc";
    check_refused(&opt, -PN_ENOTFOUND, "pinna pull ct-punc");
    opt = options("whisper");
    opt.final_model = g_streaming;
    check_refused(&opt, -PN_EINVAL, "PINNA_FINAL_MODEL");
    opt.final_model = "base";
    struct pn_models *m = open_models(&opt); /* done without */
    assert_non_null(strstr(g_warnings, "not corrected"));
    pn_models_free(m);
}

/* ---- streams ---- */

struct clip {
    float *pcm;
    size_t n;
};

static struct clip load_clip(const char *name)
{
    char path[PN_FIXTURE_PATH];
    struct clip c = { 0 };
    if (!pn_fixture_data(name, path) || !pn_fixture_wav(path, &c.pcm, &c.n))
        fail_msg("no clip %s", name);
    return c;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* Pieces of 100 ms; *ret_shown (if not NULL): the live text before the end, malloc'd. */
static struct pn_transcript *recognise(struct pn_recognizer *r, const struct pn_recognition *want,
                                       struct clip c, char **ret_shown)
{
    struct pn_scheduler_options opt = { .max_streams = 2, .batch_size = 2, .row_budget = 4096 };
    struct pn_scheduler *s = NULL;
    struct pn_stream *st = NULL;
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    int e = pn_scheduler_new(&opt, &s, &err);
    if (e == 0)
        e = pn_scheduler_open(s, r, want, NULL, NULL, &st, &err);
    if (e < 0)
        fail_msg("%s", err.text);
    for (size_t at = 0, n; at < c.n; at += n) {
        n = PN_MIN(c.n - at, (size_t)1600);
        while ((e = pn_scheduler_feed(s, st, c.pcm + at, n)) == -PN_EFULL)
            pause_ms(1);
        assert_int_equal(e, 0);
        if (ret_shown)
            pause_ms(2);
    }
    if (ret_shown) {
        assert_int_equal(r->ops->result(st, &t, &err), 0);
        *ret_shown = strdup(t->live_text);
        pn_transcript_free(t);
    }
    assert_int_equal(pn_scheduler_finish(s, st), 0);
    while ((e = r->ops->status(st, &err)) == 0)
        pause_ms(1);
    if (e < 0 || r->ops->result(st, &t, &err) < 0)
        fail_msg("%s", err.text);
    pn_scheduler_close(s, st);
    pn_scheduler_free(s);
    assert_true(t->final);
    return t;
}

static const char *const V01[] = { "打开空调三五八", "播放音乐", "今天天气怎么样", "再见" };

static void check_v01(const struct pn_transcript *t)
{
    assert_int_equal(t->n_segments, PN_ARRAY_LEN(V01));
    for (size_t i = 0; i < PN_ARRAY_LEN(V01); i++) {
        assert_string_equal(t->segments[i].text, V01[i]);
        assert_true(t->segments[i].start < t->segments[i].end);
        assert_true(i == 0 || t->segments[i].start > t->segments[i - 1].end);
    }
}

static void test_a_file_with_pauses(void **state)
{
    (void)state;
    struct pn_models_options opt = options(g_offline);
    struct pn_models *m = open_models(&opt);
    struct clip c = load_clip("paraformer/wav/v01.wav");
    struct pn_recognition want = { .language = "", .task = "transcribe", .temperature = -1, .vad = true };
    struct pn_transcript *t = recognise(pn_models_default(m), &want, c, NULL);
    check_v01(t);
    assert_string_equal(t->language, "zh");
    pn_transcript_free(t);
    free(c.pcm);
    pn_models_free(m);
}

static void test_two_passes(void **state)
{
    (void)state;
    struct pn_models_options opt = options("whisper");
    opt.live_model = g_streaming;
    opt.final_model = g_offline;
    struct pn_models *m = open_models(&opt);
    struct clip c = load_clip("paraformer/wav/v01.wav");
    struct pn_recognition want = {
        .language = "", .task = "transcribe", .temperature = -1, .live = true, .vad = true
    };
    char *shown = NULL;
    struct pn_transcript *t = recognise(pn_models_live(m), &want, c, &shown);
    check_v01(t);
    assert_true(strlen(t->live_text) > 30);
    assert_int_equal(strncmp(t->live_text, shown, strlen(shown)), 0);
    assert_string_equal(t->model, "micro-streaming");
    free(shown);
    pn_transcript_free(t);
    free(c.pcm);
    pn_models_free(m);
}

static void test_whisper_live(void **state)
{
    (void)state;
    struct pn_models_options opt = options("whisper");
    struct pn_models *m = open_models(&opt);
    struct clip c = load_clip("clips/01.wav");
    struct pn_recognition want = { .language = "", .task = "transcribe", .temperature = 0, .live = true };
    char *shown = NULL;
    struct pn_transcript *t = recognise(pn_models_live(m), &want, c, &shown);
    assert_string_equal(t->text, "six two zero"); /* as of the file */
    assert_int_equal(strncmp(t->live_text, shown, strlen(shown)), 0);
    free(shown);
    pn_transcript_free(t);
    free(c.pcm);
    pn_models_free(m);
}

static void test_marks_and_numbers(void **state)
{
    (void)state;
    struct pn_models_options opt = options(g_offline);
    opt.punctuation = g_punctuation;
    struct pn_models *m = open_models(&opt);
    struct clip c = load_clip("paraformer/wav/v01.wav");
    struct pn_recognition want = { .language = "",
                                   .task = "transcribe",
                                   .temperature = -1,
                                   .vad = true,
                                   .punctuation = true,
                                   .word_timestamps = true };
    struct pn_transcript *t = recognise(pn_models_default(m), &want, c, NULL);
    assert_non_null(strstr(t->text, "再"));
    assert_non_null(strstr(t->text, "。"));
    for (size_t i = 0; i < t->n_segments; i++)
        for (size_t k = 0; k < t->segments[i].n_words; k++)
            assert_null(strstr(t->segments[i].words[k].text, "。"));
    pn_transcript_free(t);
    want.punctuation = false;
    want.itn = true;
    t = recognise(pn_models_default(m), &want, c, NULL);
    assert_string_equal(t->segments[0].text, "打开空调358");
    pn_transcript_free(t);
    free(c.pcm);
    pn_models_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_live_model_of_its_own),
        cmocka_unit_test(test_no_live_model),
        cmocka_unit_test(test_one_model_for_two_purposes),
        cmocka_unit_test(test_settings_that_cannot_be),
        cmocka_unit_test(test_a_file_with_pauses),
        cmocka_unit_test(test_two_passes),
        cmocka_unit_test(test_whisper_live),
        cmocka_unit_test(test_marks_and_numbers),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
