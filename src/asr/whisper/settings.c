/* settings.c - see settings.h. */
#include "asr/whisper/settings.h"

#include "text/utf8.h"

#include <math.h>
#include <string.h>

enum { PROMPT_BYTES = 1 << 16 };

int pn_slice_last(int n, int last)
{
    return last > 0 ? PN_MAX(n - last, 0) : PN_MIN(-last, n);
}

static bool within(double x, double min, double max)
{
    return x >= min && x <= max;
}

static int check_temperatures(const struct pn_transcribe_options *o, struct pn_err *err)
{
    if (o->n_temperatures < 1 || o->n_temperatures > PN_MAX_TEMPERATURES)
        return pn_fail(err, PN_EINVAL, "temperature: 1 to %d values, not %d", PN_MAX_TEMPERATURES,
                       o->n_temperatures);
    for (int i = 0; i < o->n_temperatures; i++)
        if (!within(o->temperature[i], 0, 10))
            return pn_fail(err, PN_EINVAL, "temperature: a value outside 0 to 10");
    return 0;
}

static int check_search(const struct pn_transcribe_options *o, struct pn_err *err)
{
    if (o->best_of < 0 || o->best_of > PN_MAX_BEAMS)
        return pn_fail(err, PN_EINVAL, "best_of: %d is outside 1 to %d", o->best_of, PN_MAX_BEAMS);
    if (o->beam_size < 0 || o->beam_size > PN_MAX_BEAMS)
        return pn_fail(err, PN_EINVAL, "beam_size: %d is outside 0 to %d", o->beam_size, PN_MAX_BEAMS);
    if (!within(o->patience, 0, 8) || !(o->patience > 0))
        return pn_fail(err, PN_EINVAL, "patience: a value outside 0 to 8");
    if (!isnan(o->length_penalty) && !within(o->length_penalty, 0, 1))
        return pn_fail(err, PN_EINVAL, "length_penalty: a value outside 0 to 1");
    return 0;
}

static int check_lists(const struct pn_transcribe_options *o, int n_vocab, struct pn_err *err)
{
    if (o->n_clip_timestamps > PN_MAX_CLIPS)
        return pn_fail(err, PN_EINVAL, "clip_timestamps: more than %d values", PN_MAX_CLIPS);
    for (size_t i = 0; i < o->n_clip_timestamps; i++)
        if (!within(o->clip_timestamps[i], 0, 1e9))
            return pn_fail(err, PN_EINVAL, "clip_timestamps: a value that is no time");
    if (o->n_suppress > PN_MAX_SUPPRESS)
        return pn_fail(err, PN_EINVAL, "suppress_tokens: more than %d ids", PN_MAX_SUPPRESS);
    for (size_t i = 0; i < o->n_suppress; i++)
        if (o->suppress[i] < -1 || o->suppress[i] >= n_vocab)
            return pn_fail(err, PN_EINVAL, "suppress_tokens: no token %d in this model", o->suppress[i]);
    return 0;
}

static int check_rest(const struct pn_transcribe_options *o, int most, struct pn_err *err)
{
    if (!isnan(o->max_initial_timestamp) && !within(o->max_initial_timestamp, 0, 30))
        return pn_fail(err, PN_EINVAL, "max_initial_timestamp: a value outside 0 to 30");
    if (o->sample_len < 0 || o->sample_len > most)
        return pn_fail(err, PN_EINVAL, "sample_len: %d is outside 0 to %d", o->sample_len, most);
    return 0;
}

static int find_language(const struct pn_whisper *w, const struct pn_transcribe_options *o, int32_t *ret,
                         struct pn_err *err)
{
    const char *code = o->language ? o->language : "";
    if (o->translate && !w->vocab->multilingual)
        return pn_fail(err, PN_EUNSUPPORTED, "model %s knows only English: it cannot translate", w->name);
    if (!w->vocab->multilingual && code[0] && strcmp(code, "en") != 0)
        return pn_fail(err, PN_EUNSUPPORTED, "model %s knows only English, not language \"%.32s\"", w->name,
                       code);
    int id = code[0] && w->vocab->multilingual ? pn_vocab_language(w->vocab, code) : -1;
    if (code[0] && w->vocab->multilingual && id < 0)
        return pn_fail(err, PN_EUNSUPPORTED, "model %s has no language \"%.32s\"", w->name, code);
    *ret = id;
    return 0;
}

/* The default table, or the given ids, or both; never without the six control tokens, unless it is empty. */
static int list_suppressed(const struct pn_vocab *v, const struct pn_transcribe_options *o,
                           struct pn_arena *arena, struct pn_filters *f)
{
    const int32_t control[] = {
        v->transcribe, v->translate, v->sot, v->startofprev, v->startoflm, v->nospeech
    };
    size_t n_control = PN_ARRAY_LEN(control), n = 0;
    bool table = o->suppress_default;
    for (size_t i = 0; i < o->n_suppress; i++)
        table = table || o->suppress[i] == -1;
    if (!table && o->n_suppress == 0)
        return 0;
    int32_t *ids = pn_arena_alloc(arena, (v->n_non_speech + o->n_suppress + n_control) * sizeof(*ids));
    if (!ids)
        return -PN_ENOMEM;
    for (size_t i = 0; i < o->n_suppress; i++)
        if (o->suppress[i] >= 0)
            ids[n++] = o->suppress[i];
    for (size_t i = 0; table && i < v->n_non_speech; i++)
        ids[n++] = v->non_speech[i];
    for (size_t i = 0; i < n_control; i++)
        ids[n++] = control[i];
    f->suppress = ids;
    f->n_suppress = n;
    return 0;
}

