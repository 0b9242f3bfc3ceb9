/* format_json.c - a transcript as JSON, in the shape of the Whisper command or of OpenAI's API. Pure. */
#include "text/format_json.h"

#include "base/json.h"
#include "text/language.h"

/* Times have 10 or 20 ms steps, the scores are estimates: more decimals are only noise. */
enum { TIME_DECIMALS = 3, SCORE_DECIMALS = 6 };

static void write_number(struct pn_json *j, const char *key, double v, int decimals)
{
    pn_json_key(j, key);
    pn_json_fixed(j, v, decimals);
}

/* The words of one segment, as elements of the open array. */
static void write_words(struct pn_json *j, const struct pn_segment *s)
{
    for (size_t i = 0; i < s->n_words; i++) {
        const struct pn_word *w = &s->words[i];
        pn_json_begin_object(j);
        pn_json_key(j, "word");
        pn_json_cstr(j, w->text);
        write_number(j, "start", w->start, TIME_DECIMALS);
        write_number(j, "end", w->end, TIME_DECIMALS);
        write_number(j, "probability", w->confidence, SCORE_DECIMALS);
        pn_json_end_object(j);
    }
}

/* All ten keys, in Whisper's order: typed clients require every one. With `words` an eleventh. */
static void write_segment(struct pn_json *j, const struct pn_segment *s, bool words)
{
    pn_json_begin_object(j);
    pn_json_key(j, "id");
    pn_json_i64(j, s->id);
    pn_json_key(j, "seek");
    pn_json_i64(j, s->seek);
    write_number(j, "start", s->start, TIME_DECIMALS);
    write_number(j, "end", s->end, TIME_DECIMALS);
    pn_json_key(j, "text");
    pn_json_cstr(j, s->text);
    pn_json_key(j, "tokens");
    pn_json_begin_array(j);
    for (size_t i = 0; i < s->n_tokens; i++)
        pn_json_i64(j, s->tokens[i]);
    pn_json_end_array(j);
    write_number(j, "temperature", s->temperature, SCORE_DECIMALS);
    write_number(j, "avg_logprob", s->avg_logprob, SCORE_DECIMALS);
    write_number(j, "compression_ratio", s->compression_ratio, SCORE_DECIMALS);
    write_number(j, "no_speech_prob", s->no_speech_prob, SCORE_DECIMALS);
    if (words) {
        pn_json_key(j, "words");
        pn_json_begin_array(j);
        write_words(j, s);
        pn_json_end_array(j);
    }
    pn_json_end_object(j);
}

static void write_segments(struct pn_json *j, const struct pn_transcript *t, bool words)
{
    pn_json_key(j, "segments");
    pn_json_begin_array(j);
    for (size_t i = 0; i < t->n_segments; i++)
        write_segment(j, &t->segments[i], words);
    pn_json_end_array(j);
}

static void write_whisper(struct pn_json *j, const struct pn_transcript *t)
{
    pn_json_key(j, "text");
    pn_json_cstr(j, t->text);
    pn_json_key(j, "language");
    pn_json_cstr(j, t->language);
    write_segments(j, t, t->word_times);
}

/* OpenAI has words beside the segments, not in them. */
static void write_all_words(struct pn_json *j, const struct pn_transcript *t)
{
    pn_json_key(j, "words");
    pn_json_begin_array(j);
    for (size_t i = 0; i < t->n_segments; i++)
        write_words(j, &t->segments[i]);
    pn_json_end_array(j);
}

static void write_verbose(struct pn_json *j, const struct pn_transcript *t)
{
    const char *name = pn_language_name(t->language);
    pn_json_key(j, "task");
    pn_json_cstr(j, t->task);
    pn_json_key(j, "language");
    pn_json_cstr(j, name ? name : t->language);
    write_number(j, "duration", t->duration, TIME_DECIMALS);
    pn_json_key(j, "text");
    pn_json_cstr(j, t->text);
    write_segments(j, t, false);
    if (t->word_times)
        write_all_words(j, t);
}

void pn_format_json(const struct pn_transcript *t, bool verbose, struct pn_buf *out)
{
    struct pn_json j;
    pn_json_init(&j, out);
    pn_json_begin_object(&j);
    if (verbose)
        write_verbose(&j, t);
    else
        write_whisper(&j, t);
    pn_json_end_object(&j);
}
