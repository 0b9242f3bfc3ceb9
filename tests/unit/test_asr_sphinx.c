/* test_asr_sphinx.c - words to segments; the real recogniser on the spoken clips of alsa-utils: the same
 * result whatever came before, long audio in pieces, streams that leave in the middle and stop costing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/scheduler.h"
#include "asr/sphinx/pool.h"
#include "asr/sphinx/sphinx.h"
#include "asr/sphinx/words.h"

#include <math.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define RATE 16000

/* ---- words ---- */

static struct pn_sphinx_word WORDS_1[] = {
    { "and", 10, 30, -0.5 }, { "so", 30, 50, -1.5 }, { "ask", 115, 150, -40 }, { "not", 170, 200, 0 }
};
static struct pn_sphinx_word WORDS_2[] = { { "what", 5, 20, -0.1 }, { "now", 20, 99, -0.1 } };
static struct pn_sphinx_utterance UTTERANCE_3 = { .done = true, .start_sample = 5 * RATE };
static struct pn_sphinx_utterance UTTERANCE_2 = {
    .next = &UTTERANCE_3, .done = true, .start_sample = 2 * RATE, .words = WORDS_2, .n_words = 2
};
static struct pn_sphinx_utterance UTTERANCE_1 = {
    .next = &UTTERANCE_2, .done = true, .start_sample = 0, .words = WORDS_1, .n_words = 4
};

static void test_words_become_segments(void **state)
{
    struct pn_transcript *t = NULL;
    assert_int_equal(pn_sphinx_transcript(&UTTERANCE_1, 3, 2.5, true, &t, NULL), 0);
    assert_string_equal(t->text, "and so ask not what now");
    assert_string_equal(t->language, "en");
    assert_string_equal(t->model, "sphinx");
    assert_true(t->final);
    assert_int_equal(t->n_segments, 3);
    static const char *const texts[] = { " and so", " ask not", " what now" };
    for (size_t i = 0; i < 3; i++) {
        const struct pn_segment *s = &t->segments[i];
        assert_int_equal(s->id, i);
        assert_string_equal(s->text, texts[i]);
        assert_int_equal(s->seek, i == 2 ? 200 : 0);
        assert_int_equal(s->n_tokens, 0);
        assert_int_equal(s->n_words, 2);
        assert_true(s->temperature == 0.0 && s->no_speech_prob == 0.0);
        assert_true(s->compression_ratio > 0.3 && s->compression_ratio < 1.0);
    }
    const struct pn_segment *s = t->segments;
    assert_true(fabs(s[0].start - 0.1) < 1e-9 && fabs(s[0].end - 0.5) < 1e-9);
    assert_true(fabs(s[0].avg_logprob + 1.0) < 1e-9);
    assert_true(fabs(s[0].confidence - (exp(-0.5) + exp(-1.5)) / 2) < 1e-9);
    assert_true(fabs(s[1].avg_logprob + 5.0) < 1e-9); /* bounded */
    assert_true(fabs(s[2].start - 2.05) < 1e-9);
    assert_true(fabs(s[2].end - 2.5) < 1e-9); /* not after the end of the audio */
    assert_string_equal(s[1].words[0].text, " ask");
    pn_transcript_free(t);
}

static void test_no_words_no_text(void **state)
{
    struct pn_transcript *t = NULL;
    assert_int_equal(pn_sphinx_transcript(NULL, 0, 0, true, &t, NULL), 0);
    assert_string_equal(t->text, "");
    assert_int_equal(t->n_segments, 0);
    pn_transcript_free(t);
    assert_int_equal(pn_sphinx_transcript(&UTTERANCE_3, 1, 9, false, &t, NULL), 0);
    assert_string_equal(t->text, "");
    assert_true(t->duration == 9.0);
    pn_transcript_free(t);
}

