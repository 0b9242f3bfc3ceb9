/* slot.c - one window of a transcription: encode, find the language if need be, decode at rising
 * temperatures, cut into segments, time the words. */
#include "asr/whisper/transcription_impl.h"

#include "asr/whisper/language.h"
#include "asr/whisper/words.h"
#include "text/utf8.h"

#include <math.h>
#include <string.h>

enum {
    AUTO_MARGIN = 50,  /* positions (1 s) of silence behind the speech: the model has to see that it ended */
    AUTO_MULTIPLE = 8, /* positions */
    AUTO_LEAST = 64,
};

#define SLOT_BYTES ((size_t)16 << 20)

static int context_of(const struct pn_transcription *t, int size)
{
    int whole = t->model->dims.n_audio_ctx;
    if (!t->set.opt.auto_context || size >= t->window_frames)
        return whole;
    int n = (size + 1) / 2 + AUTO_MARGIN;
    n = (n + AUTO_MULTIPLE - 1) / AUTO_MULTIPLE * AUTO_MULTIPLE;
    return PN_MIN(PN_MAX(n, AUTO_LEAST), whole);
}

/* One encoder run serves language detection and the window when both see the same features: 30 s and more
 * from the start. With auto_context it does in any case: the answer is an approximation anyway, and the
 * second run would cost more than the first. */
static bool detects_apart(const struct pn_transcription *t, struct pn_span span)
{
    bool same = span.seek == 0 && span.size == t->window_frames;
    return t->mode != PN_SINGLE && !t->set.opt.auto_context && !same;
}

void pn_slot_open(struct pn_transcription *t, struct pn_slot *s, struct pn_span span)
{
    s->state = PN_SLOT_ENCODE;
    s->span = span;
    s->detect = !pn_transcription_knows_language(t);
    s->apart = s->detect && detects_apart(t, span);
    s->skipped = false;
    s->slices = (struct pn_slices){ .seek = span.seek + span.size };
    if (!s->arena && pn_arena_new(SLOT_BYTES, &s->arena) < 0)
        pn_transcription_fail(t, -PN_ENOMEM, "window");
    else
        pn_arena_reset(s->arena);
}

int pn_slot_begin(struct pn_transcription *t, struct pn_slot *s, struct pn_encoder_run **ret)
{
    struct pn_encoder_run *run = NULL;
    int n_ctx = s->apart ? t->model->dims.n_audio_ctx : context_of(t, s->span.size);
    int r = pn_encoder_run_new(t->engine, n_ctx, &run);
    if (r < 0)
        return r;
    size_t n_mels = (size_t)t->model->dims.n_mels;
    float *mel = pn_encoder_run_mel(run);
    if (s->apart) {
        pn_features_read(t->features, 0, t->window_frames, mel);
    } else {
        pn_features_read(t->features, s->span.seek, s->span.size, mel);
        memset(mel + (size_t)s->span.size * n_mels, 0,
               ((size_t)n_ctx * 2 - (size_t)s->span.size) * n_mels * sizeof(*mel));
    }
    s->n_ctx = n_ctx;
    s->run = run;
    s->state = PN_SLOT_ENCODING;
    *ret = run;
    return 0;
}

static int add_prompt(const struct pn_transcription *t, int32_t *ids)
{
    int most = t->model->dims.n_text_ctx / 2 - 1;
    int n = pn_loop_prompt(t, ids + 1, most);
    ids[0] = t->model->vocab->startofprev;
    return n > 0 ? n + 1 : 0;
}

static double temperature(const struct pn_transcription *t, const struct pn_slot *s)
{
    return t->set.opt.temperature[s->attempt];
}

static int start_window(struct pn_transcription *t, struct pn_slot *s)
{
    int32_t ids[PN_MAX_WINDOW_PROMPT];
    int n = add_prompt(t, ids), sot = n;
    n += pn_transcription_sot(t, ids + n);
    if (t->set.opt.without_timestamps)
        ids[n++] = t->model->vocab->notimestamps;
    for (int i = 0; i < t->set.n_prefix; i++)
        ids[n++] = t->set.prefix[i];
    int r = s->window ? 0 : pn_window_new(t->engine, &t->set.rules, &s->window);
    s->attempt = 0;
    if (r == 0)
        r = pn_window_start(s->window, s->cross, ids, n, sot, temperature(t, s), (uint64_t)s->span.seek);
    return r;
}

static void start_decoding(struct pn_transcription *t, struct pn_slot *s)
{
    s->state = PN_SLOT_DECODE;
    int r = start_window(t, s);
    if (r < 0)
        pn_transcription_fail(t, r, "decoding");
}

void pn_slot_encoded(struct pn_transcription *t, struct pn_slot *s, struct pn_encoder_run *run)
{
    s->cross = pn_encoder_run_take_cross(run);
    s->run = NULL;
    if (!s->cross) {
        pn_transcription_fail(t, -PN_ENOMEM, "encoding");
        return;
    }
    if (s->detect)
        s->state = PN_SLOT_LANGUAGE;
    else
        start_decoding(t, s);
}

