/* test_asr_whisper_parts.c - the parts of Whisper's decoding that are plain functions: filters, sampling,
 * beams, fallback, cutting, alignment, words, skipping of invented text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "asr/whisper/align.h"
#include "asr/whisper/beam.h"
#include "asr/whisper/clips.h"
#include "asr/whisper/fallback.h"
#include "asr/whisper/filters.h"
#include "asr/whisper/hallucination.h"
#include "asr/whisper/sampler.h"
#include "asr/whisper/settings.h"
#include "asr/whisper/words.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A vocabulary of ten words: eot 10, notimestamps 11, timestamps 20..39. */
enum { EOT = 10, NOTIMESTAMPS = 11, T = 20, VOCAB = 40 };

static struct pn_filters small_filters(void)
{
    return (struct pn_filters){ .n_vocab = VOCAB,
                                .eot = EOT,
                                .timestamp_begin = T,
                                .notimestamps = NOTIMESTAMPS,
                                .blank = -1,
                                .timestamps = true,
                                .max_initial = -1 };
}

static void flat(float *logits, float text, float time)
{
    for (int i = 0; i < VOCAB; i++)
        logits[i] = i < T ? text : time;
}

static bool allowed(const float *logits, int i)
{
    return logits[i] > -INFINITY;
}

static void test_first_token_is_an_early_timestamp(void **state)
{
    struct pn_filters f = small_filters();
    float l[VOCAB];
    f.max_initial = 5;
    flat(l, 100, 0);
    pn_filters_apply(&f, NULL, 0, l);
    for (int i = 0; i < VOCAB; i++)
        assert_int_equal(allowed(l, i), i >= T && i <= T + 5);
}

static void test_timestamps_come_in_pairs_and_do_not_run_back(void **state)
{
    struct pn_filters f = small_filters();
    const int32_t s[] = { T + 2, 1, T + 5, T + 5 };
    float l[VOCAB];
    flat(l, 5, 0);
    pn_filters_apply(&f, s, 1, l); /* after a lone first one: no timestamp */
    assert_true(allowed(l, 1) && allowed(l, EOT) && !allowed(l, T + 2) && !allowed(l, NOTIMESTAMPS));
    flat(l, 5, 0);
    pn_filters_apply(&f, s, 2, l); /* after text: later ones only */
    assert_true(allowed(l, 1) && !allowed(l, T + 2) && allowed(l, T + 3));
    flat(l, 5, 0);
    pn_filters_apply(&f, s, 3, l); /* after an end: eot, or a start that may be equal */
    assert_true(!allowed(l, 1) && allowed(l, EOT) && allowed(l, T + 5) && !allowed(l, T + 4));
    flat(l, 5, 0);
    pn_filters_apply(&f, s, 4, l); /* after a pair: text */
    assert_true(allowed(l, 1) && allowed(l, EOT) && !allowed(l, T + 6));
}

static void test_timestamps_win_by_their_sum(void **state)
{
    struct pn_filters f = small_filters();
    const int32_t s[] = { T, 1 };
    float l[VOCAB];
    flat(l, 2.9f, 0); /* 19 timestamps are left: log 19 = 2.944 */
    pn_filters_apply(&f, s, 2, l);
    assert_true(!allowed(l, 1) && allowed(l, T + 1));
    flat(l, 2.95f, 0);
    pn_filters_apply(&f, s, 2, l);
    assert_true(allowed(l, 1));
}

static void test_blank_and_suppressed(void **state)
{
    struct pn_filters f = small_filters();
    const int32_t suppress[] = { 7, 9 }, s[] = { 1, 2 };
    float l[VOCAB];
    f.timestamps = false;
    f.blank = 3;
    f.suppress = suppress;
    f.n_suppress = 2;
    flat(l, 0, 0);
    pn_filters_apply(&f, NULL, 0, l);
    assert_true(!allowed(l, 3) && !allowed(l, EOT) && !allowed(l, 7) && !allowed(l, 9) && allowed(l, 8));
    flat(l, 0, 0);
    pn_filters_apply(&f, s, 1, l);
    assert_true(allowed(l, 3) && allowed(l, EOT) && !allowed(l, 7));
}

