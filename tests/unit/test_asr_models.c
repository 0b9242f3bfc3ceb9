/* test_asr_models.c - models by name, and Whisper's streams through the real scheduler: many together, each
 * as if alone; streams that are closed at any moment; models that make room for each other. */
#include "asr/model_list.h"
#include "asr/models.h"
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

static char g_folder[PN_FIXTURE_PATH];

static void path_in(char out[PN_FIXTURE_PATH + 64], const char *name)
{
    snprintf(out, PN_FIXTURE_PATH + 64, "%s/%s", g_folder, name);
}

/* Two names for the small model, and the vocabulary. */
static int make_folder(void **state)
{
    (void)state;
    char from[PN_FIXTURE_PATH], to[PN_FIXTURE_PATH + 64], second[PN_FIXTURE_PATH + 64];
    struct pn_buf ranks;
    if (!pn_fixture_temp_dir(g_folder) || !pn_fixture_data("micro.pt.gz", from))
        return -1;
    path_in(to, "one.pt");
    path_in(second, "two.pt");
    if (!pn_fixture_gunzip(from, to) || link(to, second) < 0)
        return -1;
    path_in(second, "three.pt");
    if (link(to, second) < 0 || !pn_fixture_data("micro.tiktoken", from) || !pn_fixture_read(from, &ranks))
        return -1;
    path_in(to, "multilingual.tiktoken");
    FILE *f = fopen(to, "wb");
    bool ok = f && fwrite(ranks.ptr, 1, ranks.len, f) == ranks.len;
    ok = f && fclose(f) == 0 && ok;
    pn_buf_done(&ranks);
    return ok ? 0 : -1;
}

static int drop_folder(void **state)
{
    (void)state;
    pn_fixture_remove_dir(g_folder);
    return 0;
}

static void no_warning(void *ctx, const char *line)
{
    (void)ctx;
    fail_msg("%s", line);
}

static struct pn_models *open_models(const char *model, int max_loaded)
{
    struct pn_models *m = NULL;
    struct pn_err err = { 0 };
    struct pn_models_options opt = { .model = model,
                                     .threads = 2,
                                     .precision = PN_INT8,
                                     .model_dir = g_folder,
                                     .max_loaded = max_loaded,
                                     .warn = no_warning };
    if (pn_models_open(&opt, &m, &err) < 0)
        fail_msg("%s", err.text);
    return m;
}

