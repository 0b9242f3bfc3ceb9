/* words.c - joins words to segments as Whisper has them: text with a leading space, times in order and inside
 * the audio. A segment ends at a pause, at the end of an utterance, and before it would become too long for a
 * subtitle. All memory is the transcript's arena. */
#include "asr/sphinx/words.h"

#include "audio/decoder.h"

#include <math.h>
#include <string.h>

static const double PAUSE_S = 0.6;
static const double MAX_SEGMENT_S = 15.0;
static const double MIN_LOGPROB = -5.0; /* posteriors of long lattices are far too small to compare */

/* About 200 bytes a word with its share of segments: room for a day of speech. */
#define TRANSCRIPT_LIMIT ((size_t)128 << 20)

/* Words of all utterances in a row, and which utterance each came from. */
struct builder {
    struct pn_transcript *t;
    struct pn_word *words;
    const struct pn_sphinx_utterance **of;
    double *logprobs;
    size_t n_words;
    struct pn_segment *segments;
    size_t n_segments;
};

/* The one after utterance i of n; NULL after the last, whose `next` may be set by another thread meanwhile.
 */
static const struct pn_sphinx_utterance *following(const struct pn_sphinx_utterance *u, size_t i, size_t n)
{
    return i < n ? u->next : NULL;
}

static size_t count_words(const struct pn_sphinx_utterance *u, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++, u = following(u, i, n))
        count += u->n_words;
    return count;
}

static int make_room(struct builder *b, size_t n_words)
{
    struct pn_arena *a = b->t->arena;
    b->words = pn_arena_alloc(a, n_words * sizeof(*b->words));
    b->of = pn_arena_alloc(a, n_words * sizeof(struct pn_sphinx_utterance *));
    b->logprobs = pn_arena_alloc(a, n_words * sizeof(*b->logprobs));
    b->segments = pn_arena_alloc(a, n_words * sizeof(*b->segments)); /* at most one a word */
    return b->words && b->of && b->logprobs && b->segments ? 0 : -PN_ENOMEM;
}

/* Seconds from the start of the audio; not before `floor_s`, not after the end. */
static double word_time(const struct pn_sphinx_utterance *u, int frame, double floor_s, double duration)
{
    double frames = (double)(u->start_sample / PN_SPHINX_FRAME + frame);
    return PN_MIN(PN_MAX(frames * PN_SPHINX_FRAME / PN_SAMPLE_RATE, floor_s), duration);
}

static int add_word(struct builder *b, const struct pn_sphinx_utterance *u, const struct pn_sphinx_word *w)
{
    char *text = pn_arena_printf(b->t->arena, " %s", w->text);
    if (!text)
        return -PN_ENOMEM;
    double before = b->n_words ? b->words[b->n_words - 1].end : 0;
    double start = word_time(u, w->start, before, b->t->duration);
    b->words[b->n_words] = (struct pn_word){ .text = text,
                                             .start = start,
                                             .end = word_time(u, w->end, start, b->t->duration),
                                             .confidence = exp(w->logprob) };
    b->of[b->n_words] = u;
    b->logprobs[b->n_words] = w->logprob;
    b->n_words++;
    return 0;
}

/* The words' texts one after the other; they carry their spaces. NULL without memory. */
static char *join_words(struct pn_arena *a, const struct pn_word *words, size_t n)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len += strlen(words[i].text);
    char *text = pn_arena_alloc(a, len + 1);
    for (size_t i = 0, at = 0; text && i < n; i++) {
        size_t word_len = strlen(words[i].text);
        memcpy(text + at, words[i].text, word_len + 1);
        at += word_len;
    }
    return text;
}

static int add_segment(struct builder *b, size_t from, size_t to)
{
    const struct pn_word *words = b->words + from;
    size_t n = to - from;
    char *text = join_words(b->t->arena, words, n);
    if (!text)
        return -PN_ENOMEM;
    double logprob = 0, confidence = 0;
    for (size_t i = 0; i < n; i++) {
        logprob += b->logprobs[from + i];
        confidence += words[i].confidence;
    }
    struct pn_segment *s = &b->segments[b->n_segments];
    *s = (struct pn_segment){ .id = (int)b->n_segments,
                              .seek = b->of[from]->start_sample / PN_SPHINX_FRAME,
                              .start = words[0].start,
                              .end = words[n - 1].end,
                              .text = text,
                              .avg_logprob = PN_MAX(logprob / (double)n, MIN_LOGPROB),
                              .compression_ratio = pn_compression_ratio(pn_str_trim(pn_str(text))),
                              .confidence = confidence / (double)n,
                              .words = words,
                              .n_words = n };
    b->n_segments++;
    return 0;
}

/* Whether word i belongs to another segment than word i - 1, in a segment that began with word `first`. */
static bool breaks(const struct builder *b, size_t first, size_t i)
{
    return b->of[i] != b->of[i - 1] || b->words[i].start - b->words[i - 1].end >= PAUSE_S ||
           b->words[i].end - b->words[first].start > MAX_SEGMENT_S;
}

static int split_into_segments(struct builder *b)
{
    int r = 0;
    size_t first = 0;
    for (size_t i = 1; i <= b->n_words && r == 0; i++)
        if (i == b->n_words || breaks(b, first, i)) {
            r = add_segment(b, first, i);
            first = i;
        }
    return r;
}

static int build(struct builder *b, const struct pn_sphinx_utterance *u, size_t n)
{
    size_t n_words = count_words(u, n);
    if (n_words == 0)
        return 0;
    int r = make_room(b, n_words);
    for (size_t i = 0; i < n && r == 0; i++, u = following(u, i, n))
        for (size_t k = 0; k < u->n_words && r == 0; k++)
            r = add_word(b, u, &u->words[k]);
    if (r == 0)
        r = split_into_segments(b);
    char *text = r == 0 ? join_words(b->t->arena, b->words, b->n_words) : NULL;
    if (!text)
        return -PN_ENOMEM;
    b->t->text = text + 1; /* without the first word's space */
    b->t->segments = b->segments;
    b->t->n_segments = b->n_segments;
    return 0;
}

int pn_sphinx_transcript(const struct pn_sphinx_utterance *first, size_t n, double duration, bool final,
                         struct pn_transcript **ret, struct pn_err *err)
{
    struct builder b = { 0 };
    int r = pn_transcript_new(TRANSCRIPT_LIMIT, &b.t);
    if (r == 0) {
        b.t->model = "sphinx";
        b.t->language = "en";
        b.t->task = "transcribe";
        b.t->duration = duration;
        b.t->final = final;
        r = build(&b, first, n);
    }
    if (r < 0) {
        pn_transcript_free(b.t);
        return pn_fail(err, PN_ENOMEM, "no memory for the transcript");
    }
    *ret = b.t;
    return 0;
}