static void test_best_choice(void **state)
{
    float l[VOCAB];
    flat(l, -INFINITY, -INFINITY);
    l[4] = l[6] = 1;
    struct pn_choice c = pn_choose_best(l, VOCAB, EOT);
    assert_int_equal(c.token, 4);
    assert_float_equal(c.logprob, -0.693147f, 1e-5f);
    flat(l, -INFINITY, -INFINITY);
    assert_int_equal(pn_choose_best(l, VOCAB, EOT).token, EOT);
    flat(l, NAN, NAN);
    assert_int_equal(pn_choose_best(l, VOCAB, EOT).token, EOT);
}

/* 20000 draws: a token's share is its probability within 5 standard deviations. */
static void test_samples_follow_the_distribution(void **state)
{
    enum { DRAWS = 20000 };
    float l[VOCAB], scratch[VOCAB];
    int count[VOCAB] = { 0 };
    struct pn_rng r;
    pn_rng_seed(&r, 7, 0, 0);
    flat(l, -INFINITY, -INFINITY);
    l[1] = 0;
    l[8] = 1;
    l[39] = 2;
    for (int i = 0; i < DRAWS; i++)
        count[pn_choose_sample(l, VOCAB, EOT, 2.0, &r, scratch).token]++;
    double sum = 1 + exp(0.5) + exp(1);
    const struct {
        int id;
        double p;
    } want[] = { { 1, 1 / sum }, { 8, exp(0.5) / sum }, { 39, exp(1) / sum } };
    int n = 0;
    for (size_t i = 0; i < PN_ARRAY_LEN(want); i++) {
        double sigma = sqrt(DRAWS * want[i].p * (1 - want[i].p));
        assert_true(fabs(count[want[i].id] - DRAWS * want[i].p) < 5 * sigma);
        n += count[want[i].id];
    }
    assert_int_equal(n, DRAWS);
}

static void test_seeds_tell_sequences_apart(void **state)
{
    struct pn_rng a, b, c;
    pn_rng_seed(&a, 1, 2, 3);
    pn_rng_seed(&b, 1, 2, 3);
    pn_rng_seed(&c, 1, 2, 4);
    double x = pn_rng_next(&a);
    assert_true(x == pn_rng_next(&b) && x != pn_rng_next(&c));
}

static void test_rank(void **state)
{
    static struct pn_sequence s[3] = { { .sum = -4, .n = 2 }, { .sum = -5, .n = 5 }, { .sum = -1, .n = 0 } };
    assert_int_equal(pn_rank(s, 3, NAN), 1); /* -2, -1, -1: the first of equals */
    assert_int_equal(pn_rank(s, 2, 0), 0);   /* no penalty: plain sums */
}

static void test_top_k(void **state)
{
    float row[1000];
    int32_t ids[5];
    for (int i = 0; i < 1000; i++)
        row[i] = (float)((i * 7919) % 500); /* every value twice, 500 apart */
    pn_top_k(row, 1000, 5, ids);
    for (int i = 0; i < 5; i++)
        assert_true(row[ids[i]] == (float)(499 - i / 2));
    assert_true(ids[0] < ids[1] && ids[2] < ids[3]);
}

/* Ids 0..3 and eot; a step by hand. */
static void test_beam_step(void **state)
{
    struct pn_beam b;
    const float first[] = { 4, 3, 1, 0, 2 }, x[] = { 0, 0, 0, 0, 9 }, y[] = { 9, 8, 0, 0, 0 };
    assert_int_equal(pn_beam_init(&b, 2, 1.0), 0);
    pn_beam_start(&b);
    assert_false(pn_beam_step(&b, (const float *const[]){ first }, 5, 4));
    assert_int_equal(b.n_live, 2); /* the best two; eot, third, comes too late */
    assert_int_equal(b.n_finished, 0);
    assert_int_equal(b.live[0].tokens[0], 0);
    assert_int_equal(b.live[1].tokens[0], 1);
    assert_false(pn_beam_step(&b, (const float *const[]){ x, y }, 5, 4));
    assert_int_equal(b.n_finished, 1); /* beam 0 ends */
    assert_int_equal(b.finished[0].n, 1);
    assert_int_equal(b.source[0], 1); /* and beam 1 forks */
    assert_int_equal(b.source[1], 1);
    assert_int_equal(b.live[1].tokens[1], 1);
    pn_beam_finish(&b);
    assert_int_equal(b.n_finished, 2);
    assert_int_equal(b.finished[1].n, 2); /* the better live one is taken as it is */
    assert_true(b.finished[1].sum == b.live[0].sum);
    pn_beam_done(&b);
}

