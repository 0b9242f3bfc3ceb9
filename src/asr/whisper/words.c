/* words.c - see words.h. */
#include "asr/whisper/words.h"

#include "text/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char pn_opening_marks[] = "\"'“¿([{-";
const char pn_closing_marks[] = "\"'.。,，!！?？:：”)]}、";

int pn_words_time(const struct pn_word_split *split, const int32_t *jump, const float *prob,
                  struct pn_arena *arena, struct pn_timed_words *ret)
{
    if (split->n <= 1) {
        *ret = (struct pn_timed_words){ 0 };
        return 0;
    }
    size_t n = split->n - 1; /* without eot */
    struct pn_timed_word *w = pn_arena_alloc(arena, n * sizeof(*w));
    if (!w)
        return -PN_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t from = split->start[i], to = split->start[i + 1];
        double sum = 0;
        for (size_t t = from; t < to; t++)
            sum += (double)prob[t];
        w[i] = (struct pn_timed_word){ .text = split->text[i],
                                       .n_tokens = to - from,
                                       .start = (double)jump[from] / 50,
                                       .end = (double)jump[to] / 50,
                                       .probability = to > from ? sum / (double)(to - from) : 0 };
    }
    *ret = (struct pn_timed_words){ w, n };
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

int pn_words_lengths(const struct pn_timed_words *w, struct pn_arena *arena, struct pn_word_lengths *ret)
{
    double *d = pn_arena_alloc(arena, (w->n + 1) * sizeof(*d));
    if (!d)
        return -PN_ENOMEM;
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (w->word[i].end != w->word[i].start)
            d[n++] = w->word[i].end - w->word[i].start;
    qsort(d, n, sizeof(*d), compare_doubles);
    double median = n == 0 ? 0 : n % 2 ? d[n / 2] : (d[n / 2 - 1] + d[n / 2]) / 2;
    median = PN_MIN(median, 0.7);
    *ret = (struct pn_word_lengths){ median, median * 2 };
    return 0;
}

static bool is_in(const char *word, size_t len, const char *set)
{
    return memmem(set, strlen(set), word, len) != NULL;
}

void pn_words_truncate(struct pn_timed_words *w, const struct pn_word_lengths *len)
{
    static const char ends[] = ".。!！?？";
    for (size_t i = 1; len->max > 0 && i < w->n; i++) {
        struct pn_timed_word *at = &w->word[i], *before = at - 1;
        if (!(at->end - at->start > len->max))
            continue;
        if (is_in(at->text, strlen(at->text), ends))
            at->end = at->start + len->max;
        else if (is_in(before->text, strlen(before->text), ends))
            at->start = at->end - len->max;
    }
}

/* into = a + b, the other one becomes empty. */
static int join(struct pn_timed_word *into, struct pn_timed_word *emptied, const char *a, const char *b,
                struct pn_arena *arena)
{
    const char *text = pn_arena_printf(arena, "%s%s", a, b);
    if (!text)
        return -PN_ENOMEM;
    into->text = text;
    into->n_tokens += emptied->n_tokens;
    emptied->text = "";
    emptied->n_tokens = 0;
    return 0;
}

static bool opens(const char *text)
{
    struct pn_str stripped = pn_utf8_strip(pn_str(text));
    return text[0] == ' ' && is_in(stripped.ptr, stripped.len, pn_opening_marks);
}

static bool ends_with_space(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && text[n - 1] == ' ';
}

int pn_words_merge(struct pn_timed_words *w, struct pn_arena *arena)
{
    int r = 0;
    for (size_t i = w->n, j = w->n; i-- > 0 && r == 0;) {
        struct pn_timed_word *at = &w->word[i];
        if (j < w->n && opens(at->text))
            r = join(&w->word[j], at, at->text, w->word[j].text, arena);
        else
            j = i;
    }
    for (size_t i = 0, j = 1; j < w->n && r == 0; j++) {
        struct pn_timed_word *at = &w->word[i], *next = &w->word[j];
        if (!ends_with_space(at->text) && is_in(next->text, strlen(next->text), pn_closing_marks))
            r = join(at, next, at->text, next->text, arena);
        else
            i = j;
    }
    return r;
}

/* Correctly rounded to two decimals, as Python's round(x, 2). */
static double round2(double x)
{
    char text[64];
    double out = x;
    snprintf(text, sizeof(text), "%.2f", x);
    return pn_parse_f64(pn_str(text), -1e9, 1e9, &out) == 0 ? out : x;
}

/* The first word after a pause, and the second, are not allowed to stretch over the pause. */
static void shorten_after_pause(struct pn_draft *d, const struct pn_word_lengths *len, double last_speech)
{
    struct pn_word *w = d->words;
    bool stretched =
        w[0].end - w[0].start > len->max || (d->n_words > 1 && w[1].end - w[0].start > len->max * 2);
    if (!(w[0].end - last_speech > len->median * 4) || !stretched)
        return;
    if (d->n_words > 1 && w[1].end - w[1].start > len->max) {
        double boundary = PN_MAX(w[1].end / 2, w[1].end - len->max);
        w[0].end = w[1].start = boundary;
    }
    w[0].start = PN_MAX(0, w[0].end - len->max);
}

static void agree_on_bounds(struct pn_draft *d, const struct pn_word_lengths *len)
{
    struct pn_word *first = &d->words[0], *last = &d->words[d->n_words - 1];
    if (d->start < first->end && d->start - 0.5 > first->start)
        first->start = PN_MAX(0, PN_MIN(first->end - len->median, d->start));
    else
        d->start = first->start;
    if (d->end > last->start && d->end + 0.5 < last->end)
        last->end = PN_MAX(last->start + len->median, d->end);
    else
        d->end = last->end;
}

static size_t text_tokens(const struct pn_draft *d, int32_t eot)
{
    size_t n = 0;
    for (size_t i = 0; i < d->n_tokens; i++)
        n += d->tokens[i] < eot;
    return n;
}

/* Takes words from *next on until the segment's tokens are covered. */
static void take_words(const struct pn_timed_words *w, size_t *next, size_t n_tokens, double offset,
                       struct pn_draft *d)
{
    size_t covered = 0;
    while (*next < w->n && covered < n_tokens) {
        const struct pn_timed_word *t = &w->word[(*next)++];
        if (t->text[0])
            d->words[d->n_words++] = (struct pn_word){ t->text, round2(offset + t->start),
                                                       round2(offset + t->end), t->probability };
        covered += t->n_tokens;
    }
}

int pn_words_distribute(const struct pn_timed_words *w, const struct pn_word_lengths *len, double offset,
                        double last_speech, int32_t eot, struct pn_draft *drafts, size_t n_drafts,
                        struct pn_arena *arena)
{
    size_t next = 0;
    for (size_t i = 0; i < n_drafts; i++) {
        struct pn_draft *d = &drafts[i];
        size_t n_tokens = text_tokens(d, eot);
        d->n_words = 0;
        d->words = pn_arena_alloc(arena, (w->n - next + 1) * sizeof(*d->words));
        if (!d->words)
            return -PN_ENOMEM;
        take_words(w, &next, n_tokens, offset, d);
        if (d->n_words == 0)
            continue;
        shorten_after_pause(d, len, last_speech);
        agree_on_bounds(d, len);
        last_speech = d->end;
    }
    return 0;
}
