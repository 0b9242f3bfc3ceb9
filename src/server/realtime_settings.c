/* realtime_settings.c - see realtime_settings.h.
 *
 * A merge copies the old settings into a new arena, reads the parts that came over them, and hands out the
 * result only if all of it was right. */
#include "server/realtime_settings_impl.h"

#include "text/language.h"

#include <string.h>

enum {
    ARENA_MAX = 64 << 10,
    NAME_MAX_LEN = 200,
    PROMPT_MAX = 4096,
    KEYWORD_MAX = 200,
    WORDS_MAX = 8192, /* all keywords, with a blank behind each */
    LANGUAGES_MAX = 16,
    KEYWORDS_MAX = 400,
    PADDING_MAX = 5000,
    SILENCE_MAX = 30000,
    IDLE_MIN = 1000,
    IDLE_MAX = 600000
};

/* ---- making and copying ------------------------------------------------------------------------------ */

static int settings_alloc(struct pn_rt_settings **ret)
{
    struct pn_arena *arena;
    int r = pn_arena_new(ARENA_MAX, &arena);
    if (r < 0)
        return r;
    struct pn_rt_settings *s = pn_arena_alloc(arena, sizeof(*s));
    if (!s) {
        pn_arena_free(arena);
        return -PN_ENOMEM;
    }
    s->arena = arena;
    *ret = s;
    return 0;
}

static struct pn_rt_turn_detection default_turns(enum pn_rt_turns how)
{
    return (struct pn_rt_turn_detection){
        .how = how, .threshold = -1, .prefix_padding_ms = 300, .silence_duration_ms = 500
    };
}

int pn_rt_settings_new(struct pn_rt_settings **ret)
{
    int r = settings_alloc(ret);
    if (r < 0)
        return r;
    struct pn_rt_settings *s = *ret;
    s->format = PN_INTAKE_S16LE;
    s->rate = PN_RT_RATE;
    s->model = s->language = s->prompt = "";
    s->turns = default_turns(PN_RT_TURNS_SERVER);
    return 0;
}

struct pn_rt_settings *pn_rt_settings_free(struct pn_rt_settings *s)
{
    if (s)
        pn_arena_free(s->arena);
    return NULL;
}

static const char *const *copy_list(struct pn_arena *a, const char *const *list, size_t n)
{
    const char **copy = pn_arena_alloc(a, PN_MAX(n, (size_t)1) * sizeof(*copy));
    for (size_t i = 0; copy && i < n; i++)
        if (!(copy[i] = pn_arena_strndup(a, list[i], strlen(list[i]))))
            return NULL;
    return copy;
}

static int settings_copy(const struct pn_rt_settings *old, struct pn_rt_settings **ret)
{
    struct pn_rt_settings *s;
    int r = settings_alloc(&s);
    if (r < 0)
        return r;
    struct pn_arena *a = s->arena;
    *s = *old;
    s->arena = a;
    s->model = pn_arena_strndup(a, old->model, strlen(old->model));
    s->prompt = pn_arena_strndup(a, old->prompt, strlen(old->prompt));
    s->languages = copy_list(a, old->languages, old->n_languages);
    s->keywords = copy_list(a, old->keywords, old->n_keywords);
    if (!s->model || !s->prompt || !s->languages || !s->keywords) {
        pn_rt_settings_free(s);
        return -PN_ENOMEM;
    }
    *ret = s;
    return 0;
}

/* ---- reading ----------------------------------------------------------------------------------------- */

struct merge {
    struct pn_rt_settings *s;
    struct pn_err *err;
    const char *param; /* the part that is being read */
};

/* -PN_EINVAL if `key` is there and is none of `names`; else 1 or 0, and *ret is its place. */
static int read_choice(struct merge *m, const json_t *o, const char *key, const char *const *names, int n,
                       int *ret)
{
    struct pn_str v;
    int r = pn_json_get_str(o, key, NAME_MAX_LEN, &v, m->err);
    if (r <= 0)
        return r;
    for (int i = 0; i < n; i++) {
        if (pn_str_is(v, names[i])) {
            *ret = i;
            return 1;
        }
    }
    return pn_fail(m->err, PN_EINVAL, "%s cannot be '%.*s'", key, (int)PN_MIN(v.len, (size_t)64), v.ptr);
}

static int read_text(struct merge *m, const json_t *o, const char *key, size_t most, const char **ret)
{
    struct pn_str v;
    int r = pn_json_get_str(o, key, most, &v, m->err);
    if (r <= 0)
        return r;
    const char *copy = pn_arena_str(m->s->arena, v);
    if (!copy)
        return pn_fail(m->err, PN_ENOMEM, "no memory for %s", key);
    *ret = copy;
    return 1;
}

