/* test_asr_whisper_transcription.c - the loop of transcribe() over a scripted model: seeking, prompts,
 * fallback, beams, samples, words, batch mode, failures at every call. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/whisper/transcription.h"
#include "fake_whisper.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MULTI = 51865, ENGLISH = 51864, A = FAKE_WORD, B, C, D, MAX_ROWS = 64 };

#define TS(seconds) (50364 + (int32_t)((seconds)*50 + 0.5)) /* of MULTI */

/* What is said in window `number`: tokens up to 0, then eot. */
struct script {
    int32_t say[8][12];
    int32_t seen[8][448]; /* the longest history of each window */
    int n_seen[8];
    int flat_until; /* the first so many answers of window 0 are undecided */
    int n_asked;
    bool silent; /* no speech everywhere */
};

/* Index behind the last control token: where the window's own text begins. */
static int text_begin(const int32_t *h, int n)
{
    int at = 0;
    for (int i = 0; i < n; i++)
        if (h[i] >= 50257 && h[i] <= 50363)
            at = i + 1;
    return at;
}

static void say(void *ctx, int number, const int32_t *h, int n, float *logits)
{
    struct script *s = ctx;
    int said = n - text_begin(h, n);
    for (int i = 0; i < MULTI; i++)
        logits[i] = 0;
    if (n == 1 || h[n - 1] == 50258) { /* sot: the language comes next */
        logits[50259 + 6] = 5;         /* "fr" */
        logits[50362] = s->silent ? 20 : -20;
        return;
    }
    if (n > s->n_seen[number])
        memcpy(s->seen[number], h, (size_t)(s->n_seen[number] = n) * sizeof(*h));
    int32_t next = said < (int)PN_ARRAY_LEN(s->say[0]) ? s->say[number][said] : 0;
    bool flat = s->n_asked++ < s->flat_until;
    logits[next ? next : 50257] = flat ? 0 : 20;
}

static struct pn_features *hear(const struct fake_whisper *f, double seconds)
{
    struct pn_features *features = NULL;
    size_t n = (size_t)(seconds * 16000);
    float *pcm = malloc((n + 1) * sizeof(*pcm));
    for (size_t i = 0; i < n; i++) /* bursts of 0.9 s a second, so that there are pauses */
        pcm[i] = i % 16000 < 14400 ? 0.5f * sinf((float)i * 0.3f) : 0;
    assert_int_equal(pn_features_new(f->model.mel, &features), 0);
    assert_int_equal(pn_features_feed(features, pcm, n), 0);
    assert_int_equal(pn_features_end(features, 480000), 0);
    free(pcm);
    return features;
}

static struct pn_transcribe_options in_english(void)
{
    struct pn_transcribe_options o;
    pn_transcribe_defaults(&o);
    o.language = "en";
    return o;
}

/* Runs to the end with at most `cap` rows a call. */
static int drive(struct fake_whisper *f, struct pn_transcription *t, int cap)
{
    struct pn_decoder_row rows[MAX_ROWS];
    unsigned want;
    while ((want = pn_transcription_want(t)) != 0) {
        if (want & PN_WANT_ENCODER) {
            struct pn_encoder_run *run = NULL;
            assert_int_equal(pn_transcription_begin(t, &run), 0);
            while (pn_encoder_run_step(run, 1000) == 0)
                ;
            pn_transcription_encoded(t, run);
        } else {
            int expected = pn_transcription_n_rows(t, cap), n = pn_transcription_rows(t, rows, cap);
            assert_int_equal(n, expected);
            pn_transcription_decoded(t, pn_decoder_run(f->engine, rows, n));
        }
    }
    return pn_transcription_status(t, NULL);
}

static struct pn_transcript *transcribe(struct fake_whisper *f, double seconds,
                                        const struct pn_transcribe_options *o, int cap)
{
    struct pn_features *features = hear(f, seconds);
    struct pn_transcription *t = NULL;
    struct pn_transcript *result = NULL;
    assert_int_equal(pn_transcription_new(f->engine, features, o, &t, NULL), 0);
    assert_int_equal(drive(f, t, cap), 0);
    assert_int_equal(pn_transcription_result(t, &result, NULL), 0);
    assert_true(result->final);
    assert_float_equal(pn_transcription_position(t), seconds, 1e-6);
    pn_transcription_free(t);
    pn_features_free(features);
    return result;
}