static int32_t blank_id(const struct pn_vocab *v)
{
    int32_t id = -1;
    return pn_bpe_encode(v->bpe, PN_STR(" "), &id, 1) == 1 ? id : -1;
}

static int make_filters(const struct pn_whisper *w, const struct pn_transcribe_options *o,
                        struct pn_arena *arena, struct pn_filters *f)
{
    const struct pn_vocab *v = w->vocab;
    double seconds = o->max_initial_timestamp, step = 30.0 / w->dims.n_audio_ctx;
    *f = (struct pn_filters){ .n_vocab = v->n_vocab,
                              .eot = v->eot,
                              .timestamp_begin = v->timestamp_begin,
                              .notimestamps = v->notimestamps,
                              .blank = o->suppress_blank ? blank_id(v) : -1,
                              .timestamps = !o->without_timestamps,
                              .max_initial = seconds > 0 ? (int)nearbyint(seconds / step) : -1 };
    return list_suppressed(v, o, arena, f);
}

static int make_rules(const struct pn_whisper *w, const struct pn_transcribe_options *o,
                      struct pn_arena *arena, struct pn_window_rules *u)
{
    *u = (struct pn_window_rules){ .nospeech = w->vocab->nospeech,
                                   .n_text_ctx = w->dims.n_text_ctx,
                                   .sample_len = o->sample_len > 0 ? o->sample_len : w->dims.n_text_ctx / 2,
                                   .best_of = PN_MAX(o->best_of, 1),
                                   .beam_size = o->beam_size,
                                   .patience = o->patience,
                                   .length_penalty = o->length_penalty,
                                   .seed = o->seed };
    return make_filters(w, o, arena, &u->filters);
}

static int encode(const struct pn_vocab *v, const char *name, const char *text, struct pn_arena *arena,
                  const int32_t **ret, int *ret_n, struct pn_err *err)
{
    struct pn_str s = pn_utf8_strip(pn_str(text));
    if (!text || !text[0])
        return 0;
    if (s.len > PROMPT_BYTES)
        return pn_fail(err, PN_EINVAL, "%s: longer than %d bytes", name, PROMPT_BYTES);
    size_t cap = s.len + 1; /* a token has at least one byte; one for the leading space */
    int32_t *ids = pn_arena_alloc(arena, cap * sizeof(*ids));
    if (!ids)
        return pn_fail(err, PN_ENOMEM, "%s: out of memory", name);
    int n = pn_vocab_encode_prompt(v, s, ids, cap);
    if (n < 0)
        return pn_fail(err, (enum pn_error) - n, "%s: it cannot be written in this model's tokens", name);
    *ret = ids;
    *ret_n = PN_MIN(n, (int)cap);
    return 0;
}

/* The reference keeps the last (224 - sample_len) tokens of a prefix, and all of them when that is 0. */
static int cut_prefix(const struct pn_whisper *w, struct pn_settings *s, struct pn_err *err)
{
    int from = pn_slice_last(s->n_prefix, w->dims.n_text_ctx / 2 - s->rules.sample_len);
    s->prefix += from;
    s->n_prefix -= from;
    /* startofprev, the prompt, sot, language, task, notimestamps come before it */
    int room = PN_MIN(w->dims.n_text_ctx, PN_MAX_WINDOW_PROMPT) - w->dims.n_text_ctx / 2 - 4;
    if (s->n_prefix > room)
        return pn_fail(err, PN_EINVAL, "prefix: %d tokens, at most %d fit", s->n_prefix, room);
    return 0;
}

int pn_settings_make(const struct pn_whisper *w, const struct pn_transcribe_options *opt,
                     struct pn_arena *arena, struct pn_settings *ret, struct pn_err *err)
{
    struct pn_settings s = { .opt = *opt, .language = -1 };
    int r = check_temperatures(opt, err);
    if (r == 0)
        r = check_search(opt, err);
    if (r == 0)
        r = check_lists(opt, w->vocab->n_vocab, err);
    if (r == 0)
        r = check_rest(opt, PN_MIN(w->dims.n_text_ctx, PN_MAX_SAMPLED), err);
    if (r == 0)
        r = find_language(w, opt, &s.language, err);
    if (r == 0 && (r = make_rules(w, opt, arena, &s.rules)) < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", pn_error_name(r));
    if (r == 0)
        r = encode(w->vocab, "initial_prompt", opt->initial_prompt, arena, &s.initial, &s.n_initial, err);
    if (r == 0)
        r = encode(w->vocab, "prefix", opt->prefix, arena, &s.prefix, &s.n_prefix, err);
    if (r == 0 && s.n_prefix > 0)
        r = cut_prefix(w, &s, err);
    if (r == 0)
        *ret = s;
    return r;
}