static void test_patience_rounds_half_to_even(void **state)
{
    struct pn_beam b;
    assert_int_equal(pn_beam_init(&b, 5, 0.5), 0);
    assert_int_equal(b.max_finished, 2);
    pn_beam_done(&b);
}

static void test_fallback(void **state)
{
    struct pn_transcribe_options o;
    pn_transcribe_defaults(&o);
    struct pn_quality good = { .avg_logprob = -0.5, .compression_ratio = 1, .no_speech_prob = 0.9 };
    struct pn_quality silence = { .avg_logprob = -1.5, .compression_ratio = 9, .no_speech_prob = 0.9 };
    struct pn_quality unlikely = { .avg_logprob = -1.5, .compression_ratio = 1, .no_speech_prob = 0.1 };
    struct pn_quality looping = { .avg_logprob = -0.5, .compression_ratio = 2.5 };
    assert_false(pn_needs_fallback(&o, &good) || pn_is_no_speech(&o, &good));
    assert_false(pn_needs_fallback(&o, &silence));
    assert_true(pn_is_no_speech(&o, &silence));
    assert_true(pn_needs_fallback(&o, &unlikely) && pn_needs_fallback(&o, &looping));
    o.logprob_threshold = NAN;
    assert_false(pn_needs_fallback(&o, &unlikely));
    assert_true(pn_needs_fallback(&o, &silence)); /* the way out needs both thresholds */
    assert_true(pn_is_no_speech(&o, &good));
    o.no_speech_threshold = NAN;
    assert_false(pn_is_no_speech(&o, &good));
}

static void test_python_slices(void **state)
{
    assert_int_equal(pn_slice_last(10, 3), 7);
    assert_int_equal(pn_slice_last(2, 3), 0);
    assert_int_equal(pn_slice_last(10, 0), 0);
    assert_int_equal(pn_slice_last(10, -4), 4);
    assert_int_equal(pn_slice_last(3, -4), 3);
}

static void test_clips_from_seconds(void **state)
{
    struct pn_clip c[3];
    assert_int_equal(pn_clips_from_seconds(NULL, 0, 700, c), 1);
    assert_true(c[0].from == 0 && c[0].to == 700);
    assert_int_equal(pn_clips_from_seconds((const double[]){ 1.005, 3, 5 }, 3, 700, c), 2);
    assert_true(c[0].from == 100 && c[0].to == 300 && c[1].from == 500 && c[1].to == 700); /* half to even */
    assert_int_equal(pn_clips_from_seconds((const double[]){ 1, 1e8 }, 2, 700, c), 1);
    assert_true(c[0].to == 700);
}

static void test_cuts_lie_in_pauses(void **state)
{
    enum { N = 9000 };
    float *level = calloc(N, sizeof(*level));
    struct pn_clip *pieces = NULL, all = { 0, N };
    int n = 0;
    for (int i = 0; i < N; i++) /* silence up to 5 s, at 27 s, and from 55 s to 65 s */
        level[i] = i < 500 || (i >= 2700 && i < 2750) || (i >= 5500 && i < 6500) ? -0.5f : 0.5f;
    assert_int_equal(pn_clips_cut_levels(level, N, &all, 1, 3000, &pieces, &n), 0);
    assert_true(n >= 3);
    assert_true(pieces[0].from > 400 && pieces[0].from <= 500);
    assert_true(pieces[0].to >= 2700 && pieces[0].to < 2750);
    for (int i = 0; i < n; i++) {
        assert_true(pieces[i].to > pieces[i].from && pieces[i].to - pieces[i].from <= 3000);
        assert_true(i == 0 || pieces[i].from >= pieces[i - 1].to);
    }
    assert_int_equal(pieces[n - 1].to, N);
    free(pieces);
    free(level);
}