int pn_slot_n_rows(const struct pn_slot *s)
{
    switch (s->state) {
    case PN_SLOT_LANGUAGE:
        return 1;
    case PN_SLOT_DECODE:
        return pn_window_n_rows(s->window);
    case PN_SLOT_WORDS:
        return pn_words_pass_n_rows(s->words);
    case PN_SLOT_IDLE:
    case PN_SLOT_ENCODE:
    case PN_SLOT_ENCODING:
    case PN_SLOT_READY:
        return 0;
    }
    PN_UNREACHABLE();
}

static int language_row(struct pn_transcription *t, struct pn_slot *s, struct pn_decoder_row *row)
{
    struct pn_self_cache *cache = NULL;
    float *logits = NULL;
    int r = s->window ? 0 : pn_window_new(t->engine, &t->set.rules, &s->window);
    if (r == 0)
        r = pn_window_lend(s->window, 1, &cache, &logits);
    if (r < 0) {
        pn_transcription_fail(t, r, "language detection");
        return 0;
    }
    *row = (struct pn_decoder_row){
        .cache = cache, .cross = s->cross, .token = t->model->vocab->sot, .position = 0, .logits = logits
    };
    return 1;
}

int pn_slot_rows(struct pn_transcription *t, struct pn_slot *s, struct pn_decoder_row *rows, int cap)
{
    s->n_given = 0;
    if (cap <= 0 || pn_slot_n_rows(s) == 0)
        return 0;
    if (s->state == PN_SLOT_LANGUAGE)
        s->n_given = language_row(t, s, rows);
    else if (s->state == PN_SLOT_DECODE)
        s->n_given = pn_window_rows(s->window, rows, cap);
    else
        s->n_given = pn_words_pass_rows(s->words, rows, cap);
    return s->n_given;
}

static void language_found(struct pn_transcription *t, struct pn_slot *s)
{
    struct pn_self_cache *cache;
    float *logits;
    int r = pn_window_lend(s->window, 1, &cache, &logits); /* the same ones: nothing ran in between */
    if (r < 0) {
        pn_transcription_fail(t, r, "language detection");
        return;
    }
    t->language = pn_language_pick(t->model->vocab, logits, t->language_probs);
    t->detected = true;
    s->detect = false;
    if (!s->apart) {
        start_decoding(t, s);
        return;
    }
    s->apart = false;
    s->cross = pn_cross_unref(s->cross);
    s->state = PN_SLOT_ENCODE;
}

static int judge(struct pn_transcription *t, struct pn_slot *s)
{
    struct pn_window_result w = pn_window_result(s->window);
    const char *text = pn_tokens_text(t->model->vocab, w.sequence->tokens, (size_t)w.sequence->n, s->arena);
    if (!text)
        return -PN_ENOMEM;
    s->quality = (struct pn_quality){ .temperature = temperature(t, s),
                                      .avg_logprob = w.avg_logprob,
                                      .compression_ratio = pn_compression_ratio(pn_utf8_strip(pn_str(text))),
                                      .no_speech_prob = w.no_speech_prob };
    return 0;
}

/* decode() alone: one segment with all tokens. */
static int whole_window(struct pn_transcription *t, struct pn_slot *s, const struct pn_sequence *q)
{
    struct pn_draft *d = pn_arena_alloc(s->arena, sizeof(*d));
    int32_t *tokens = pn_arena_alloc(s->arena, ((size_t)q->n + 1) * sizeof(*tokens));
    const char *text = pn_tokens_text(t->model->vocab, q->tokens, (size_t)q->n, s->arena);
    if (!d || !tokens || !text)
        return -PN_ENOMEM;
    memcpy(tokens, q->tokens, (size_t)q->n * sizeof(*tokens));
    *d = (struct pn_draft){
        .end = (double)s->span.size / 100, .tokens = tokens, .n_tokens = (size_t)q->n, .text = text
    };
    s->slices = (struct pn_slices){ .drafts = d, .n = 1, .seek = s->span.size };
    return 0;
}

static size_t gather_text(const struct pn_slot *s, int32_t eot, int32_t *ids)
{
    size_t n = 0;
    for (size_t i = 0; i < s->slices.n; i++)
        for (size_t k = 0; k < s->slices.drafts[i].n_tokens; k++)
            if (s->slices.drafts[i].tokens[k] < eot)
                ids[n++] = s->slices.drafts[i].tokens[k];
    return n;
}

/* 1: a pass over the window's text has begun; 0: there is nothing to time. */
static int start_words(struct pn_transcription *t, struct pn_slot *s)
{
    const struct pn_whisper *m = t->model;
    int32_t *ids = pn_arena_alloc(s->arena, (PN_MAX_SAMPLED + 3) * sizeof(*ids));
    if (!ids)
        return -PN_ENOMEM;
    int n_sot = pn_transcription_sot(t, ids);
    int n = (int)gather_text(s, m->vocab->eot, ids + n_sot), n_pos = s->span.size / 2;
    if (n == 0 || n_pos == 0 || m->n_align_heads == 0 || n_sot + n + 2 > m->dims.n_text_ctx)
        return 0;
    struct pn_words_text text = { .vocab = m->vocab,
                                  .cross = s->cross,
                                  .n_ctx = s->n_ctx,
                                  .n_pos = PN_MIN(n_pos, s->n_ctx),
                                  .n_heads = m->n_align_heads,
                                  .sot_ids = ids,
                                  .n_sot = n_sot,
                                  .ids = ids + n_sot,
                                  .n = n };
    int r = pn_words_pass_new(&text, s->window, &s->words);
    return r < 0 ? r : 1;
}