static struct pn_scheduler *new_scheduler(void)
{
    struct pn_scheduler *s = NULL;
    struct pn_err err = { 0 };
    struct pn_scheduler_options opt = { .max_streams = 16, .batch_size = 16, .row_budget = 4096 };
    if (pn_scheduler_new(&opt, &s, &err) < 0)
        fail_msg("%s", err.text);
    return s;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
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

static struct pn_stream *start(struct pn_scheduler *s, struct pn_recognizer *r, struct clip c)
{
    struct pn_stream *st = NULL;
    struct pn_err err = { 0 };
    struct pn_recognition want = { .language = "", .task = "transcribe", .temperature = 0 };
    if (pn_scheduler_open(s, r, &want, NULL, NULL, &st, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(pn_scheduler_feed(s, st, c.pcm, c.n), 0);
    assert_int_equal(pn_scheduler_finish(s, st), 0);
    return st;
}

/* The text, malloc'd; closes the stream. */
static char *finish(struct pn_scheduler *s, struct pn_stream *st)
{
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    int r;
    while ((r = st->recognizer->ops->status(st, &err)) == 0)
        pause_ms(1);
    if (r < 0 || st->recognizer->ops->result(st, &t, &err) < 0)
        fail_msg("%s", err.text);
    assert_true(t->final);
    char *text = strdup(t->text);
    pn_transcript_free(t);
    pn_scheduler_close(s, st);
    return text;
}

static char *alone(struct pn_scheduler *s, struct pn_recognizer *r, struct clip c)
{
    return finish(s, start(s, r, c));
}

static void test_company_changes_nothing(void **state)
{
    enum { COMPANY = PN_SANITIZED ? 3 : 12 };
    (void)state;
    struct pn_models *m = open_models("one", 1);
    struct pn_scheduler *s = new_scheduler();
    struct pn_recognizer *r = pn_models_default(m);
    struct clip clips[] = { load_clip("clips/01.wav"), load_clip("clips/05.wav"), load_clip("clips/09.wav") };
    char *want[3];
    for (int i = 0; i < 3; i++)
        want[i] = alone(s, r, clips[i]);
    assert_string_equal(want[0], "six two zero");
    assert_string_equal(want[1], "五一三七");

    struct pn_stream *streams[COMPANY];
    for (int i = 0; i < COMPANY; i++)
        streams[i] = start(s, r, clips[i % 3]);
    for (int i = 0; i < COMPANY; i++) {
        char *text = finish(s, streams[i]);
        assert_string_equal(text, want[i % 3]);
        free(text);
    }
    for (int i = 0; i < 3; i++) {
        free(want[i]);
        free(clips[i].pcm);
    }
    pn_scheduler_free(s);
    pn_models_free(m);
}

static void test_silence_after_speech_says_nothing(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 1);
    struct pn_scheduler *s = new_scheduler();
    struct clip speech = load_clip("clips/09.wav");
    struct clip silence = { calloc(3 * PN_SAMPLE_RATE, sizeof(float)), 3 * PN_SAMPLE_RATE };
    assert_non_null(silence.pcm);
    for (int i = 0; i < (PN_SANITIZED ? 1 : 3); i++) {
        free(alone(s, pn_models_default(m), speech));
        char *text = alone(s, pn_models_default(m), silence);
        assert_string_equal(text, "");
        free(text);
    }
    free(speech.pcm);
    free(silence.pcm);
    pn_scheduler_free(s);
    pn_models_free(m);
}

static void test_streams_are_closed_at_any_moment(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 1);
    struct pn_scheduler *s = new_scheduler();
    struct clip c = load_clip("clips/01.wav");
    char *want = alone(s, pn_models_default(m), c);
    for (long ms = 0; ms < 40; ms += PN_SANITIZED ? 20 : 2) {
        struct pn_stream *leaves = start(s, pn_models_default(m), c);
        struct pn_stream *stays = start(s, pn_models_default(m), c);
        pause_ms(ms);
        pn_scheduler_close(s, leaves);
        char *text = finish(s, stays);
        assert_string_equal(text, want);
        free(text);
    }
    free(want);
    free(c.pcm);
    assert_int_equal(pn_scheduler_stats(s).streams, 0);
    pn_scheduler_free(s);
    pn_models_free(m);
}

/* ---- names ---- */

static struct pn_recognizer *acquire(struct pn_models *m, const char *name)
{
    struct pn_recognizer *r = NULL;
    struct pn_err err = { 0 };
    int e;
    while ((e = pn_models_acquire(m, pn_str(name), &r, &err)) == -PN_EAGAIN)
        pause_ms(1);
    if (e < 0)
        fail_msg("%s: %s", name, err.text);
    return r;
}

static int refusal(struct pn_models *m, const char *name, struct pn_err *err)
{
    struct pn_recognizer *r = NULL;
    *err = (struct pn_err){ 0 };
    int e = pn_models_acquire(m, pn_str(name), &r, err);
    assert_true(e < 0 && !r);
    return e;
}

static void test_models_make_room(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 2);
    struct pn_err err;
    struct pn_recognizer *one = acquire(m, ""), *two = acquire(m, "two");
    assert_ptr_equal(one, pn_models_default(m));
    assert_ptr_equal(acquire(m, "whisper-1"), one);
    assert_string_equal(two->name, "two");
    assert_int_equal(refusal(m, "three", &err), -PN_EFULL);
    pn_models_release(m, two);
    struct pn_recognizer *three = acquire(m, "three");
    assert_string_equal(three->name, "three");
    pn_models_release(m, three);
    pn_models_release(m, one);
    pn_models_release(m, one);
    pn_models_free(m);
}

static void test_names_are_no_paths(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 2);
    struct pn_err err;
    char path[PN_FIXTURE_PATH + 64];
    path_in(path, "two.pt");
    const char *names[] = { path,
                            "../one",
                            "/etc/passwd",
                            "one/",
                            ".",
                            "no such",
                            "someone/model",
                            "one@..",
                            "iic/speech_fsmn_vad_zh-cn-16k-common-pytorch",
                            "paraformer-en-streaming",
                            "base" };
    for (size_t i = 0; i < PN_ARRAY_LEN(names); i++)
        if (refusal(m, names[i], &err) != -PN_ENOTFOUND)
            fail_msg("%s", names[i]);
    assert_non_null(strstr(err.text, "pinna pull base"));
    pn_models_free(m);
}

