/* recognition_form.c - see recognition_form.h. Every value is checked before any work is queued, and the
 * answer to a wrong one names the parameter. */
#include "server/recognition_form.h"

#include "text/language.h"

#include <string.h>

enum {
    MAX_PROMPT = 4096,   /* Whisper reads the last 223 tokens */
    MAX_HOTWORDS = 8192, /* as much as a field of a form may hold */
    MAX_BEAMS = 16
};

typedef struct pn_str (*parameter_fn)(struct pn_request *, const char *name);

static bool read_language(struct pn_request *req, parameter_fn parameter, struct pn_recognition *want)
{
    struct pn_str v = parameter(req, "language");
    want->language = pn_language_code(v);
    if (!want->language)
        req->reply =
            pn_reply_error(422, "language", NULL, "'%.*s' is not a language that any model here knows",
                           (int)PN_MIN(v.len, (size_t)64), v.ptr);
    return want->language;
}

static bool read_task(struct pn_request *req, parameter_fn parameter, struct pn_recognition *want)
{
    struct pn_str v = parameter(req, "task");
    want->task = "transcribe";
    if (pn_str_ieq(v, PN_STR("translate")))
        want->task = "translate";
    else if (v.len && !pn_str_ieq(v, PN_STR("transcribe")))
        req->reply = pn_reply_error(400, "task", NULL, "task must be transcribe or translate");
    return !req->reply;
}

/* A text that is not checked further; the request arena's. */
static bool keep_text(struct pn_request *req, struct pn_str v, const char *name, size_t most,
                      const char **ret)
{
    if (v.len > most)
        req->reply = pn_reply_error(400, name, NULL, "%s must not be longer than %zu bytes", name, most);
    else if (!(*ret = pn_arena_str(req->arena, v)))
        req->reply = pn_reply_error(503, NULL, "overloaded", "no memory for %s", name);
    return !req->reply;
}

static bool read_prompt(struct pn_request *req, parameter_fn parameter, struct pn_recognition *want)
{
    struct pn_str v = parameter(req, "prompt");
    if (!v.len)
        v = parameter(req, "initial_prompt");
    return keep_text(req, v, "prompt", MAX_PROMPT, &want->prompt);
}

static bool read_number(struct pn_request *req, parameter_fn parameter, const char *name, int max, int *ret)
{
    struct pn_str v = parameter(req, name);
    int64_t n = 0;
    if (v.len && pn_parse_i64(v, 0, max, &n) < 0)
        req->reply = pn_reply_error(400, name, NULL, "%s must be a whole number between 0 and %d", name, max);
    *ret = (int)n;
    return !req->reply;
}

static bool read_temperature(struct pn_request *req, parameter_fn parameter, struct pn_recognition *want)
{
    struct pn_str v = parameter(req, "temperature");
    want->temperature = -1;
    if (v.len && pn_parse_f64(v, 0, 1, &want->temperature) < 0)
        req->reply = pn_reply_error(400, "temperature", NULL, "temperature must be a number between 0 and 1");
    return !req->reply;
}

/* What is absent leaves *ret as it is. */
static bool read_switch(struct pn_request *req, parameter_fn parameter, const char *name, bool *ret)
{
    struct pn_str v = parameter(req, name);
    if (v.len && pn_parse_bool(v, ret) < 0)
        req->reply = pn_reply_error(400, name, NULL, "%s must be true or false", name);
    return !req->reply;
}

static bool read_context(struct pn_request *req, parameter_fn parameter, struct pn_recognition *want)
{
    struct pn_str v = parameter(req, "encoder_context");
    want->auto_context = pn_str_ieq(v, PN_STR("auto"));
    if (v.len && !want->auto_context && !pn_str_ieq(v, PN_STR("full")))
        req->reply = pn_reply_error(400, "encoder_context", NULL, "encoder_context must be full or auto");
    return !req->reply;
}

bool pn_recognition_form(struct pn_request *req, parameter_fn parameter, struct pn_recognition *ret_want,
                         struct pn_str *ret_model)
{
    struct pn_recognition *want = ret_want;
    *want = (struct pn_recognition){ .punctuation = true };
    *ret_model = parameter(req, "model");
    return read_language(req, parameter, want) && read_task(req, parameter, want) &&
           read_prompt(req, parameter, want) && read_temperature(req, parameter, want) &&
           read_number(req, parameter, "beam_size", MAX_BEAMS, &want->beam_size) &&
           read_number(req, parameter, "best_of", MAX_BEAMS, &want->best_of) &&
           read_switch(req, parameter, "word_timestamps", &want->word_timestamps) &&
           read_switch(req, parameter, "batch", &want->batch) && read_context(req, parameter, want) &&
           keep_text(req, parameter(req, "hotwords"), "hotwords", MAX_HOTWORDS, &want->hotwords) &&
           read_switch(req, parameter, "vad", &want->vad) &&
           read_switch(req, parameter, "punctuation", &want->punctuation) &&
           read_switch(req, parameter, "itn", &want->itn);
}