/* null takes a text away. */
static int read_clearable(struct merge *m, const json_t *o, const char *key, size_t most, const char **ret)
{
    if (json_is_null(json_object_get(o, key)))
        *ret = "";
    return read_text(m, o, key, most, ret);
}

static int language_of(struct merge *m, struct pn_str name, const char **ret)
{
    const char *code = pn_language_code(name);
    if (!code)
        return pn_fail(m->err, PN_EINVAL, "'%.*s' is no language that is known here",
                       (int)PN_MIN(name.len, (size_t)64), name.ptr);
    *ret = code;
    return 0;
}

static int read_language(struct merge *m, const json_t *o)
{
    struct pn_str v = { 0 };
    if (json_is_null(json_object_get(o, "language")))
        m->s->language = "";
    int r = pn_json_get_str(o, "language", NAME_MAX_LEN, &v, m->err);
    return r <= 0 ? r : language_of(m, v, &m->s->language);
}

static int read_item(struct merge *m, const char *key, const json_t *item, size_t most, struct pn_str *ret)
{
    struct pn_str v = { json_string_value(item), json_string_length(item) };
    if (!json_is_string(item) || v.len == 0 || v.len > most)
        return pn_fail(m->err, PN_EINVAL, "%s must hold texts of 1 to %zu bytes", key, most);
    *ret = v;
    return 0;
}

/* The new list for `key` in *ret, with room for all of its items; 0 if it is not there. */
static int begin_list(struct merge *m, json_t *o, const char *key, size_t most, json_t **ret_from,
                      const char ***ret)
{
    int r = pn_json_get_array(o, key, ret_from, m->err);
    if (r <= 0)
        return r;
    size_t n = json_array_size(*ret_from);
    if (n > most)
        return pn_fail(m->err, PN_EINVAL, "%s must not hold more than %zu", key, most);
    *ret = pn_arena_alloc(m->s->arena, PN_MAX(n, (size_t)1) * sizeof(**ret));
    return *ret ? 1 : pn_fail(m->err, PN_ENOMEM, "no memory for %s", key);
}

static int read_languages(struct merge *m, json_t *o)
{
    json_t *from;
    const char **list;
    int r = begin_list(m, o, "languages", LANGUAGES_MAX, &from, &list);
    if (r <= 0)
        return r;
    for (size_t i = 0; i < json_array_size(from); i++) {
        struct pn_str v = { 0 };
        if ((r = read_item(m, "languages", json_array_get(from, i), NAME_MAX_LEN, &v)) < 0 ||
            (r = language_of(m, v, &list[i])) < 0)
            return r;
    }
    m->s->languages = list;
    m->s->n_languages = json_array_size(from);
    return 0;
}

static int read_keywords(struct merge *m, json_t *o)
{
    json_t *from;
    const char **list;
    size_t all = 0;
    int r = begin_list(m, o, "keywords", KEYWORDS_MAX, &from, &list);
    if (r <= 0)
        return r;
    for (size_t i = 0; i < json_array_size(from); i++) {
        struct pn_str v = { 0 };
        if ((r = read_item(m, "keywords", json_array_get(from, i), KEYWORD_MAX, &v)) < 0)
            return r;
        all += v.len + 1;
        if (all > WORDS_MAX)
            return pn_fail(m->err, PN_EINVAL, "keywords must not be longer than %d bytes", WORDS_MAX);
        if (!(list[i] = pn_arena_str(m->s->arena, v)))
            return pn_fail(m->err, PN_ENOMEM, "no memory for keywords");
    }
    m->s->keywords = list;
    m->s->n_keywords = json_array_size(from);
    return 0;
}

const char *const pn_rt_formats[6] = { "audio/pcm", "audio/pcmu", "audio/pcma",
                                       "pcm16",     "g711_ulaw",  "g711_alaw" };

int pn_rt_format_index(enum pn_intake_format format)
{
    return format == PN_INTAKE_ULAW ? 1 : format == PN_INTAKE_ALAW ? 2 : 0;
}

static void set_format(struct pn_rt_settings *s, int choice, int rate)
{
    static const enum pn_intake_format format[] = { PN_INTAKE_S16LE, PN_INTAKE_ULAW, PN_INTAKE_ALAW };
    s->format = format[choice % 3];
    s->rate = s->format == PN_INTAKE_S16LE ? rate : 8000;
}

