/* loop.c - the loop over a recording (spec whisper 4.7): which window is next, what text it is prompted with,
 * and what becomes of its segments. */
#include "asr/whisper/transcription_impl.h"

#include "asr/whisper/hallucination.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 1 << 24 }; /* of one transcription: days of speech */

static int init_clips(struct pn_transcription *t)
{
    const struct pn_transcribe_options *o = &t->set.opt;
    struct pn_clip *clips = calloc(PN_MAX_CLIPS / 2 + 1, sizeof(*clips));
    if (!clips)
        return -PN_ENOMEM;
    t->clips = clips;
    t->n_clips = pn_clips_from_seconds(o->clip_timestamps, o->n_clip_timestamps, t->content_frames, clips);
    if (t->mode != PN_BATCH)
        return 0;
    struct pn_clip *pieces = NULL;
    int r = pn_clips_cut(t->features, t->model->dims.n_mels, clips, t->n_clips, t->window_frames, &pieces,
                         &t->n_clips);
    if (r == 0) {
        t->clips = pieces;
        free(clips);
    }
    return r;
}

static int add_tokens(struct pn_transcription *t, const int32_t *ids, size_t n)
{
    if (n > (size_t)(MAX_TOKENS - t->n_all))
        return -PN_ELIMIT;
    if ((size_t)t->n_all + n > (size_t)t->cap_all) {
        int cap = PN_MAX(2 * t->cap_all, t->n_all + (int)n + 256);
        int32_t *more = realloc(t->all, (size_t)cap * sizeof(*more));
        if (!more)
            return -PN_ENOMEM;
        t->all = more;
        t->cap_all = cap;
    }
    if (n > 0)
        memcpy(t->all + t->n_all, ids, n * sizeof(*ids));
    t->n_all += (int)n;
    return 0;
}

int pn_loop_init(struct pn_transcription *t)
{
    int r = init_clips(t);
    if (r == 0)
        r = add_tokens(t, t->set.initial, (size_t)t->set.n_initial);
    if (r < 0)
        return r;
    t->seek = t->n_clips > 0 ? t->clips[0].from : 0;
    t->n_slots = t->mode == PN_BATCH ? PN_MAX_SLOTS : 1;
    return 0;
}

int pn_loop_prompt(const struct pn_transcription *t, int32_t *ids, int cap)
{
    bool carry = t->set.opt.carry_initial_prompt || t->mode == PN_BATCH;
    int n_initial = carry ? t->set.n_initial : 0;
    int begin = carry ? PN_MAX(n_initial, t->prompt_reset) : t->prompt_reset;
    int n_rest = t->mode == PN_BATCH ? 0 : t->n_all - begin;
    int from = pn_slice_last(n_rest, cap - n_initial);
    int n = n_initial + n_rest - from, skip = PN_MAX(n - cap, 0);
    for (int i = skip; i < n; i++)
        *ids++ = i < n_initial ? t->set.initial[i] : t->all[begin + from + i - n_initial];
    return n - skip;
}

static struct pn_segment *new_segment(struct pn_transcription *t)
{
    if (t->n_segments == t->cap_segments) {
        size_t cap = 2 * t->cap_segments + 16;
        struct pn_segment *more = realloc(t->segments, cap * sizeof(*more));
        if (!more)
            return NULL;
        t->segments = more;
        t->cap_segments = cap;
    }
    return &t->segments[t->n_segments];
}

static int copy_words(struct pn_transcription *t, const struct pn_draft *d, struct pn_segment *out)
{
    struct pn_word *words = d->n_words ? pn_arena_alloc(t->arena, d->n_words * sizeof(*words)) : NULL;
    if (d->n_words && !words)
        return -PN_ENOMEM;
    for (size_t i = 0; i < d->n_words; i++) {
        words[i] = d->words[i];
        words[i].text = pn_arena_str(t->arena, pn_str(d->words[i].text));
        if (!words[i].text)
            return -PN_ENOMEM;
    }
    out->words = words;
    out->n_words = d->n_words;
    return 0;
}