static void test_seek_and_prompt(void **state)
{
    struct script s = { .say = { { TS(0), A, B, TS(2), TS(2), C }, { TS(0), D, TS(1) } } };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    o.initial_prompt = " d  ";
    struct pn_transcript *r = transcribe(&f, 5, &o, MAX_ROWS);
    assert_int_equal(r->n_segments, 2);
    assert_int_equal(r->segments[1].seek, 200); /* again from the end of the last complete segment */
    assert_float_equal(r->segments[1].end, 3.0, 1e-9);
    assert_string_equal(r->text, "a b d");
    assert_string_equal(r->full_text, " a b d");
    assert_int_equal(f.run[0].frames_heard, 500);
    assert_int_equal(f.run[1].frames_heard, 300);
    const int32_t want[] = { 50361, D, TS(0), A, B, TS(2), 50258, 50259, 50359, TS(0), D, TS(1) };
    assert_memory_equal(s.seen[1], want, sizeof(want));
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

static void test_rows_in_any_pieces(void **state)
{
    struct pn_transcribe_options o = in_english();
    o.word_timestamps = true;
    o.beam_size = 3;
    struct pn_transcript *r[2];
    for (int i = 0; i < 2; i++) {
        struct script s = {
            .say = { { TS(0), A, B, TS(2), TS(2), C }, { TS(0), D, TS(1) }, { TS(0), A, TS(1) } }
        };
        struct fake_whisper f;
        fake_whisper_open(&f, MULTI, say, &s);
        r[i] = transcribe(&f, 5, &o, i == 0 ? 1 : MAX_ROWS);
        fake_whisper_close(&f);
    }
    assert_string_equal(r[0]->full_text, r[1]->full_text);
    assert_int_equal(r[0]->n_segments, r[1]->n_segments);
    for (size_t i = 0; i < r[0]->n_segments; i++) {
        assert_true(r[0]->segments[i].end == r[1]->segments[i].end);
        assert_true(r[0]->segments[i].avg_logprob == r[1]->segments[i].avg_logprob);
        assert_int_equal(r[0]->segments[i].n_words, r[1]->segments[i].n_words);
    }
    pn_transcript_free(r[0]);
    pn_transcript_free(r[1]);
}

static void test_words_follow_the_attention(void **state)
{
    struct script s = { .say = { { TS(0), A, B, C, TS(2) } } };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    o.word_timestamps = true;
    struct pn_transcript *r = transcribe(&f, 4, &o, 5);
    assert_int_equal(r->n_segments, 1);
    assert_int_equal(r->segments[0].n_words, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct pn_word *w = &r->segments[0].words[i];
        assert_int_equal(w->text[1], 'a' + (int)i);
        assert_true(w->end > w->start || i == 2);
        assert_true(i == 0 || w->start == w[-1].end);
    }
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

static void test_fallback_runs_one_prompt_row_again(void **state)
{
    struct script s = { .say = { { TS(0), A, TS(1) } }, .flat_until = 1000 };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    o.n_temperatures = 2;
    o.temperature[1] = 0.5;
    o.sample_len = 4;
    struct pn_transcript *r = transcribe(&f, 3, &o, MAX_ROWS);
    assert_true(f.n_rows >= 3 + 1 && f.n_rows <= 3 + 3 + 1 + 3);
    assert_true(r->n_segments == 0 || r->segments[0].temperature == 0.5);
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

static void test_silence_has_no_segments(void **state)
{
    struct script s = { .silent = true, .flat_until = 1000 };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    struct pn_transcript *r = transcribe(&f, 61, &o, MAX_ROWS);
    assert_int_equal(r->n_segments, 0);
    assert_string_equal(r->text, "");
    assert_int_equal(f.n_runs, 3);
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

static void test_language_detection_shares_long_windows(void **state)
{
    const struct {
        double seconds;
        bool automatic;
        int runs;
    } cases[] = { { 4, false, 2 }, { 30, false, 1 }, { 4, true, 1 } };
    for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
        struct script s = { .say = { { TS(0), A, TS(1) }, { TS(0), A, TS(1) } } };
        struct fake_whisper f;
        struct pn_transcribe_options o = in_english();
        fake_whisper_open(&f, MULTI, say, &s);
        o.language = "";
        o.auto_context = cases[i].automatic;
        struct pn_transcript *r = transcribe(&f, cases[i].seconds, &o, MAX_ROWS);
        assert_string_equal(r->language, "fr");
        assert_int_equal(f.n_runs, cases[i].runs);
        assert_string_equal(r->text, "a");
        if (cases[i].automatic)
            assert_true(f.run[0].n_ctx < 300 && f.run[0].n_ctx >= 200 && f.run[0].n_ctx % 8 == 0);
        pn_transcript_free(r);
        fake_whisper_close(&f);
    }
}

/* A model whose answer depends on everything it has heard so far, in a few likely tokens. */
static void babble(void *ctx, int number, const int32_t *h, int n, float *logits)
{
    uint32_t x = 2166136261u + (uint32_t)number;
    for (int i = 0; i < n; i++)
        x = (x ^ (uint32_t)h[i]) * 16777619u;
    for (int i = 0; i < MULTI; i++)
        logits[i] = -30;
    for (int i = 0; i < 12; i++) {
        x = x * 1664525u + 1013904223u;
        logits[i < 10 ? A + i : i == 10 ? 50257 : TS(n * 0.04)] = (float)(x >> 8) / 16777216.0f * 4;
    }
}

/* The log-probability of the result, computed again from its tokens alone. */
static double rescore(const int32_t *prompt, int n_prompt, const int32_t *tokens, size_t n)
{
    static float logits[MULTI];
    int32_t h[448];
    double sum = 0;
    memcpy(h, prompt, (size_t)n_prompt * sizeof(*h));
    for (size_t i = 0; i <= n; i++) {
        babble(NULL, 0, h, n_prompt + (int)i, logits);
        double norm = 0;
        for (int k = 0; k < MULTI; k++)
            norm += exp((double)logits[k]);
        sum += (double)logits[i < n ? tokens[i] : 50257] - log(norm);
        if (i < n)
            h[n_prompt + (int)i] = tokens[i];
    }
    return sum / (double)(n + 1);
}

static void test_caches_follow_their_sequences(void **state)
{
    const int32_t prompt[] = { 50258, 50259, 50359, 50363 };
    const struct {
        int beams, best_of;
        double temperature;
    } cases[] = { { 0, 1, 0 }, { 1, 1, 0 }, { 5, 1, 0 }, { 16, 1, 0 }, { 0, 1, 0.6 }, { 0, 5, 0.6 } };
    double score[PN_ARRAY_LEN(cases)];
    for (size_t i = 0; i < PN_ARRAY_LEN(cases); i++) {
        struct fake_whisper f;
        struct pn_transcript *r = NULL;
        struct pn_transcription *t = NULL;
        fake_whisper_open(&f, MULTI, babble, NULL);
        struct pn_features *features = hear(&f, 2);
        struct pn_transcribe_options o = in_english();
        o.without_timestamps = true;
        o.suppress_default = o.suppress_blank = false;
        o.n_temperatures = 1;
        o.temperature[0] = cases[i].temperature;
        o.beam_size = cases[i].beams;
        o.best_of = cases[i].best_of;
        o.seed = 5;
        assert_int_equal(pn_transcription_new_window(f.engine, features, &o, &t, NULL), 0);
        assert_int_equal(drive(&f, t, 7), 0);
        assert_int_equal(pn_transcription_result(t, &r, NULL), 0);
        assert_int_equal(r->n_segments, 1);
        score[i] = r->segments[0].avg_logprob;
        assert_float_equal(score[i], rescore(prompt, 4, r->segments[0].tokens, r->segments[0].n_tokens),
                           1e-4);
        pn_transcription_free(t);
        pn_features_free(features);
        pn_transcript_free(r);
        fake_whisper_close(&f);
    }
    assert_true(score[0] == score[1]); /* one beam is greedy */
}

static void test_batch_joins_windows_in_order(void **state)
{
    struct script s = { .say = { { TS(0), A, TS(20) },
                                 { TS(0), B, TS(10), TS(10), B },
                                 { TS(0), C, TS(5) },
                                 { TS(0), D, TS(5) } } };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    o.batch = true;
    struct pn_transcript *r = transcribe(&f, 85, &o, 3);
    assert_true(f.n_runs >= 3 && f.n_runs <= 4);
    assert_string_equal(r->text, f.n_runs == 3 ? "a b b c" : "a b b c d"); /* the unfinished rest stays */
    for (size_t i = 1; i < r->n_segments; i++) {
        assert_int_equal(r->segments[i].id, (int)i);
        assert_true(r->segments[i].start >= r->segments[i - 1].end);
        assert_true(r->segments[i].seek >= r->segments[i - 1].seek);
    }
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

static void test_every_decoder_failure_ends_it(void **state)
{
    for (int fail_at = 0, r = -1; r != 0; fail_at++) {
        struct script s = { .say = { { TS(0), A, TS(1), TS(1), B, TS(2) }, { TS(0), D, TS(1) } } };
        struct fake_whisper f;
        fake_whisper_open(&f, MULTI, say, &s);
        f.fail_at = fail_at;
        struct pn_features *features = hear(&f, 40);
        struct pn_transcribe_options o = in_english();
        struct pn_transcription *t = NULL;
        struct pn_transcript *result = NULL;
        o.language = "";
        o.beam_size = 2;
        o.word_timestamps = true;
        assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), 0);
        r = drive(&f, t, MAX_ROWS);
        assert_true(r == 0 || r == -PN_ENOMEM);
        assert_int_equal(pn_transcription_result(t, &result, NULL), 0); /* what there is */
        pn_transcript_free(result);
        pn_transcription_free(t);
        pn_features_free(features);
        fake_whisper_close(&f);
        assert_true(fail_at < 200);
    }
}

static void test_freed_half_way(void **state)
{
    struct script s = { .say = { { TS(0), A, TS(1) } } };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_features *features = hear(&f, 3);
    struct pn_transcribe_options o = in_english();
    struct pn_transcription *t = NULL;
    struct pn_encoder_run *run = NULL;
    struct pn_decoder_row rows[4];
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), 0);
    assert_int_equal(pn_transcription_begin(t, &run), 0);
    pn_transcription_encoded(t, run);
    assert_int_equal(pn_transcription_rows(t, rows, 2), 2);
    pn_transcription_free(t);
    pn_features_free(features);
    fake_whisper_close(&f);
}

