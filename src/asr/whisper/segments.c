/* segments.c - see segments.h. */
#include "asr/whisper/segments.h"

#include "text/utf8.h"

#include <string.h>

#define STEP                 0.02 /* seconds of one timestamp step */
#define TEXT_MAX             ((size_t)1 << 20)
#define FRAME_OFFSET(frames) ((double)(frames) / 100) /* seconds */

const char *pn_tokens_text(const struct pn_vocab *v, const int32_t *ids, size_t n, struct pn_arena *arena)
{
    struct pn_buf buf;
    pn_buf_init(&buf, TEXT_MAX);
    pn_vocab_decode(v, ids, n, false, &buf);
    const char *text = buf.failed ? NULL : pn_arena_strndup(arena, buf.len ? buf.ptr : "", buf.len);
    pn_buf_done(&buf);
    return text;
}

static const char *plain_text(const struct pn_vocab *v, const int32_t *tokens, size_t n,
                              struct pn_arena *arena)
{
    int32_t *text = pn_arena_alloc(arena, (n + 1) * sizeof(*text));
    if (!text)
        return NULL;
    size_t n_text = 0;
    for (size_t i = 0; i < n; i++)
        if (tokens[i] < v->eot)
            text[n_text++] = tokens[i];
    return pn_tokens_text(v, text, n_text, arena);
}

/* State of one call. */
struct slicer {
    const struct pn_vocab *v;
    struct pn_arena *arena;
    const int32_t *tokens;
    double offset; /* seconds */
    struct pn_slices out;
};

static int add(struct slicer *s, size_t from, size_t to, double start, double end)
{
    struct pn_draft *d = &s->out.drafts[s->out.n];
    *d = (struct pn_draft){ .start = start, .end = end, .tokens = s->tokens + from, .n_tokens = to - from };
    d->text = plain_text(s->v, d->tokens, d->n_tokens, s->arena);
    if (!d->text)
        return -PN_ENOMEM;
    s->out.n++;
    return 0;
}

/* A prefix may have taken the first timestamp's place; then the window's start stands for it. */
static double time_of(const struct slicer *s, int32_t token)
{
    return s->offset + (token >= s->v->timestamp_begin ? (double)(token - s->v->timestamp_begin) * STEP : 0);
}

static int add_between(struct slicer *s, size_t from, size_t to)
{
    return add(s, from, to, time_of(s, s->tokens[from]), time_of(s, s->tokens[to - 1]));
}

static int add_rest(struct slicer *s, size_t from, size_t n, struct pn_span span)
{
    bool any = false;
    for (size_t i = from; i < n; i++)
        any = any || s->tokens[i] < s->v->eot;
    double start = time_of(s, s->tokens[from]), end = s->offset + FRAME_OFFSET(span.size);
    return any ? add(s, from, n, start, PN_MAX(start + STEP, end)) : 0; /* a length of 0 would blank it */
}

static int add_whole(struct slicer *s, size_t n, struct pn_span span)
{
    double duration = FRAME_OFFSET(span.size);
    int32_t begin = s->v->timestamp_begin;
    for (size_t i = n; i-- > 0;)
        if (s->tokens[i] >= begin) {
            if (s->tokens[i] != begin)
                duration = (double)(s->tokens[i] - begin) * STEP;
            break;
        }
    s->out.seek = span.seek + span.size;
    return add(s, 0, n, s->offset, s->offset + duration);
}

static int add_pairs(struct slicer *s, size_t n, struct pn_span span, bool keep_rest)
{
    int32_t begin = s->v->timestamp_begin;
    size_t last = 0;
    int r = 0;
    for (size_t i = 1; i <= n && r == 0; i++) {
        bool cut = i < n ? s->tokens[i - 1] >= begin && s->tokens[i] >= begin : s->out.single_ending;
        if (!cut)
            continue;
        r = add_between(s, last, i);
        last = i;
    }
    s->out.seek = span.seek + span.size;
    if (r == 0 && keep_rest && last < n)
        r = add_rest(s, last, n, span);
    else if (!s->out.single_ending && !keep_rest)
        s->out.seek = span.seek + 2 * (int64_t)(s->tokens[last - 1] - begin);
    return r;
}

int pn_slice(const struct pn_vocab *v, const int32_t *tokens, size_t n, struct pn_span span, bool keep_rest,
             struct pn_arena *arena, struct pn_slices *ret)
{
    struct slicer s = { .v = v, .arena = arena, .offset = FRAME_OFFSET(span.seek) };
    int32_t *copy = pn_arena_alloc(arena, (n + 1) * sizeof(*copy));
    s.out.drafts = pn_arena_alloc(arena, (n + 1) * sizeof(*s.out.drafts));
    if (!copy || !s.out.drafts)
        return -PN_ENOMEM;
    if (n > 0)
        memcpy(copy, tokens, n * sizeof(*copy));
    s.tokens = copy;
    bool pairs = false;
    for (size_t i = 1; i < n; i++)
        pairs = pairs || (tokens[i - 1] >= v->timestamp_begin && tokens[i] >= v->timestamp_begin);
    s.out.single_ending = n >= 2 && tokens[n - 2] < v->timestamp_begin && tokens[n - 1] >= v->timestamp_begin;
    int r = pairs ? add_pairs(&s, n, span, keep_rest) : add_whole(&s, n, span);
    if (r == 0)
        *ret = s.out;
    return r;
}

void pn_blank_degenerate(struct pn_draft *drafts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct pn_draft *d = &drafts[i];
        if (d->start == d->end || pn_utf8_strip(pn_str(d->text)).len == 0) {
            d->text = "";
            d->n_tokens = 0;
            d->n_words = 0;
        }
    }
}
