/* test_asr_paraformer.c - the two recognisers in company: every stream of a batch gets bit for bit what it
 * gets alone, whenever the others come, go or fail; what a stream costs while nobody talks; models that are
 * damaged. */
#include "asr/paraformer/engine.h"
#include "asr/paraformer/stream.h"
#include "asr/scheduler.h"
#include "fixtures.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { N_CLIPS = 5 };

static const char *const CLIPS[N_CLIPS] = { "d02", "c03", "m01", "s01", "b19700" };

static struct {
    float *pcm[N_CLIPS];
    size_t n[N_CLIPS];
    struct pn_pool *pool;
} g;

static int read_clips(void **state)
{
    (void)state;
    for (int i = 0; i < N_CLIPS; i++) {
        char name[64], path[PN_FIXTURE_PATH];
        (void)snprintf(name, sizeof(name), "paraformer/wav/%s.wav", CLIPS[i]);
        if (!pn_fixture_data(name, path) || !pn_fixture_wav(path, &g.pcm[i], &g.n[i]))
            return -1;
    }
    return pn_pool_new(2, &g.pool, NULL);
}

static int drop_clips(void **state)
{
    (void)state;
    for (int i = 0; i < N_CLIPS; i++)
        free(g.pcm[i]);
    pn_pool_free(g.pool);
    return 0;
}

static struct pn_recognizer *open_model(const char *name, enum pn_precision precision)
{
    char path[PN_FIXTURE_PATH], folder[64];
    struct pn_err err = { 0 };
    struct pn_paraformer *p = NULL;
    struct pn_recognizer *r = NULL;
    (void)snprintf(folder, sizeof(folder), "paraformer/models/%s", name);
    assert_true(pn_fixture_data(folder, path));
    const struct pn_paraformer_options opt = {
        .path = path, .precision = precision, .no_packed_file = true, .pool = g.pool
    };
    if (pn_paraformer_open(&opt, &p, &err) < 0 || pn_paraformer_recognizer_new(p, g.pool, &r, &err) < 0)
        fail_msg("%s", err.text);
    return r;
}

static const struct pn_recognition ANY = { .language = "", .task = "transcribe", .word_timestamps = true };

static struct pn_stream *open_stream(struct pn_recognizer *r, const struct pn_recognition *want)
{
    struct pn_stream *s = NULL;
    struct pn_err err = { 0 };
    if (r->ops->open(r, want, &s, &err) < 0)
        fail_msg("%s", err.text);
    s->recognizer = r;
    return s;
}

/* One step for all streams that are in the phase of the first that has work. */
static bool step_together(struct pn_recognizer *r, struct pn_stream *const *all, size_t n)
{
    struct pn_stream *batch[64];
    size_t n_batch = 0;
    int phase = 0;
    for (size_t i = 0; i < n; i++) {
        struct pn_work w = all[i] ? r->ops->next(all[i]) : (struct pn_work){ 0 };
        if (w.phase != 0 && (phase == 0 || w.phase == phase)) {
            phase = w.phase;
            batch[n_batch++] = all[i];
        }
    }
    if (n_batch > 0)
        r->ops->step(r, phase, batch, n_batch);
    return n_batch > 0;
}

static struct pn_transcript *result_of(struct pn_stream *s)
{
    struct pn_transcript *t = NULL;
    struct pn_err err = { 0 };
    if (s->recognizer->ops->status(s, &err) != 1 || s->recognizer->ops->result(s, &t, &err) < 0)
        fail_msg("%s", err.text);
    return t;
}

/* Equal to the last bit: times and probabilities, too. */
static void assert_same(const struct pn_transcript *a, const struct pn_transcript *b)
{
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->n_segments, b->n_segments);
    for (size_t i = 0; i < a->n_segments; i++) {
        const struct pn_segment *x = &a->segments[i], *y = &b->segments[i];
        assert_int_equal(x->n_tokens, y->n_tokens);
        assert_memory_equal(x->tokens, y->tokens, x->n_tokens * sizeof(*x->tokens));
        assert_true(x->avg_logprob == y->avg_logprob);
        assert_true(x->start == y->start && x->end == y->end);
    }
}