static int read_format(struct merge *m, json_t *input)
{
    json_t *o;
    int64_t rate = m->s->format == PN_INTAKE_S16LE ? m->s->rate : PN_RT_RATE;
    int choice = pn_rt_format_index(m->s->format), r;
    m->param = "session.audio.input.format";
    if (json_is_string(json_object_get(input, "format"))) /* as the older dialect writes it */
        r = read_choice(m, input, "format", pn_rt_formats, PN_ARRAY_LEN(pn_rt_formats), &choice);
    else if ((r = pn_json_get_object(input, "format", &o, m->err)) > 0 &&
             (r = read_choice(m, o, "type", pn_rt_formats, 3, &choice)) >= 0)
        r = pn_json_get_i64(o, "rate", 1, INT32_MAX, &rate, m->err);
    else
        return r;
    if (r < 0)
        return r;
    if (choice % 3 == 0 && (rate < PN_INTAKE_MIN_RATE || rate > PN_INTAKE_MAX_RATE))
        return pn_fail(m->err, PN_EINVAL, "rate must be between %d and %d", PN_INTAKE_MIN_RATE,
                       PN_INTAKE_MAX_RATE);
    set_format(m->s, choice, (int)rate);
    return 0;
}

static int read_older_format(struct merge *m, json_t *session)
{
    int choice = 0;
    m->param = "session.input_audio_format";
    int r =
        read_choice(m, session, "input_audio_format", pn_rt_formats, PN_ARRAY_LEN(pn_rt_formats), &choice);
    if (r > 0)
        set_format(m->s, choice, PN_RT_RATE);
    return r;
}

static int read_noise(struct merge *m, json_t *parent, const char *key)
{
    static const char *const names[] = { "none", "near_field", "far_field" };
    json_t *o;
    int choice = (int)m->s->noise;
    if (json_is_null(json_object_get(parent, key)))
        m->s->noise = PN_RT_NOISE_NONE;
    int r = pn_json_get_object(parent, key, &o, m->err);
    if (r > 0 && (r = read_choice(m, o, "type", names + 1, 2, &choice)) > 0)
        m->s->noise = (enum pn_rt_noise)(choice + 1);
    return r;
}

const char *const pn_rt_delays[6] = { NULL, "minimal", "low", "medium", "high", "xhigh" };

static int read_transcription(struct merge *m, json_t *parent, const char *key)
{
    json_t *o;
    struct pn_rt_settings *s = m->s;
    int r = pn_json_get_object(parent, key, &o, m->err), delay = 0;
    if (r <= 0)
        return r;
    if (json_is_null(json_object_get(o, "delay")))
        s->delay = PN_RT_DELAY_UNSET;
    if ((r = read_clearable(m, o, "model", NAME_MAX_LEN, &s->model)) < 0 || (r = read_language(m, o)) < 0 ||
        (r = read_languages(m, o)) < 0 || (r = read_clearable(m, o, "prompt", PROMPT_MAX, &s->prompt)) < 0 ||
        (r = read_keywords(m, o)) < 0 || (r = read_choice(m, o, "delay", pn_rt_delays + 1, 5, &delay)) < 0)
        return r;
    if (r > 0)
        s->delay = (enum pn_rt_delay)(delay + 1);
    return 0;
}

const char *const pn_rt_detections[3] = { NULL, "server_vad", "semantic_vad" };
const char *const pn_rt_eagernesses[4] = { "auto", "low", "medium", "high" };

static int read_ms(struct merge *m, json_t *o, const char *key, int min, int max, int *ret)
{
    int64_t v;
    int r = pn_json_get_i64(o, key, min, max, &v, m->err);
    if (r > 0)
        *ret = (int)v;
    return r;
}

static int read_turns(struct merge *m, json_t *parent, const char *key)
{
    struct pn_rt_turn_detection *t = &m->s->turns;
    json_t *o;
    int how = 0, eagerness = 0;
    if (json_is_null(json_object_get(parent, key)))
        *t = default_turns(PN_RT_TURNS_CLIENT);
    int r = pn_json_get_object(parent, key, &o, m->err);
    if (r <= 0 || (r = read_choice(m, o, "type", pn_rt_detections + 1, 2, &how)) < 0)
        return r;
    if (r > 0 && t->how != (enum pn_rt_turns)(how + 1))
        *t = default_turns((enum pn_rt_turns)(how + 1));
    else if (t->how == PN_RT_TURNS_CLIENT)
        *t = default_turns(PN_RT_TURNS_SERVER);
    if (json_is_null(json_object_get(o, "idle_timeout_ms")))
        t->idle_timeout_ms = 0;
    if ((r = pn_json_get_f64(o, "threshold", 0, 1, &t->threshold, m->err)) < 0 ||
        (r = read_ms(m, o, "prefix_padding_ms", 0, PADDING_MAX, &t->prefix_padding_ms)) < 0 ||
        (r = read_ms(m, o, "silence_duration_ms", 0, SILENCE_MAX, &t->silence_duration_ms)) < 0 ||
        (r = read_ms(m, o, "idle_timeout_ms", IDLE_MIN, IDLE_MAX, &t->idle_timeout_ms)) < 0 ||
        (r = read_choice(m, o, "eagerness", pn_rt_eagernesses, 4, &eagerness)) < 0)
        return r;
    if (r > 0)
        t->eagerness = (enum pn_rt_eagerness)eagerness;
    return 0;
}