static int compare(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void test_median_of_seven(void **state)
{
    enum { N = 300 };
    float row[N], padded[N + 6], out[N];
    srand(3);
    for (int i = 0; i < N; i++)
        row[i] = (float)(rand() % 50);
    pn_align_median(row, N, padded, out);
    for (int i = 0; i < N; i++) {
        float w[7];
        for (int k = -3; k <= 3; k++) {
            int at = i + k < 0 ? -(i + k) : i + k >= N ? 2 * (N - 1) - (i + k) : i + k;
            w[k + 3] = row[at];
        }
        qsort(w, 7, sizeof(*w), compare);
        assert_true(out[i] == w[3]);
    }
    pn_align_median(row, 3, padded, out);
    assert_memory_equal(out, row, 3 * sizeof(*row));
}

static void test_standardised_columns(void **state)
{
    float w[] = { 1, 5, 2, 5, 6, 5 };
    assert_int_equal(pn_align_standardise(w, 3, 2), 0);
    assert_float_equal(w[0], -0.9258f, 1e-4f);
    assert_float_equal(w[4], 1.3887f, 1e-4f);
    assert_true(w[1] == 0 && w[3] == 0 && w[5] == 0);
}

static void test_path_follows_the_ridge(void **state)
{
    enum { N = 4, M = 10 };
    const int32_t starts[N] = { 0, 2, 3, 7 };
    float m[N * M];
    for (int i = 0; i < N * M; i++)
        m[i] = -1;
    for (int i = 0; i < N; i++)
        for (int j = starts[i]; j < (i + 1 < N ? starts[i + 1] : M); j++)
            m[i * M + j] = 1;
    int32_t first[N];
    assert_int_equal(pn_align_path(m, N, M, first), 0);
    assert_memory_equal(first, starts, sizeof(starts));
    assert_int_equal(pn_align_path(m, 1, M, first), 0);
    assert_int_equal(first[0], 0);
}

static struct pn_arena *new_arena(void)
{
    struct pn_arena *a = NULL;
    assert_int_equal(pn_arena_new(1 << 20, &a), 0);
    return a;
}

static void test_marks_join_words(void **state)
{
    struct pn_arena *arena = new_arena();
    struct pn_timed_word w[] = { { " (", 1, 0, 1, 1 },  { " one", 2, 1, 2, 1 }, { ",", 1, 2, 3, 1 },
                                 { " \"", 1, 3, 4, 1 }, { " two", 1, 4, 5, 1 }, { "?", 1, 5, 6, 1 },
                                 { ")", 1, 6, 7, 1 },   { " end", 1, 7, 8, 1 } };
    struct pn_timed_words words = { w, PN_ARRAY_LEN(w) };
    assert_int_equal(pn_words_merge(&words, arena), 0);
    const char *want[] = { "", " ( one,", "", "", " \" two?)", "", "", " end" };
    const size_t tokens[] = { 0, 4, 0, 0, 4, 0, 0, 1 };
    for (size_t i = 0; i < PN_ARRAY_LEN(w); i++) {
        assert_string_equal(w[i].text, want[i]);
        assert_int_equal(w[i].n_tokens, tokens[i]);
    }
    pn_arena_free(arena);
}

static void test_lengths_and_truncation(void **state)
{
    struct pn_arena *arena = new_arena();
    struct pn_timed_word w[] = { { " a", 1, 0, 0.2, 1 },
                                 { " b", 1, 0.2, 0.6, 1 },
                                 { ".", 1, 0.6, 3.6, 1 },
                                 { " c", 1, 3.6, 9, 1 },
                                 { " d", 1, 9, 9, 1 } };
    struct pn_timed_words words = { w, PN_ARRAY_LEN(w) };
    struct pn_word_lengths len;
    assert_int_equal(pn_words_lengths(&words, arena, &len), 0);
    assert_float_equal(len.median, 0.7, 1e-9); /* of 0.2, 0.4, 3, 5.4: 1.7, which is too much */
    pn_words_truncate(&words, &len);
    assert_float_equal(w[2].end, 2.0, 1e-9);
    assert_float_equal(w[3].start, 7.6, 1e-9);
    pn_arena_free(arena);
}

static void test_words_are_shared_out(void **state)
{
    struct pn_arena *arena = new_arena();
    struct pn_timed_word w[] = { { " a", 1, 0.1, 0.3, 1 },
                                 { " b", 2, 0.3, 0.5, 0.5 },
                                 { " c", 1, 0.5, 0.9, 1 } };
    struct pn_timed_words words = { w, PN_ARRAY_LEN(w) };
    const int32_t one[] = { T, 1, 2, 3, T + 5 }, two[] = { T + 5, 4, T + 9 };
    struct pn_draft d[] = { { .start = 10, .end = 10.5, .tokens = one, .n_tokens = 5 },
                            { .start = 10.5, .end = 10.9, .tokens = two, .n_tokens = 3 } };
    struct pn_word_lengths len = { 0.2, 0.4 };
    assert_int_equal(pn_words_distribute(&words, &len, 10, 10, EOT, d, 2, arena), 0);
    assert_int_equal(d[0].n_words, 2);
    assert_int_equal(d[1].n_words, 1);
    assert_true(d[0].words[1].end == 10.5 && d[1].words[0].start == 10.5 && d[0].start == 10.1);
    pn_arena_free(arena);
}

static struct pn_draft one_word(struct pn_word *w, double start, double end, double probability)
{
    *w = (struct pn_word){ " x", start, end, probability };
    return (struct pn_draft){ .start = start, .end = end, .text = " x", .words = w, .n_words = 1 };
}

static void test_invented_text_is_skipped(void **state)
{
    struct pn_word w[3];
    struct pn_draft d[3] = { one_word(&w[0], 12, 12.5, 0.9), one_word(&w[1], 20, 20.05, 0.01),
                             one_word(&w[2], 28, 28.5, 0.9) };
    struct pn_slices s = { .drafts = d, .n = 3, .seek = 4000, .single_ending = true };
    struct pn_hallucination h = { .threshold = 2,
                                  .span = { 1000, 3000 },
                                  .window_frames = 3000,
                                  .content_frames = 9000,
                                  .last_speech = 9 };
    assert_true(pn_is_anomalous(&d[1]) && !pn_is_anomalous(&d[0]));
    assert_false(pn_hallucination_skip(&h, &s));
    assert_int_equal(s.n, 1); /* between silences: it and all later ones go */
    assert_int_equal(s.seek, 2000);
    s = (struct pn_slices){ .drafts = d + 1, .n = 1, .seek = 4000, .single_ending = true };
    assert_true(pn_hallucination_skip(&h, &s)); /* first of its window: start again behind the silence */
    assert_int_equal(s.seek, 2000);
    assert_int_equal(s.n, 0);
    h.threshold = NAN;
    s = (struct pn_slices){ .drafts = d, .n = 1, .seek = 4000, .single_ending = false };
    assert_false(pn_hallucination_skip(&h, &s));
    assert_int_equal(s.seek, 1250); /* the last word's end */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_token_is_an_early_timestamp),
        cmocka_unit_test(test_timestamps_come_in_pairs_and_do_not_run_back),
        cmocka_unit_test(test_timestamps_win_by_their_sum),
        cmocka_unit_test(test_blank_and_suppressed),
        cmocka_unit_test(test_best_choice),
        cmocka_unit_test(test_samples_follow_the_distribution),
        cmocka_unit_test(test_seeds_tell_sequences_apart),
        cmocka_unit_test(test_rank),
        cmocka_unit_test(test_top_k),
        cmocka_unit_test(test_beam_step),
        cmocka_unit_test(test_patience_rounds_half_to_even),
        cmocka_unit_test(test_fallback),
        cmocka_unit_test(test_python_slices),
        cmocka_unit_test(test_clips_from_seconds),
        cmocka_unit_test(test_cuts_lie_in_pauses),
        cmocka_unit_test(test_median_of_seven),
        cmocka_unit_test(test_standardised_columns),
        cmocka_unit_test(test_path_follows_the_ridge),
        cmocka_unit_test(test_marks_join_words),
        cmocka_unit_test(test_lengths_and_truncation),
        cmocka_unit_test(test_words_are_shared_out),
        cmocka_unit_test(test_invented_text_is_skipped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