static struct pn_transcript *recognise_alone(struct pn_recognizer *r, int clip)
{
    struct pn_stream *s = open_stream(r, &ANY);
    assert_int_equal(r->ops->feed(s, g.pcm[clip], g.n[clip]), 0);
    assert_int_equal(r->ops->finish(s), 0);
    while (step_together(r, &s, 1))
        ;
    struct pn_transcript *t = result_of(s);
    r->ops->close(s);
    return t;
}

static void check_batch(const char *name, enum pn_precision precision)
{
    struct pn_recognizer *r = open_model(name, precision);
    struct pn_transcript *alone[N_CLIPS];
    for (int i = 0; i < N_CLIPS; i++)
        alone[i] = recognise_alone(r, i);
    struct pn_stream *s[4 * N_CLIPS];
    for (size_t i = 0; i < PN_ARRAY_LEN(s); i++) {
        int clip = (int)i % N_CLIPS;
        s[i] = open_stream(r, &ANY);
        assert_int_equal(r->ops->feed(s[i], g.pcm[clip], g.n[clip]), 0);
        assert_int_equal(r->ops->finish(s[i]), 0);
        step_together(r, s, i + 1); /* the others are somewhere on their way by then */
    }
    while (step_together(r, s, PN_ARRAY_LEN(s)))
        ;
    for (size_t i = 0; i < PN_ARRAY_LEN(s); i++) {
        struct pn_transcript *t = result_of(s[i]);
        assert_same(t, alone[i % N_CLIPS]);
        pn_transcript_free(t);
        r->ops->close(s[i]);
    }
    for (int i = 0; i < N_CLIPS; i++)
        pn_transcript_free(alone[i]);
    r->ops->free(r);
}

static void test_offline_batches(void **state)
{
    (void)state;
    check_batch("micro-offline", PN_F32);
    check_batch("micro-offline", PN_INT8);
}

static void test_live_batches(void **state)
{
    (void)state;
    check_batch("micro-streaming", PN_F32);
    check_batch("micro-streaming", PN_INT8);
}

static void test_hot_words_stay_with_their_stream(void **state)
{
    (void)state;
    struct pn_recognizer *r = open_model("rand-seaco", PN_F32);
    struct pn_recognition hot = ANY;
    hot.hotwords = "打开 空调 今天天气 hello";
    struct pn_transcript *plain = recognise_alone(r, 0);
    struct pn_stream *s[] = { open_stream(r, &ANY), open_stream(r, &hot), open_stream(r, &ANY) };
    for (size_t i = 0; i < PN_ARRAY_LEN(s); i++) {
        assert_int_equal(r->ops->feed(s[i], g.pcm[0], g.n[0]), 0);
        assert_int_equal(r->ops->finish(s[i]), 0);
    }
    while (step_together(r, s, PN_ARRAY_LEN(s)))
        ;
    for (size_t i = 0; i < PN_ARRAY_LEN(s); i++) {
        struct pn_transcript *t = result_of(s[i]);
        if (i == 1)
            assert_string_not_equal(t->text, plain->text);
        else
            assert_same(t, plain);
        pn_transcript_free(t);
        r->ops->close(s[i]);
    }
    pn_transcript_free(plain);
    r->ops->free(r);
}

/* More words than are listened to at once: the best are chosen. */
static void test_many_hot_words(void **state)
{
    (void)state;
    struct pn_recognizer *r = open_model("rand-seaco", PN_F32);
    char words[4096] = "";
    size_t at = 0;
    static const char *const CHARS[] = { "打开", "空调", "今天", "天气", "你好", "再见", "音乐", "电灯" };
    for (int i = 0; i < 64; i++)
        at += (size_t)snprintf(words + at, sizeof(words) - at, "%s%s ", CHARS[i % 8], CHARS[i / 8]);
    struct pn_recognition hot = ANY;
    hot.hotwords = words;
    struct pn_stream *s = open_stream(r, &hot);
    assert_int_equal(r->ops->feed(s, g.pcm[0], g.n[0]), 0);
    assert_int_equal(r->ops->finish(s), 0);
    while (step_together(r, &s, 1))
        ;
    pn_transcript_free(result_of(s));
    r->ops->close(s);
    r->ops->free(r);
}

