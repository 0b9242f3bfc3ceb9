/* golden_compare.c - a transcript beside the reference's result: text and tokens exactly, times and scores
 * within what two correct f32 engines may differ by. */
#include "golden.h"

#include "text/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const double TIME = 1e-6, WORD_TIME = 0.02 + 1e-6, SCORE = 5e-3, NO_SPEECH = 1e-3, NEAR_TIE = 0.02;

/* The first difference is kept. */
static void PN_PRINTF(2, 3) differ(struct golden_difference *d, const char *fmt, ...)
{
    va_list ap;
    if (d->text[0])
        return;
    va_start(ap, fmt);
    vsnprintf(d->text, sizeof(d->text), fmt, ap);
    va_end(ap);
}

static void compare_number(struct golden_difference *d, const char *what, int segment, double got,
                           double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        differ(d, "segment %d: %s %.6g, expected %.6g", segment, what, got, want);
}

static struct pn_str text_of(const json_t *object, const char *key)
{
    const json_t *v = json_object_get(object, key);
    return (struct pn_str){ json_string_value(v), json_string_length(v) };
}

static void compare_text(struct golden_difference *d, const char *what, int segment, struct pn_str got,
                         struct pn_str want)
{
    if (pn_str_eq(got, want))
        return;
    d->text_differs = true;
    differ(d, "segment %d: %s \"%.*s\", expected \"%.*s\"", segment, what, (int)PN_MIN(got.len, (size_t)60),
           got.ptr ? got.ptr : "", (int)PN_MIN(want.len, (size_t)60), want.ptr ? want.ptr : "");
}

/* -1 stands for no token at this place. */
static void tokens_part(struct golden_difference *d, int segment, int at, int64_t got, int64_t want)
{
    if (!d->tokens_differ)
        d->token = at;
    d->tokens_differ = true;
    differ(d, "segment %d: token %d of the result is %" PRId64 ", expected %" PRId64, segment, at, got, want);
}

/* Returns the place after the segment's golden tokens; `at` is the place before them. */
static int compare_tokens(struct golden_difference *d, int segment, int at, const int32_t *got, size_t n,
                          const json_t *want)
{
    size_t n_want = json_array_size(want);
    for (size_t i = 0; i < PN_MAX(n, n_want) && !d->tokens_differ; i++) {
        int64_t a = i < n ? got[i] : -1, b = i < n_want ? json_integer_value(json_array_get(want, i)) : -1;
        if (a != b)
            tokens_part(d, segment, at + (int)i, a, b);
    }
    return at + (int)n_want;
}

static void compare_words(struct golden_difference *d, int segment, const struct pn_segment *got,
                          const json_t *want, bool exact)
{
    size_t n = json_array_size(want);
    if (got->n_words != n) {
        differ(d, "segment %d: %zu words, expected %zu", segment, got->n_words, n);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *w = json_array_get(want, i);
        compare_text(d, "word", segment, pn_str(got->words[i].text), text_of(w, "word"));
        if (!exact)
            continue;
        compare_number(d, "word start", segment, got->words[i].start, golden_number(w, "start"), WORD_TIME);
        compare_number(d, "word end", segment, got->words[i].end, golden_number(w, "end"), WORD_TIME);
        compare_number(d, "word probability", segment, got->words[i].confidence,
                       golden_number(w, "probability"), SCORE);
    }
}

static void compare_scores(struct golden_difference *d, int i, const struct pn_segment *got,
                           const json_t *want)
{
    compare_number(d, "temperature", i, got->temperature, golden_number(want, "temperature"), TIME);
    compare_number(d, "avg_logprob", i, got->avg_logprob, golden_number(want, "avg_logprob"), SCORE);
    compare_number(d, "compression_ratio", i, got->compression_ratio,
                   golden_number(want, "compression_ratio"), 1e-12);
    compare_number(d, "no_speech_prob", i, got->no_speech_prob, golden_number(want, "no_speech_prob"),
                   NO_SPEECH);
}