static int window_accepted(struct pn_transcription *t, struct pn_slot *s)
{
    const struct pn_sequence *q = pn_window_result(s->window).sequence;
    s->state = PN_SLOT_READY;
    if (t->mode == PN_SINGLE)
        return whole_window(t, s, q);
    s->skipped = pn_is_no_speech(&t->set.opt, &s->quality);
    if (s->skipped)
        return 0;
    bool keep_rest = t->mode == PN_BATCH;
    int r = pn_slice(t->model->vocab, q->tokens, (size_t)q->n, s->span, keep_rest, s->arena, &s->slices);
    if (r == 0 && t->set.opt.word_timestamps)
        r = start_words(t, s);
    if (r > 0)
        s->state = PN_SLOT_WORDS;
    return PN_MIN(r, 0);
}

static int window_decoded(struct pn_transcription *t, struct pn_slot *s)
{
    pn_window_decoded(s->window);
    if (!pn_window_is_done(s->window))
        return 0;
    int r = judge(t, s);
    if (r < 0)
        return r;
    bool more = s->attempt + 1 < t->set.opt.n_temperatures;
    if (!more || t->mode == PN_SINGLE || !pn_needs_fallback(&t->set.opt, &s->quality))
        return window_accepted(t, s);
    s->attempt++;
    return pn_window_restart(s->window, temperature(t, s));
}

static int share_words(struct pn_transcription *t, struct pn_slot *s, const int32_t *ids, size_t n,
                       const int32_t *jump, const float *prob)
{
    const struct pn_vocab *v = t->model->vocab;
    const char *language = t->language >= 0 ? pn_vocab_language_code(v, t->language) : "";
    struct pn_word_split split;
    struct pn_timed_words words = { 0 };
    struct pn_word_lengths lengths;
    double offset = (double)s->span.seek / 100;
    double last_speech = t->mode == PN_BATCH ? offset : t->last_speech;
    int r = pn_vocab_split(v, language, ids, n + 1, s->arena, &split);
    if (r == 0)
        r = pn_words_time(&split, jump, prob, s->arena, &words);
    if (r == 0)
        r = pn_words_lengths(&words, s->arena, &lengths);
    if (r < 0)
        return r;
    pn_words_truncate(&words, &lengths);
    r = pn_words_merge(&words, s->arena);
    if (r == 0)
        r = pn_words_distribute(&words, &lengths, offset, last_speech, v->eot, s->slices.drafts, s->slices.n,
                                s->arena);
    return r;
}

static int words_decoded(struct pn_transcription *t, struct pn_slot *s)
{
    pn_words_pass_decoded(s->words);
    if (pn_words_pass_n_rows(s->words) > 0)
        return 0;
    int32_t *ids = pn_arena_alloc(s->arena, (PN_MAX_SAMPLED + 1) * sizeof(*ids));
    int32_t *jump = pn_arena_alloc(s->arena, (PN_MAX_SAMPLED + 1) * sizeof(*jump));
    float *prob = pn_arena_alloc(s->arena, (PN_MAX_SAMPLED + 1) * sizeof(*prob));
    int r = ids && jump && prob ? pn_words_pass_times(s->words, jump, prob) : -PN_ENOMEM;
    if (r == 0) {
        size_t n = gather_text(s, t->model->vocab->eot, ids);
        ids[n] = t->model->vocab->eot;
        r = share_words(t, s, ids, n, jump, prob);
    }
    s->words = pn_words_pass_free(s->words);
    s->state = PN_SLOT_READY;
    return r;
}

void pn_slot_decoded(struct pn_transcription *t, struct pn_slot *s)
{
    int r = 0;
    s->n_given = 0;
    if (s->state == PN_SLOT_LANGUAGE)
        language_found(t, s);
    else if (s->state == PN_SLOT_DECODE)
        r = window_decoded(t, s);
    else if (s->state == PN_SLOT_WORDS)
        r = words_decoded(t, s);
    if (r < 0)
        pn_transcription_fail(t, r, "window");
}

void pn_slot_close(struct pn_slot *s)
{
    s->words = pn_words_pass_free(s->words);
    s->cross = pn_cross_unref(s->cross);
    s->run = NULL;
    s->n_given = 0;
    s->state = PN_SLOT_IDLE;
}

void pn_slot_done(struct pn_slot *s)
{
    pn_slot_close(s);
    s->window = pn_window_free(s->window);
    s->arena = pn_arena_free(s->arena);
}