static void test_partial_text_grows(void **state)
{
    (void)state;
    struct pn_recognizer *r = open_model("micro-streaming", PN_F32);
    struct pn_stream *s = open_stream(r, &ANY);
    char before[256] = "";
    int grew = 0;
    for (size_t at = 0; at < g.n[0]; at += 1600) {
        struct pn_transcript *t = NULL;
        assert_int_equal(r->ops->feed(s, g.pcm[0] + at, PN_MIN((size_t)1600, g.n[0] - at)), 0);
        while (step_together(r, &s, 1))
            ;
        assert_int_equal(r->ops->status(s, NULL), 0);
        assert_int_equal(r->ops->result(s, &t, NULL), 0);
        assert_false(t->final);
        assert_true(strncmp(t->text, before, strlen(before)) == 0);
        grew += strcmp(t->text, before) != 0;
        if (t->n_segments)
            assert_true(t->segments[0].open);
        (void)snprintf(before, sizeof(before), "%s", t->text);
        pn_transcript_free(t);
    }
    assert_int_equal(grew, 3); /* chunks that hold a token; the rest is told at the end */
    assert_int_equal(r->ops->finish(s), 0);
    while (step_together(r, &s, 1))
        ;
    struct pn_transcript *t = result_of(s);
    assert_string_equal(t->text, "九零二七四四六一");
    assert_false(t->segments[0].open);
    assert_string_equal(t->language, "zh");
    pn_transcript_free(t);
    r->ops->close(s);
    r->ops->free(r);
}

static void test_silence_after_speech_is_empty(void **state)
{
    (void)state;
    static const char *const MODELS[] = { "micro-streaming", "micro-offline" };
    float *silence = calloc(32000, sizeof(*silence));
    for (size_t i = 0; i < PN_ARRAY_LEN(MODELS); i++) {
        struct pn_recognizer *r = open_model(MODELS[i], PN_INT8);
        pn_transcript_free(recognise_alone(r, 3));
        struct pn_stream *s = open_stream(r, &ANY);
        assert_int_equal(r->ops->feed(s, silence, 32000), 0);
        assert_int_equal(r->ops->finish(s), 0);
        while (step_together(r, &s, 1))
            ;
        struct pn_transcript *t = result_of(s);
        assert_string_equal(t->text, "");
        assert_int_equal(t->n_segments, 0);
        pn_transcript_free(t);
        r->ops->close(s);
        r->ops->free(r);
    }
    free(silence);
}

/* Streams that are closed at every moment of their lives, beside one that goes on. */
static void test_close_at_any_moment(void **state)
{
    (void)state;
    static const char *const MODELS[] = { "micro-streaming", "micro-offline" };
    for (size_t m = 0; m < PN_ARRAY_LEN(MODELS); m++) {
        struct pn_recognizer *r = open_model(MODELS[m], PN_INT8);
        struct pn_transcript *alone = recognise_alone(r, 1);
        for (int moment = 0; moment < 12; moment++) {
            struct pn_stream *s[2] = { open_stream(r, &ANY), open_stream(r, &ANY) };
            for (int i = 0; i < 2; i++) {
                assert_int_equal(r->ops->feed(s[i], g.pcm[i + 1], g.n[i + 1]), 0);
                assert_int_equal(r->ops->finish(s[i]), 0);
            }
            for (int i = 0; i < moment; i++)
                step_together(r, s, 2);
            r->ops->close(s[1]);
            while (step_together(r, s, 1))
                ;
            struct pn_transcript *t = result_of(s[0]);
            assert_same(t, alone);
            pn_transcript_free(t);
            r->ops->close(s[0]);
        }
        pn_transcript_free(alone);
        r->ops->free(r);
    }
}

static void test_too_long_an_utterance(void **state)
{
    (void)state;
    struct pn_recognizer *r = open_model("rand-seaco", PN_INT8);
    struct pn_stream *s = open_stream(r, &ANY);
    float *second = calloc(16000, sizeof(*second));
    struct pn_err err = { 0 };
    for (int i = 0; i < 130 && r->ops->status(s, NULL) == 0; i++) {
        assert_int_equal(r->ops->feed(s, second, 16000), 0);
        while (step_together(r, &s, 1))
            ;
    }
    assert_int_equal(r->ops->status(s, &err), -PN_ELIMIT);
    assert_non_null(strstr(err.text, "vad"));
    free(second);
    r->ops->close(s);
    r->ops->free(r);
}