static void test_a_damaged_model_says_so_each_time(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 2);
    struct pn_err err = { 0 };
    struct pn_recognizer *r = NULL;
    char path[PN_FIXTURE_PATH + 64];
    path_in(path, "broken.pt");
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    fputs("PK\003\004 and then nothing", f);
    fclose(f);
    for (int i = 0; i < 2; i++) {
        int e;
        err = (struct pn_err){ 0 };
        while ((e = pn_models_acquire(m, PN_STR("broken"), &r, &err)) == -PN_EAGAIN)
            pause_ms(1);
        assert_int_equal(e, -PN_EFORMAT);
        assert_non_null(strstr(err.text, "broken.pt"));
    }
    /* A crowd that asks together hears it together: nothing is loaded again for each. */
    assert_int_equal(refusal(m, "broken", &err), -PN_EFORMAT);
    struct pn_recognizer *two = acquire(m, "two"); /* the failure makes room */
    pn_models_release(m, two);
    unlink(path);
    pn_models_free(m);
}

/* Nothing else can ever be loaded, so nobody is told to wait. */
static void test_one_model_only(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 1);
    struct pn_err err;
    assert_int_equal(refusal(m, "two", &err), -PN_ENOTFOUND);
    assert_non_null(strstr(err.text, "PINNA_MAX_MODELS"));
    pn_models_release(m, acquire(m, "one"));
    pn_models_free(m);
}

static void keep_warning(void *ctx, const char *line)
{
    snprintf(ctx, 512, "%s", line);
}

static void test_the_list_has_what_may_be_asked_for(void **state)
{
    (void)state;
    struct pn_models *m = open_models("one", 2);
    struct pn_model_list *l = NULL;
    static const char *const WANT[] = { "one", "whisper-1", "sphinx", "three", "two" };
    char junk[PN_FIXTURE_PATH + 64];
    path_in(junk, "junk.pt");
    FILE *f = fopen(junk, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(pn_model_list_new(m, &l, NULL), 0);
    unlink(junk);
    size_t at = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(WANT); i++)
        for (size_t k = at; k < l->n; k++) /* caches of other programs may have more */
            if (strcmp(l->item[k].name, WANT[i]) == 0)
                at = k + 1;
    assert_true(at > 0 && strcmp(l->item[0].name, "one") == 0 && strcmp(l->item[at - 1].name, "two") == 0);
    for (size_t i = 0; i < PN_ARRAY_LEN(WANT); i++)
        assert_non_null(pn_model_list_find(l, WANT[i]));
    assert_null(pn_model_list_find(l, "junk"));
    assert_null(pn_model_list_find(l, g_folder));
    assert_true(pn_model_list_find(l, "three")->created > 0);
    free(l);
    pn_models_free(m);
}

static void test_the_default_may_fall_back(void **state)
{
    (void)state;
    struct pn_models *m = NULL;
    struct pn_err err = { 0 };
    char warning[512] = "";
    struct pn_models_options opt = { .model = "base", .threads = 1, .model_dir = g_folder, .max_loaded = 1 };
    opt.warn = keep_warning;
    opt.ctx = warning;
    assert_int_equal(pn_models_open(&opt, &m, &err), -PN_ENOTFOUND);
    assert_string_equal(warning, "");
    assert_non_null(strstr(err.text, "pinna pull base"));
    opt.allow_fallback = true;
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_models_open(&opt, &m, &err), 0);
    assert_string_equal(pn_models_default(m)->name, "sphinx");
    assert_non_null(strstr(warning, "pinna pull base"));
    assert_non_null(strstr(warning, "sphinx"));
    pn_models_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company_changes_nothing),
        cmocka_unit_test(test_silence_after_speech_says_nothing),
        cmocka_unit_test(test_streams_are_closed_at_any_moment),
        cmocka_unit_test(test_models_make_room),
        cmocka_unit_test(test_names_are_no_paths),
        cmocka_unit_test(test_a_damaged_model_says_so_each_time),
        cmocka_unit_test(test_one_model_only),
        cmocka_unit_test(test_the_list_has_what_may_be_asked_for),
        cmocka_unit_test(test_the_default_may_fall_back),
    };
    return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