/* An hour of one word after the other still has segments that fit a screen. */
static void test_long_speech_is_divided(void **state)
{
    enum { N = 3000 };
    static struct pn_sphinx_word words[N];
    for (int i = 0; i < N; i++)
        words[i] = (struct pn_sphinx_word){ "word", i * 50, i * 50 + 50, -1 };
    struct pn_sphinx_utterance u = { .done = true, .words = words, .n_words = N };
    struct pn_transcript *t = NULL;
    assert_int_equal(pn_sphinx_transcript(&u, 1, N / 2, true, &t, NULL), 0);
    assert_true(t->n_segments >= N / 2 / 15 && t->n_segments <= N / 2 / 14);
    double before = 0;
    for (size_t i = 0; i < t->n_segments; i++) {
        assert_true(t->segments[i].start >= before && t->segments[i].end - t->segments[i].start <= 15.0);
        before = t->segments[i].end;
    }
    assert_int_equal(strlen(t->text), N * 5 - 1);
    pn_transcript_free(t);
}

static void test_samples_to_16_bits(void **state)
{
    const float pcm[] = { 0, 1, -1, 2, -2, NAN, 0.5f, -INFINITY };
    static const int16_t want[] = { 0, INT16_MAX, INT16_MIN, INT16_MAX, INT16_MIN, 0, 16384, INT16_MIN };
    struct pn_sphinx_utterance *u = NULL;
    assert_int_equal(pn_sphinx_utterance_new(pcm, PN_ARRAY_LEN(pcm), 320, &u), 0);
    assert_memory_equal(u->pcm, want, sizeof(want));
    assert_int_equal(u->start_sample, 320);
    pn_sphinx_utterance_free(u);
}

/* ---- the real thing ---- */

static struct pn_recognizer *sphinx;
static struct pn_scheduler *scheduler;

struct clip {
    float *pcm;
    size_t n;
};