static int commit_segment(struct pn_transcription *t, const struct pn_slot *s, const struct pn_draft *d)
{
    struct pn_segment *out = new_segment(t);
    int32_t *tokens = pn_arena_alloc(t->arena, (d->n_tokens + 1) * sizeof(*tokens));
    const char *text = pn_arena_str(t->arena, pn_str(d->text));
    if (!out || !tokens || !text)
        return -PN_ENOMEM;
    if (d->n_tokens > 0)
        memcpy(tokens, d->tokens, d->n_tokens * sizeof(*tokens));
    *out = (struct pn_segment){ .id = (int)t->n_segments,
                                .seek = s->span.seek,
                                .start = d->start,
                                .end = d->end,
                                .text = text,
                                .tokens = tokens,
                                .n_tokens = d->n_tokens,
                                .temperature = s->quality.temperature,
                                .avg_logprob = s->quality.avg_logprob,
                                .compression_ratio = s->quality.compression_ratio,
                                .no_speech_prob = s->quality.no_speech_prob,
                                .confidence = PN_MIN(exp(s->quality.avg_logprob), 1.0) };
    int r = copy_words(t, d, out);
    if (r == 0)
        r = add_tokens(t, d->tokens, d->n_tokens);
    if (r == 0)
        t->n_segments++;
    return r;
}

static int commit(struct pn_transcription *t, struct pn_slot *s)
{
    int r = 0;
    if (t->mode != PN_SINGLE)
        pn_blank_degenerate(s->slices.drafts, s->slices.n);
    for (size_t i = 0; i < s->slices.n && r == 0; i++)
        r = commit_segment(t, s, &s->slices.drafts[i]);
    if (!t->set.opt.condition_on_previous_text || s->quality.temperature > 0.5)
        t->prompt_reset = t->n_all;
    return r;
}

/* Word times move seek. True: the window's segments are void. */
static bool settle_words(struct pn_transcription *t, struct pn_slot *s)
{
    struct pn_hallucination h = { .threshold = t->set.opt.hallucination_silence_threshold,
                                  .span = s->span,
                                  .window_frames = t->window_frames,
                                  .content_frames = t->content_frames,
                                  .last_speech = t->last_speech };
    if (pn_hallucination_skip(&h, &s->slices))
        return true;
    double end = pn_last_word_end(&s->slices);
    if (!isnan(end))
        t->last_speech = end;
    return false;
}

/* Takes a window that is ready. In batch mode seek only tells how far the transcription is. */
static void take(struct pn_transcription *t, struct pn_slot *s)
{
    bool words = t->set.opt.word_timestamps && t->mode == PN_SEQUENTIAL;
    bool dropped = s->skipped || (words && settle_words(t, s));
    int r = dropped ? 0 : commit(t, s);
    /* Times that were rounded must not keep the loop where it is. */
    t->seek = s->slices.seek > s->span.seek ? s->slices.seek : s->span.seek + s->span.size;
    pn_slot_close(s);
    t->committed++;
    if (r < 0)
        pn_transcription_fail(t, r, "segments");
}

/* The next window of the sequential loop; false at the end. */
static bool next_span(struct pn_transcription *t, struct pn_span *ret)
{
    for (; t->clip < t->n_clips; t->clip++) {
        const struct pn_clip *c = &t->clips[t->clip];
        t->seek = PN_MAX(t->seek, c->from);
        if (t->seek < c->to) {
            *ret = (struct pn_span){ t->seek, (int)PN_MIN(t->window_frames, c->to - t->seek) };
            return true;
        }
        if (t->clip + 1 < t->n_clips)
            t->seek = t->clips[t->clip + 1].from;
    }
    return false;
}

static void advance_sequential(struct pn_transcription *t)
{
    struct pn_slot *s = &t->slot[0];
    struct pn_span span;
    if (s->state == PN_SLOT_READY)
        take(t, s);
    bool more = t->mode != PN_SINGLE || t->committed == 0;
    if (t->status == 0 && s->state == PN_SLOT_IDLE && more && next_span(t, &span))
        pn_slot_open(t, s, span);
}

/* Windows are taken in order: slot i % n_slots has window i. The first one finds the language for all. */
static void advance_batch(struct pn_transcription *t)
{
    while (t->committed < t->clip && t->slot[t->committed % t->n_slots].state == PN_SLOT_READY)
        take(t, &t->slot[t->committed % t->n_slots]);
    while (t->status == 0 && t->clip < t->n_clips && t->clip < t->committed + t->n_slots &&
           (t->clip == 0 || pn_transcription_knows_language(t))) {
        const struct pn_clip *c = &t->clips[t->clip];
        pn_slot_open(t, &t->slot[t->clip % t->n_slots], (struct pn_span){ c->from, (int)(c->to - c->from) });
        t->clip++;
    }
}

void pn_loop_advance(struct pn_transcription *t)
{
    if (t->status < 0)
        return;
    if (t->mode == PN_BATCH)
        advance_batch(t);
    else
        advance_sequential(t);
}