static int compare_segment(struct golden_difference *d, int i, int at, const struct pn_segment *got,
                           const json_t *want, bool exact, bool by_words)
{
    const json_t *words = json_object_get(want, "words");
    double tolerance = by_words ? WORD_TIME : TIME; /* words move the ends of segments and windows */
    at = compare_tokens(d, i, at, got->tokens, got->n_tokens, json_object_get(want, "tokens"));
    compare_text(d, "text", i, pn_str(got->text), text_of(want, "text"));
    if (exact) {
        compare_number(d, "id", i, got->id, golden_number(want, "id"), 0);
        compare_number(d, "seek", i, (double)got->seek, golden_number(want, "seek"), by_words ? 2 : 0);
        compare_number(d, "start", i, got->start, golden_number(want, "start"), tolerance);
        compare_number(d, "end", i, got->end, golden_number(want, "end"), tolerance);
        compare_scores(d, i, got, want);
    }
    compare_words(d, i, got, words, exact);
    return at;
}

static void compare_segments(struct golden_difference *d, const struct pn_transcript *got, const json_t *want,
                             bool exact, bool by_words)
{
    size_t n = json_array_size(want);
    int at = 0;
    for (size_t i = 0; i < n && i < got->n_segments; i++)
        at = compare_segment(d, (int)i, at, &got->segments[i], json_array_get(want, i), exact, by_words);
    if (got->n_segments != n) {
        differ(d, "%zu segments, expected %zu", got->n_segments, n);
        if (!d->tokens_differ)
            tokens_part(d, (int)PN_MIN(n, got->n_segments), at, -1, -1);
    }
}

/* decode() gives one window: its tokens and scores. */
static void compare_window(struct golden_difference *d, const struct pn_transcript *got, const json_t *want,
                           bool exact)
{
    if (got->n_segments != 1) {
        differ(d, "%zu segments, expected one window", got->n_segments);
        return;
    }
    compare_tokens(d, 0, 0, got->segments[0].tokens, got->segments[0].n_tokens,
                   json_object_get(want, "tokens"));
    if (exact)
        compare_scores(d, 0, &got->segments[0], want);
}

void golden_compare(const struct golden_session *s, const json_t *run, bool window,
                    const struct pn_transcript *got, struct golden_difference *ret)
{
    const json_t *want = json_object_get(run, "result");
    *ret = (struct golden_difference){ .token = -1 };
    if (window)
        compare_window(ret, got, want, s->exact);
    else
        compare_segments(ret, got, json_object_get(want, "segments"), s->exact,
                         json_is_true(json_object_get(json_object_get(run, "options"), "word_timestamps")));
    struct pn_str text = pn_str(got->full_text);
    if (window) /* decode() strips */
        text = pn_utf8_strip(text);
    compare_text(ret, "whole text", -1, text, text_of(want, "text"));
    struct pn_str language = text_of(want, "language");
    if (!pn_str_eq(pn_str(got->language), language))
        differ(ret, "language \"%s\", expected \"%.*s\"", got->language, (int)language.len, language.ptr);
}

/* All tokens of a result, joined. */
static json_t *joined_tokens(const json_t *result)
{
    json_t *all = json_array(), *segment;
    size_t i;
    json_array_extend(all, json_object_get(result, "tokens"));
    json_array_foreach(json_object_get(result, "segments"), i, segment)
        json_array_extend(all, json_object_get(segment, "tokens"));
    return all;
}

/* The trace has every sampled token, also those that the result dropped (eot, unfinished sentences). Steps
 * from the last token that is equal to the first that is not are those that may have been a near-tie. */
bool golden_is_near_tie(const json_t *run, const struct golden_difference *d)
{
    const json_t *trace = json_object_get(run, "trace");
    if (!d->tokens_differ || golden_number(run, "min_margin") >= NEAR_TIE)
        return false;
    if (!trace) /* beam runs have no margins; other runs without a trace only the smallest one */
        return json_object_get(run, "min_margin") != NULL;
    json_t *tokens = joined_tokens(json_object_get(run, "result"));
    size_t place = 0;
    bool tie = false;
    for (size_t i = 0; i < json_array_size(trace) && place <= (size_t)d->token && !tie; i++) {
        const json_t *step = json_array_get(trace, i);
        if (place == (size_t)d->token)
            tie = json_number_value(json_array_get(step, 2)) < NEAR_TIE;
        if (json_equal(json_array_get(step, 0), json_array_get(tokens, place)))
            place++;
    }
    json_decref(tokens);
    return tie;
}