/* 48 kHz mono, 16 bits, behind a plain 44-byte header; every third sample, averaged. */
static struct clip load_clip(const char *name)
{
    char path[256];
    snprintf(path, sizeof(path), "/usr/share/sounds/alsa/%s.wav", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        skip();
    static int16_t raw[1 << 18];
    size_t n = fseek(f, 44, SEEK_SET) == 0 ? fread(raw, 2, PN_ARRAY_LEN(raw), f) : 0;
    fclose(f);
    struct clip c = { calloc(n / 3 + 1, sizeof(float)), n / 3 };
    assert_non_null(c.pcm);
    for (size_t i = 0; i < c.n; i++)
        c.pcm[i] = (float)(raw[3 * i] + raw[3 * i + 1] + raw[3 * i + 2]) / 98304.0f;
    return c;
}

static int start_sphinx(void **state)
{
    struct pn_err err = { 0 };
    struct pn_scheduler_options opt = { .max_streams = 8, .batch_size = 8, .row_budget = 100 };
    int r = pn_sphinx_new(PN_SPHINX_MODEL_DIR, 1, &sphinx, &err);
    if (r == 0)
        r = pn_scheduler_new(&opt, &scheduler, &err);
    if (r < 0)
        printf("%s\n", err.text);
    return r;
}

static int stop_sphinx(void **state)
{
    pn_scheduler_free(scheduler);
    sphinx->ops->free(sphinx);
    return 0;
}

static void moved(void *ctx)
{
    sem_post(ctx);
}

static struct pn_stream *open_stream(sem_t *sem)
{
    struct pn_stream *st = NULL;
    struct pn_recognition want = { .language = "en", .task = "transcribe", .live = false };
    sem_init(sem, 0, 0);
    assert_int_equal(pn_scheduler_open(scheduler, sphinx, &want, moved, sem, &st, NULL), 0);
    return st;
}

static void feed_all(struct pn_stream *st, sem_t *sem, const float *pcm, size_t n)
{
    for (size_t at = 0; at < n;) {
        size_t piece = PN_MIN(n - at, (size_t)4000);
        int r = pn_scheduler_feed(scheduler, st, pcm + at, piece);
        if (r == -PN_EFULL)
            sem_wait(sem);
        else
            assert_int_equal(r, 0);
        at += r == 0 ? piece : 0;
    }
    assert_int_equal(pn_scheduler_finish(scheduler, st), 0);
}

static struct pn_transcript *wait_for_result(struct pn_stream *st, sem_t *sem)
{
    int r;
    struct pn_transcript *t = NULL;
    while ((r = sphinx->ops->status(st, NULL)) == 0)
        sem_wait(sem);
    assert_int_equal(r, 1);
    assert_int_equal(sphinx->ops->result(st, &t, NULL), 0);
    assert_true(t->final);
    return t;
}

static struct pn_transcript *transcribe(struct clip c)
{
    sem_t sem;
    struct pn_stream *st = open_stream(&sem);
    feed_all(st, &sem, c.pcm, c.n);
    struct pn_transcript *t = wait_for_result(st, &sem);
    assert_true(fabs(sphinx->ops->position(st) - (double)c.n / RATE) < 0.011);
    pn_scheduler_close(scheduler, st);
    sem_destroy(&sem);
    return t;
}

static void check_same(const struct pn_transcript *a, const struct pn_transcript *b)
{
    assert_string_equal(a->text, b->text);
    assert_int_equal(a->n_segments, b->n_segments);
    for (size_t i = 0; i < a->n_segments; i++) {
        assert_true(a->segments[i].start == b->segments[i].start);
        assert_true(a->segments[i].end == b->segments[i].end);
        assert_true(a->segments[i].avg_logprob == b->segments[i].avg_logprob);
    }
}

/* One decoder does all of these; not a bit of one may be left in the next. */
static void test_nothing_of_one_utterance_colours_the_next(void **state)
{
    struct clip a = load_clip("Front_Center"), b = load_clip("Side_Left"), loud = load_clip("Rear_Right");
    for (size_t i = 0; i < loud.n; i++)
        loud.pcm[i] = PN_MIN(PN_MAX(loud.pcm[i] * 30, -1.0f), 1.0f);
    struct pn_transcript *first = transcribe(a);
    assert_non_null(strstr(first->text, "center"));
    assert_true(first->segments[0].start >= 0 && first->segments[0].end <= first->duration);
    struct pn_transcript *others[] = { transcribe(b), transcribe(loud) };
    struct pn_transcript *again = transcribe(a);
    check_same(first, again);
    struct pn_transcript *b_again = transcribe(b);
    check_same(others[0], b_again);
    for (size_t i = 0; i < 2; i++)
        pn_transcript_free(others[i]);
    pn_transcript_free(first);
    pn_transcript_free(again);
    pn_transcript_free(b_again);
    free(a.pcm);
    free(b.pcm);
    free(loud.pcm);
}

static void test_silence_and_nothing(void **state)
{
    static float zeros[RATE];
    static const size_t lengths[] = { 0, 1, 100, 1599, 1600, RATE };
    for (size_t i = 0; i < PN_ARRAY_LEN(lengths); i++) {
        struct pn_transcript *t = transcribe((struct clip){ zeros, lengths[i] });
        assert_string_equal(t->text, "");
        assert_int_equal(t->n_segments, 0);
        assert_true(fabs(t->duration - (double)lengths[i] / RATE) < 1e-9);
        pn_transcript_free(t);
    }
}

static void test_very_short_clips(void **state)
{
    struct clip c = load_clip("Front_Center");
    for (size_t n = 1600; n < 4000; n += 401)
        pn_transcript_free(transcribe((struct clip){ c.pcm + 4000, n }));
    free(c.pcm);
}

static void test_what_it_cannot(void **state)
{
    struct pn_err err = { 0 };
    struct pn_stream *st = NULL;
    struct pn_recognition zh = { .language = "zh", .task = "transcribe", .live = false },
                          translate = { .language = "", .task = "translate", .live = false };
    assert_int_equal(pn_scheduler_open(scheduler, sphinx, &zh, NULL, NULL, &st, &err), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "'zh'"));
    assert_non_null(strstr(err.text, "--model"));
    err = (struct pn_err){ 0 };
    assert_int_equal(sphinx->ops->check(sphinx, &translate, &err), -PN_EUNSUPPORTED);
    assert_non_null(strstr(err.text, "WHISPER_MODEL"));
    assert_null(st);
    assert_int_equal(pn_scheduler_stats(scheduler).streams, 0);
    struct pn_recognizer *none = NULL;
    err = (struct pn_err){ 0 };
    assert_int_equal(pn_sphinx_new("/nonexistent", 2, &none, &err), -PN_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nonexistent"));
    assert_null(none);
}

/* Streams that close while their utterance is being decoded, others that wait for the same decoder. */
static void test_leaving_in_the_middle(void **state)
{
    struct clip c = load_clip("Front_Center");
    sem_t sems[4];
    struct pn_stream *st[4];
    for (size_t i = 0; i < 4; i++) {
        st[i] = open_stream(&sems[i]);
        feed_all(st[i], &sems[i], c.pcm, c.n);
    }
    pn_scheduler_close(scheduler, st[0]);
    pn_scheduler_close(scheduler, st[2]);
    struct pn_transcript *a = wait_for_result(st[1], &sems[1]), *b = wait_for_result(st[3], &sems[3]);
    check_same(a, b);
    pn_transcript_free(a);
    pn_transcript_free(b);
    pn_scheduler_close(scheduler, st[1]);
    pn_scheduler_close(scheduler, st[3]);
    for (size_t i = 0; i < 4; i++)
        sem_destroy(&sems[i]);
    free(c.pcm);
}

/* More than a window: cut in the pause, times from the start of the whole. */
static void test_long_audio_in_pieces(void **state)
{
    if (PN_SANITIZED)
        skip();
    struct clip c = load_clip("Front_Center"), all = { calloc(40 * RATE, sizeof(float)), 40 * RATE };
    static const size_t at_s[] = { 2, 10, 36 };
    for (size_t i = 0; i < all.n; i++)
        all.pcm[i] = (float)((int)(i * 7919 % 13) - 6) / 32768.0f; /* the hiss of a real recording */
    for (size_t i = 0; i < 3; i++)
        memcpy(all.pcm + at_s[i] * RATE, c.pcm, c.n * sizeof(float));
    struct pn_transcript *t = transcribe(all);
    assert_int_equal(t->n_segments, 3);
    for (size_t i = 0; i < 3; i++) {
        const struct pn_segment *s = &t->segments[i];
        assert_non_null(strstr(s->text, "center"));
        assert_true(s->start > (double)at_s[i] - 0.1 && s->end < (double)at_s[i] + 1.6);
        assert_true((double)s->seek / 100 <= s->start);
    }
    assert_int_equal(t->segments[0].seek, 0);
    assert_in_range(t->segments[2].seek, 1500, 3000);
    pn_transcript_free(t);
    free(c.pcm);
    free(all.pcm);
}

/* A clip said again and again for so many seconds. */
static struct clip repeat(struct clip c, size_t seconds)
{
    struct clip all = { calloc(seconds * RATE, sizeof(float)), seconds * RATE };
    assert_non_null(all.pcm);
    for (size_t i = 0; i < all.n; i++)
        all.pcm[i] = c.pcm[i % c.n];
    return all;
}

static int64_t cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* What is left of 20 s of speech costs less than a clip of 1.4 s. */
static void test_a_closed_stream_stops_costing(void **state)
{
    struct clip c = load_clip("Front_Center"), all = repeat(c, 20);
    int64_t before = cpu_us();
    struct pn_transcript *t = transcribe(c);
    int64_t cost = cpu_us() - before;

    sem_t sem;
    struct pn_stream *st = open_stream(&sem);
    feed_all(st, &sem, all.pcm, all.n);
    while (sphinx->ops->next(st).phase != 0)
        usleep(1000); /* until a decoder has it */
    before = cpu_us();
    pn_scheduler_close(scheduler, st);
    struct pn_transcript *again = transcribe(c);
    assert_in_range(cpu_us() - before, 0, 3 * cost);
    check_same(t, again);
    pn_transcript_free(t);
    pn_transcript_free(again);
    sem_destroy(&sem);
    free(c.pcm);
    free(all.pcm);
}

/* ---- decoders alone ---- */

static void came_back(void *ctx, struct pn_sphinx_utterance *u)
{
    (void)u;
    sem_post(ctx);
}

static struct pn_sphinx_utterance *submit(struct pn_sphinx_pool *pool, struct clip c)
{
    struct pn_sphinx_utterance *u = NULL;
    assert_int_equal(pn_sphinx_utterance_new(c.pcm, c.n, 0, &u), 0);
    assert_int_equal(pn_sphinx_pool_submit(pool, u), 0);
    return u;
}

static void check_decodes_to(struct pn_sphinx_pool *pool, sem_t *back, struct clip c,
                             const struct pn_sphinx_utterance *want)
{
    struct pn_sphinx_utterance *u = submit(pool, c);
    sem_wait(back);
    assert_int_equal(u->error, 0);
    assert_int_equal(u->n_words, want->n_words);
    for (size_t i = 0; i < u->n_words; i++) {
        assert_string_equal(u->words[i].text, want->words[i].text);
        assert_int_equal(u->words[i].start, want->words[i].start);
        assert_int_equal(u->words[i].end, want->words[i].end);
        assert_true(u->words[i].logprob == want->words[i].logprob);
    }
    pn_sphinx_utterance_free(u);
}

/* Abandons it once so many frames are searched; how many were when the decoder gave it back. */
static int abandon(struct pn_sphinx_pool *pool, sem_t *back, struct clip c, int frame)
{
    struct pn_sphinx_utterance *u = submit(pool, c);
    while (atomic_load(&u->n_searched) < frame)
        usleep(1000);
    atomic_store(&u->abandoned, true);
    sem_wait(back);
    assert_int_equal(pn_sphinx_pool_idle(pool), 1);
    int n = atomic_load(&u->n_searched);
    if (n < (int)c.n / PN_SPHINX_FRAME) {
        assert_int_equal(u->error, -PN_ECANCELLED);
        assert_int_equal(u->n_words, 0);
    }
    pn_sphinx_utterance_free(u);
    return n;
}

/* At its start, in the middle, in the second pass; the decoder is as good as new for the next one. */
static void test_an_abandoned_utterance_is_broken_off(void **state)
{
    struct clip c = load_clip("Front_Center"), all = repeat(c, 20);
    struct pn_sphinx_pool *pool = NULL;
    sem_t back;
    sem_init(&back, 0, 0);
    assert_int_equal(pn_sphinx_pool_new(PN_SPHINX_MODEL_DIR, 1, came_back, &back, &pool, NULL), 0);
    struct pn_sphinx_utterance *want = submit(pool, c);
    sem_wait(&back);
    assert_true(want->error == 0 && want->n_words > 0);

    int n_all = (int)all.n / PN_SPHINX_FRAME;
    assert_in_range(abandon(pool, &back, all, 0), 0, n_all / 4);
    assert_in_range(abandon(pool, &back, all, 50), 50, n_all / 4);
    check_decodes_to(pool, &back, c, want);
    abandon(pool, &back, c, want->n_searched);
    check_decodes_to(pool, &back, c, want);

    pn_sphinx_pool_free(pool);
    pn_sphinx_utterance_free(want);
    sem_destroy(&back);
    free(c.pcm);
    free(all.pcm);
}

int main(void)
{
    const struct CMUnitTest words[] = {
        cmocka_unit_test(test_words_become_segments),
        cmocka_unit_test(test_no_words_no_text),
        cmocka_unit_test(test_long_speech_is_divided),
        cmocka_unit_test(test_samples_to_16_bits),
    };
    const struct CMUnitTest real[] = {
        cmocka_unit_test(test_nothing_of_one_utterance_colours_the_next),
        cmocka_unit_test(test_silence_and_nothing),
        cmocka_unit_test(test_very_short_clips),
        cmocka_unit_test(test_what_it_cannot),
        cmocka_unit_test(test_leaving_in_the_middle),
        cmocka_unit_test(test_a_closed_stream_stops_costing),
        cmocka_unit_test(test_an_abandoned_utterance_is_broken_off),
        cmocka_unit_test(test_long_audio_in_pieces),
    };
    int failed = cmocka_run_group_tests(words, NULL, NULL);
    return failed + cmocka_run_group_tests(real, start_sphinx, stop_sphinx);
}
