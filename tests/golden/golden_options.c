/* golden_options.c - a run's "options" as the reference's Python names them, onto our struct, by a table. */
#include "golden.h"

#include "base/str.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *text_or(const json_t *v, const char *absent)
{
    return json_is_string(v) ? json_string_value(v) : absent;
}

/* null switches a threshold off. */
static double number_or_off(const json_t *v)
{
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}

static bool set_language(struct golden_options *g, const json_t *v)
{
    g->o.language = text_or(v, "");
    return true;
}

static bool set_task(struct golden_options *g, const json_t *v)
{
    g->o.translate = strcmp(text_or(v, ""), "translate") == 0;
    return true;
}

static bool set_temperature(struct golden_options *g, const json_t *v)
{
    g->o.temperature[0] = json_number_value(v);
    g->o.n_temperatures = 1;
    return json_is_number(v);
}

static bool set_beam_size(struct golden_options *g, const json_t *v)
{
    g->o.beam_size = (int)json_integer_value(v);
    return json_is_integer(v);
}

static bool set_patience(struct golden_options *g, const json_t *v)
{
    g->o.patience = json_number_value(v);
    return json_is_number(v);
}

static bool set_length_penalty(struct golden_options *g, const json_t *v)
{
    g->o.length_penalty = number_or_off(v);
    return true;
}

static bool set_initial_prompt(struct golden_options *g, const json_t *v)
{
    g->o.initial_prompt = text_or(v, "");
    return true;
}

static bool set_carry(struct golden_options *g, const json_t *v)
{
    g->o.carry_initial_prompt = json_is_true(v);
    return true;
}

static bool set_prefix(struct golden_options *g, const json_t *v)
{
    g->o.prefix = text_or(v, "");
    return true;
}

static bool set_sample_len(struct golden_options *g, const json_t *v)
{
    g->o.sample_len = (int)json_integer_value(v);
    return json_is_integer(v);
}

static bool set_without_timestamps(struct golden_options *g, const json_t *v)
{
    g->o.without_timestamps = json_is_true(v);
    return true;
}

static bool set_word_timestamps(struct golden_options *g, const json_t *v)
{
    g->o.word_timestamps = json_is_true(v);
    return true;
}

/* Only the empty list occurs: the filter is off. */
static bool set_suppress_tokens(struct golden_options *g, const json_t *v)
{
    g->o.suppress_default = false;
    return strcmp(text_or(v, "-"), "") == 0;
}

static bool set_suppress_blank(struct golden_options *g, const json_t *v)
{
    g->o.suppress_blank = json_is_true(v);
    return true;
}

static bool set_condition(struct golden_options *g, const json_t *v)
{
    g->o.condition_on_previous_text = json_is_true(v);
    return true;
}

static bool set_hallucination(struct golden_options *g, const json_t *v)
{
    g->o.hallucination_silence_threshold = number_or_off(v);
    return true;
}

static bool set_no_speech(struct golden_options *g, const json_t *v)
{
    g->o.no_speech_threshold = number_or_off(v);
    return true;
}

static bool set_compression(struct golden_options *g, const json_t *v)
{
    g->o.compression_ratio_threshold = number_or_off(v);
    return true;
}

static bool set_logprob(struct golden_options *g, const json_t *v)
{
    g->o.logprob_threshold = number_or_off(v);
    return true;
}

/* "3.0,14.5,31" */
static bool set_clips(struct golden_options *g, const json_t *v)
{
    const char *at = text_or(v, "");
    size_t n = 0;
    while (*at && n < PN_ARRAY_LEN(g->clips)) {
        size_t len = strcspn(at, ",");
        if (pn_parse_f64((struct pn_str){ at, len }, 0, 1e6, &g->clips[n++]) < 0)
            return false;
        at += len + (at[len] == ',');
    }
    g->o.clip_timestamps = g->clips;
    g->o.n_clip_timestamps = n;
    return true;
}

static bool set_via(struct golden_options *g, const json_t *v)
{
    g->window = strncmp(text_or(v, ""), "decode()", 8) == 0;
    return g->window;
}

static const struct {
    const char *name;
    bool (*set)(struct golden_options *g, const json_t *v);
} OPTIONS[] = {
    { "language", set_language },
    { "task", set_task },
    { "temperature", set_temperature },
    { "beam_size", set_beam_size },
    { "patience", set_patience },
    { "length_penalty", set_length_penalty },
    { "initial_prompt", set_initial_prompt },
    { "carry_initial_prompt", set_carry },
    { "prefix", set_prefix },
    { "sample_len", set_sample_len },
    { "without_timestamps", set_without_timestamps },
    { "word_timestamps", set_word_timestamps },
    { "suppress_tokens", set_suppress_tokens },
    { "suppress_blank", set_suppress_blank },
    { "condition_on_previous_text", set_condition },
    { "hallucination_silence_threshold", set_hallucination },
    { "no_speech_threshold", set_no_speech },
    { "compression_ratio_threshold", set_compression },
    { "logprob_threshold", set_logprob },
    { "clip_timestamps", set_clips },
    { "via", set_via },
};

static bool set_option(struct golden_options *g, const char *name, const json_t *v)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(OPTIONS); i++)
        if (strcmp(OPTIONS[i].name, name) == 0)
            return OPTIONS[i].set(g, v);
    return false;
}

bool golden_options_read(const struct pn_vocab *v, const json_t *run, struct golden_options *ret)
{
    const char *name;
    json_t *value;
    *ret = (struct golden_options){ 0 };
    pn_transcribe_defaults(&ret->o);
    json_object_foreach(json_object_get(run, "options"), name, value)
    {
        if (!set_option(ret, name, value)) {
            fprintf(stderr, "option %s is not one that this program knows\n", name);
            return false;
        }
    }
    if (ret->window) { /* one temperature, and the language that the reference had detected */
        ret->o.temperature[0] = 0;
        ret->o.n_temperatures = 1;
        if (v->multilingual)
            ret->o.language = text_or(json_object_get(json_object_get(run, "result"), "language"), "");
    }
    return true;
}