static void test_what_it_cannot_do(void **state)
{
    (void)state;
    struct pn_recognizer *r = open_model("micro-streaming", PN_INT8);
    struct pn_stream *s = NULL;
    struct pn_err err = { 0 };
    struct pn_recognition want = ANY;
    want.task = "translate";
    assert_int_equal(r->ops->check(r, &want, &err), -PN_EUNSUPPORTED);
    want = ANY;
    want.language = "fr";
    assert_int_equal(r->ops->open(r, &want, &s, NULL), -PN_EUNSUPPORTED);
    static const struct pn_chunking WRONG[] = {
        { -1, 10, 5, 4, 1 }, { 0, 0, 5, 4, 1 },   { 0, 10, 1000, 4, 1 },
        { 0, 10, 5, -2, 1 }, { 0, 10, 5, 4, -7 },
    };
    want = ANY;
    for (size_t i = 0; i < PN_ARRAY_LEN(WRONG); i++) {
        want.chunking = &WRONG[i];
        assert_int_equal(r->ops->open(r, &want, &s, NULL), -PN_EINVAL);
    }
    /* No look-ahead, and look-backs beyond all bounds, are fine. */
    static const struct pn_chunking RIGHT[] = { { 0, 10, 0, 4, 1 },
                                                { 0, 1, 0, 2000000000, 2000000000 },
                                                { 100, 100, 100, -1, -1 } };
    for (size_t i = 0; i < PN_ARRAY_LEN(RIGHT); i++) {
        want.chunking = &RIGHT[i];
        s = open_stream(r, &want);
        assert_int_equal(r->ops->feed(s, g.pcm[0], g.n[0]), 0);
        assert_int_equal(r->ops->finish(s), 0);
        while (step_together(r, &s, 1))
            ;
        pn_transcript_free(result_of(s));
        r->ops->close(s);
    }
    r->ops->free(r);
}

/* What is on the heap, in use. */
static size_t in_use(void)
{
    struct mallinfo2 m = mallinfo2();
    return m.uordblks + m.hblkhd;
}

static void test_cycles_leave_nothing_behind(void **state)
{
    (void)state;
    if (PN_SANITIZED)
        skip(); /* its heap keeps what is freed */
    struct pn_recognizer *r = open_model("micro-streaming", PN_INT8);
    size_t before = 0;
    for (int i = 0; i < 400; i++) {
        struct pn_stream *s = open_stream(r, &ANY);
        assert_int_equal(r->ops->feed(s, g.pcm[0], 20000), 0);
        for (int step = 0; step < i % 7; step++)
            step_together(r, &s, 1);
        r->ops->close(s);
        if (i == 100)
            before = in_use();
    }
    assert_true(in_use() <= before + 4096);
    r->ops->free(r);
}

/* What a stream that has ended, and one that has heard nothing yet, holds. */
static void test_streams_that_do_nothing_cost_nothing(void **state)
{
    (void)state;
    if (PN_SANITIZED)
        skip();
    struct pn_recognizer *r = open_model("micro-streaming", PN_INT8);
    pn_transcript_free(recognise_alone(r, 0));
    size_t before = in_use();
    struct pn_stream *s = open_stream(r, &ANY);
    assert_int_equal(r->ops->feed(s, g.pcm[0], g.n[0]), 0);
    while (step_together(r, &s, 1))
        ;
    assert_true(in_use() > before + (size_t)(64 << 10)); /* it listens */
    assert_int_equal(r->ops->finish(s), 0);
    while (step_together(r, &s, 1))
        ;
    assert_true(in_use() < before + (size_t)(64 << 10));
    pn_transcript_free(result_of(s));
    r->ops->close(s);
    r->ops->free(r);
}

/* ---- models that are not whole ---- */

static bool copy_file(const char *from, const char *to)
{
    struct pn_buf bytes;
    bool ok = pn_fixture_read(from, &bytes);
    FILE *f = ok ? fopen(to, "wb") : NULL;
    ok = f && fwrite(bytes.ptr, 1, bytes.len, f) == bytes.len;
    ok = f && fclose(f) == 0 && ok;
    pn_buf_done(&bytes);
    return ok;
}