static int read_include(struct merge *m, json_t *session)
{
    json_t *list;
    m->param = "session.include";
    if (json_is_null(json_object_get(session, "include")))
        m->s->logprobs = false;
    int r = pn_json_get_array(session, "include", &list, m->err);
    if (r <= 0)
        return r;
    m->s->logprobs = false;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *what = json_string_value(json_array_get(list, i));
        if (!what)
            return pn_fail(m->err, PN_EINVAL, "include must hold texts");
        m->s->logprobs |= strcmp(what, "item.input_audio_transcription.logprobs") == 0;
    }
    return 0;
}

static int read_input(struct merge *m, json_t *session)
{
    json_t *audio, *input;
    m->param = "session.audio.input";
    int r = pn_json_get_object(session, "audio", &audio, m->err);
    if (r <= 0 || (r = pn_json_get_object(audio, "input", &input, m->err)) <= 0 ||
        (r = read_format(m, input)) < 0)
        return r;
    m->param = "session.audio.input.noise_reduction";
    if ((r = read_noise(m, input, "noise_reduction")) < 0)
        return r;
    m->param = "session.audio.input.transcription";
    if ((r = read_transcription(m, input, "transcription")) < 0)
        return r;
    m->param = "session.audio.input.turn_detection";
    return read_turns(m, input, "turn_detection");
}

static int read_older(struct merge *m, json_t *session)
{
    int r = read_older_format(m, session);
    if (r < 0)
        return r;
    m->param = "session.input_audio_noise_reduction";
    if ((r = read_noise(m, session, "input_audio_noise_reduction")) < 0)
        return r;
    m->param = "session.input_audio_transcription";
    if ((r = read_transcription(m, session, "input_audio_transcription")) < 0)
        return r;
    m->param = "session.turn_detection";
    return read_turns(m, session, "turn_detection");
}

/* Every session here transcribes, whatever else it is called. */
static int read_type(struct merge *m, json_t *session)
{
    static const char *const names[] = { "transcription", "realtime" };
    int choice;
    m->param = "session.type";
    return read_choice(m, session, "type", names, 2, &choice);
}

int pn_rt_settings_merge(const struct pn_rt_settings *old, json_t *session, struct pn_rt_settings **ret,
                         const char **ret_param, struct pn_err *err)
{
    struct merge m = { .err = err };
    int r = settings_copy(old, &m.s);
    if (r < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for the session");
    if (session && ((r = read_type(&m, session)) < 0 || (r = read_include(&m, session)) < 0 ||
                    (r = read_input(&m, session)) < 0 || (r = read_older(&m, session)) < 0)) {
        pn_rt_settings_free(m.s);
        *ret_param = m.param;
        return r;
    }
    *ret = m.s;
    return 0;
}

int pn_rt_settings_with(const struct pn_rt_settings *old, struct pn_str model, struct pn_str language,
                        struct pn_rt_settings **ret, const char **ret_param, struct pn_err *err)
{
    struct merge m = { .err = err, .param = "language" };
    int r = settings_copy(old, &m.s);
    if (r < 0)
        return pn_fail(err, PN_ENOMEM, "no memory for the session");
    if (language.len)
        r = language_of(&m, language, &m.s->language);
    if (r == 0 && model.len > NAME_MAX_LEN) {
        m.param = "model";
        r = pn_fail(err, PN_EINVAL, "model must not be longer than %d bytes", NAME_MAX_LEN);
    }
    if (r == 0 && model.len && !(m.s->model = pn_arena_str(m.s->arena, model)))
        r = pn_fail(err, PN_ENOMEM, "no memory for the session");
    if (r < 0) {
        pn_rt_settings_free(m.s);
        *ret_param = m.param;
        return r;
    }
    *ret = m.s;
    return 0;
}

/* ---- what follows from them -------------------------------------------------------------------------- */

int pn_rt_silence_ms(const struct pn_rt_turn_detection *t)
{
    /* The longest waits are 4, 8, 4 and 2 s; nothing here understands what was said, so silence alone must
     * do, a quarter of that. */
    static const int semantic[] = { 1000, 2000, 1000, 500 };
    return t->how == PN_RT_TURNS_SEMANTIC ? semantic[t->eagerness] : t->silence_duration_ms;
}

bool pn_rt_streams_early(const struct pn_rt_settings *s)
{
    return s->delay <= PN_RT_DELAY_LOW;
}

int pn_rt_byte_rate(const struct pn_rt_settings *s)
{
    return s->format == PN_INTAKE_S16LE ? 2 * s->rate : s->rate;
}