static void test_refusals(void **state)
{
    struct script s = { .silent = true };
    struct fake_whisper f;
    struct pn_transcription *t = NULL;
    struct pn_err err = { 0 };
    fake_whisper_open(&f, ENGLISH, say, &s);
    struct pn_features *features = hear(&f, 1);
    struct pn_transcribe_options o = in_english();
    o.translate = true;
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), -PN_EUNSUPPORTED);
    o = in_english();
    o.language = "de";
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, &err), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "\"de\""));
    o = in_english();
    o.beam_size = 17;
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), -PN_EINVAL);
    o = in_english();
    o.suppress = (const int32_t[]){ 60000 };
    o.n_suppress = 1;
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), -PN_EINVAL);
    o = in_english();
    o.temperature[0] = NAN;
    assert_int_equal(pn_transcription_new(f.engine, features, &o, &t, NULL), -PN_EINVAL);
    o = in_english();
    assert_int_equal(pn_transcription_new_window(f.engine, features, &o, &t, NULL), -PN_EINVAL);
    assert_null(t);
    pn_features_free(features);
    fake_whisper_close(&f);
}

static void test_nothing_to_hear(void **state)
{
    struct script s = { .silent = true };
    struct fake_whisper f;
    fake_whisper_open(&f, MULTI, say, &s);
    struct pn_transcribe_options o = in_english();
    o.language = "";
    struct pn_transcript *r = transcribe(&f, 0.005, &o, MAX_ROWS);
    assert_string_equal(r->language, "");
    assert_int_equal(r->n_segments, 0);
    assert_int_equal(f.n_runs, 0);
    pn_transcript_free(r);
    fake_whisper_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seek_and_prompt),
        cmocka_unit_test(test_rows_in_any_pieces),
        cmocka_unit_test(test_words_follow_the_attention),
        cmocka_unit_test(test_fallback_runs_one_prompt_row_again),
        cmocka_unit_test(test_silence_has_no_segments),
        cmocka_unit_test(test_language_detection_shares_long_windows),
        cmocka_unit_test(test_caches_follow_their_sequences),
        cmocka_unit_test(test_batch_joins_windows_in_order),
        cmocka_unit_test(test_every_decoder_failure_ends_it),
        cmocka_unit_test(test_freed_half_way),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_nothing_to_hear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