/* A copy of rand-streaming in which `name` has `text` put for `what`. */
static int open_changed(const char *name, const char *what, const char *text, struct pn_err *err)
{
    static const char *const FILES[] = { "config.yaml", "model.pt", "tokens.json",
                                         "am.mvn",      "seg_dict", "configuration.json" };
    char dir[PN_FIXTURE_PATH], from[PN_FIXTURE_PATH], to[2 * PN_FIXTURE_PATH], file[128];
    struct pn_buf bytes;
    struct pn_paraformer *p = NULL;
    assert_true(pn_fixture_temp_dir(dir));
    for (size_t i = 0; i < PN_ARRAY_LEN(FILES); i++) {
        (void)snprintf(file, sizeof(file), "paraformer/models/rand-streaming/%s", FILES[i]);
        (void)snprintf(to, sizeof(to), "%s/%s", dir, FILES[i]);
        assert_true(pn_fixture_data(file, from) && copy_file(from, to));
    }
    (void)snprintf(to, sizeof(to), "%s/%s", dir, name);
    assert_true(pn_fixture_read(to, &bytes));
    char *at = memmem(bytes.ptr, bytes.len, what, strlen(what));
    assert_non_null(at);
    FILE *f = fopen(to, "wb");
    assert_non_null(f);
    (void)fprintf(f, "%.*s%s%.*s", (int)(at - (char *)bytes.ptr), (const char *)bytes.ptr, text,
                  (int)(bytes.len - (size_t)(at - (char *)bytes.ptr) - strlen(what)), at + strlen(what));
    assert_int_equal(fclose(f), 0);
    pn_buf_done(&bytes);
    const struct pn_paraformer_options opt = { .path = dir, .precision = PN_INT8, .no_packed_file = true };
    int r = pn_paraformer_open(&opt, &p, err);
    pn_paraformer_close(p);
    pn_fixture_remove_dir(dir);
    return r;
}

static void test_configurations_that_lie(void **state)
{
    (void)state;
    static const struct {
        const char *what, *text;
        int code;
        const char *says;
    } CASES[] = {
        { "ParaformerStreaming", "SenseVoiceSmall", PN_EUNSUPPORTED, "SenseVoiceSmall" },
        { "attention_heads: 4", "attention_heads: 5", PN_EFORMAT, "heads" },
        { "attention_heads: 4", "attention_heads: 1000000000", PN_EFORMAT, "attention_heads" },
        { "n_mels: 80", "n_mels: 40", PN_EFORMAT, "am.mvn" },
        { "lfr_m: 7", "lfr_m: many", PN_EFORMAT, "lfr_m" },
        { "fs: 16000", "fs: 8000", PN_EUNSUPPORTED, "8000" },
        { "threshold: 1.0", "threshold: 0", PN_EFORMAT, "threshold" },
    };
    for (size_t i = 0; i < PN_ARRAY_LEN(CASES); i++) {
        struct pn_err err = { 0 };
        assert_int_equal(open_changed("config.yaml", CASES[i].what, CASES[i].text, &err), -CASES[i].code);
        if (!strstr(err.text, CASES[i].says))
            fail_msg("'%s' does not say '%s'", err.text, CASES[i].says);
    }
    struct pn_err err = { 0 };
    assert_int_equal(open_changed("tokens.json", "\"<blank>\",", "", &err), -PN_EFORMAT);
    assert_non_null(strstr(err.text, "81"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_offline_batches),
        cmocka_unit_test(test_live_batches),
        cmocka_unit_test(test_hot_words_stay_with_their_stream),
        cmocka_unit_test(test_many_hot_words),
        cmocka_unit_test(test_partial_text_grows),
        cmocka_unit_test(test_silence_after_speech_is_empty),
        cmocka_unit_test(test_close_at_any_moment),
        cmocka_unit_test(test_too_long_an_utterance),
        cmocka_unit_test(test_what_it_cannot_do),
        cmocka_unit_test(test_cycles_leave_nothing_behind),
        cmocka_unit_test(test_streams_that_do_nothing_cost_nothing),
        cmocka_unit_test(test_configurations_that_lie),
    };
    return cmocka_run_group_tests(tests, read_clips, drop_clips);
}
