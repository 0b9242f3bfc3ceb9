/* funasr_message.c - see funasr_message.h. Keys that are not FunASR's, and those that make no difference here
 * (svs_lang, svs_itn, chunk_interval), are skipped, whatever their values. */
#include "server/funasr_message.h"

#include "audio/intake.h"
#include "base/json_parse.h"

#include <stdlib.h>
#include <string.h>

enum {
    CHUNK_MAX = 100, /* rows of 60 ms, as the streaming model has it */
    LOOK_BACK_MAX = 1000,
    WORD_MAX = 32,
    VALUES_MAX = 4096 /* of a message: hot words may be an object */
};

static const char *const KEYS[] = {
    "mode",        "wav_name", "wav_format", "audio_fs",       "is_speaking",
    "is_finished", "is_end",   "chunk_size", "chunk_interval", "encoder_chunk_look_back",
    "hotwords",    "itn",      "svs_lang",   "svs_itn",        "decoder_chunk_look_back",
};

static const char *const MODES[] = {
    [PN_FUNASR_OFFLINE] = "offline", [PN_FUNASR_ONLINE] = "online", [PN_FUNASR_TWO_PASS] = "2pass"
};

void pn_funasr_settings_init(struct pn_funasr_settings *s)
{
    *s = (struct pn_funasr_settings){
        .mode = PN_FUNASR_TWO_PASS, .rate = 16000, .itn = true, .chunking = { 5, 10, 5, 4, 1 }
    };
}

void pn_funasr_settings_done(struct pn_funasr_settings *s)
{
    free(s->wav_name);
    free(s->hotwords);
    s->wav_name = s->hotwords = NULL;
}

const char *pn_funasr_wav_name(const struct pn_funasr_settings *s)
{
    return s->wav_name ? s->wav_name : "wav-default-id";
}

const char *pn_funasr_mode_name(enum pn_funasr_mode mode)
{
    return MODES[mode];
}

/* ---- members ----------------------------------------------------------------------------------------- */

static int read_mode(const json_t *j, struct pn_funasr_settings *s, struct pn_err *err)
{
    struct pn_str v;
    int r = pn_json_get_str(j, "mode", WORD_MAX, &v, err);
    if (r <= 0)
        return r;
    for (size_t i = 0; i < PN_ARRAY_LEN(MODES); i++)
        if (pn_str_is(v, MODES[i])) {
            s->mode = (enum pn_funasr_mode)i;
            return 1;
        }
    return pn_fail(err, PN_EINVAL, "mode must be offline, online or 2pass");
}

static int read_format(const json_t *j, struct pn_funasr_settings *s, struct pn_err *err)
{
    struct pn_str v;
    int r = pn_json_get_str(j, "wav_format", WORD_MAX, &v, err);
    if (r > 0)
        s->file = v.len > 0 && !pn_str_ieq(v, PN_STR("pcm"));
    return r;
}

static int read_rate(const json_t *j, struct pn_funasr_settings *s, struct pn_err *err)
{
    int64_t v;
    int r = pn_json_get_i64(j, "audio_fs", PN_INTAKE_MIN_RATE, PN_INTAKE_MAX_RATE, &v, err);
    if (r > 0)
        s->rate = (int)v;
    return r;
}

static int wrong_chunks(struct pn_err *err)
{
    return pn_fail(err, PN_EINVAL,
                   "chunk_size must be three numbers, [5,10,5], up to %d and not 0 in the middle", CHUNK_MAX);
}

static int set_chunks(struct pn_funasr_settings *s, const int64_t n[3], struct pn_err *err)
{
    for (int i = 0; i < 3; i++)
        if (n[i] < (i == 1) || n[i] > CHUNK_MAX)
            return wrong_chunks(err);
    s->chunking.left = (int)n[0];
    s->chunking.step = (int)n[1];
    s->chunking.ahead = (int)n[2];
    return 1;
}

/* "5,10,5" */
static int read_chunk_text(struct pn_str v, struct pn_funasr_settings *s, struct pn_err *err)
{
    int64_t n[3];
    for (int i = 0; i < 3; i++) {
        const char *comma = v.len ? memchr(v.ptr, ',', v.len) : NULL;
        size_t len = comma ? (size_t)(comma - v.ptr) : v.len;
        if ((comma != NULL) != (i < 2) ||
            pn_parse_i64(pn_str_trim((struct pn_str){ v.ptr, len }), 0, CHUNK_MAX, &n[i]) < 0)
            return wrong_chunks(err);
        if (comma)
            v = (struct pn_str){ comma + 1, v.len - len - 1 };
    }
    return set_chunks(s, n, err);
}

static int read_chunks(const json_t *j, struct pn_funasr_settings *s, struct pn_err *err)
{
    const json_t *v = json_object_get(j, "chunk_size");
    if (!v || json_is_null(v))
        return 0;
    if (json_is_string(v))
        return read_chunk_text((struct pn_str){ json_string_value(v), json_string_length(v) }, s, err);
    if (json_array_size(v) != 3)
        return wrong_chunks(err);
    int64_t n[3];
    for (size_t i = 0; i < 3; i++) {
        if (!json_is_integer(json_array_get(v, i)))
            return wrong_chunks(err);
        n[i] = json_integer_value(json_array_get(v, i));
    }
    return set_chunks(s, n, err);
}

static int read_look_back(const json_t *j, const char *key, int *to, struct pn_err *err)
{
    int64_t v;
    int r = pn_json_get_i64(j, key, -1, LOOK_BACK_MAX, &v, err);
    if (r > 0)
        *to = (int)v;
    return r;
}

static int read_chunking(const json_t *j, struct pn_funasr_settings *s, struct pn_err *err)
{
    int r = read_chunks(j, s, err);
    if (r >= 0)
        r = read_look_back(j, "encoder_chunk_look_back", &s->chunking.encoder_look_back, err);
    if (r >= 0)
        r = read_look_back(j, "decoder_chunk_look_back", &s->chunking.decoder_look_back, err);
    return r;
}

/* ---- texts that the settings keep -------------------------------------------------------------------- */

/* What replaces a text of the settings, if the whole message is right. */
struct texts {
    char *wav_name, *hotwords;
};

static int keep(char *copy, char **ret, struct pn_err *err)
{
    if (!copy)
        return pn_fail(err, PN_ENOMEM, "no memory for a message");
    *ret = copy;
    return 1;
}

static int read_name(const json_t *j, struct texts *t, struct pn_err *err)
{
    struct pn_str v;
    int r = pn_json_get_str(j, "wav_name", PN_FUNASR_NAME_MAX, &v, err);
    return r > 0 ? keep(strdup(v.ptr), &t->wav_name, err) : r;
}

/* A text, which holds JSON or plain words, or an object: both are what pn_recognition takes. */
static int read_hotwords(const json_t *j, struct texts *t, struct pn_err *err)
{
    json_t *object = json_object_get(j, "hotwords");
    if (json_is_object(object)) {
        int r = keep(json_dumps(object, JSON_COMPACT), &t->hotwords, err);
        if (r > 0 && strlen(t->hotwords) > PN_FUNASR_HOTWORDS_MAX)
            return pn_fail(err, PN_EINVAL, "hotwords must not be longer than %d bytes",
                           (int)PN_FUNASR_HOTWORDS_MAX);
        return r;
    }
    struct pn_str v;
    int r = pn_json_get_str(j, "hotwords", PN_FUNASR_HOTWORDS_MAX, &v, err);
    return r > 0 ? keep(strdup(v.ptr), &t->hotwords, err) : r;
}

static void replace(char **old, char *text)
{
    if (!text)
        return;
    free(*old);
    *old = text;
}

/* ---- the message ------------------------------------------------------------------------------------- */

static bool is_known(const json_t *j)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(KEYS); i++)
        if (json_object_get(j, KEYS[i]))
            return true;
    return json_object_size(j) == 0;
}

static int read_flags(const json_t *j, struct pn_funasr_message *m, struct pn_err *err)
{
    bool finished = false;
    int r = pn_json_get_bool(j, "is_speaking", &m->speaking, err);
    if (r < 0)
        return r;
    m->end = r > 0 && !m->speaking;
    r = pn_json_get_bool(j, "is_finished", &finished, err);
    m->end |= finished;
    return r < 0 ? r : pn_json_get_bool(j, "is_end", &m->acknowledge, err);
}

static int read_all(const json_t *j, struct pn_funasr_settings *s, struct texts *t,
                    struct pn_funasr_message *m, struct pn_err *err)
{
    int r = read_flags(j, m, err);
    if (r >= 0)
        r = read_mode(j, s, err);
    if (r >= 0)
        r = read_format(j, s, err);
    if (r >= 0)
        r = read_rate(j, s, err);
    if (r >= 0)
        r = read_chunking(j, s, err);
    if (r >= 0)
        r = pn_json_get_bool(j, "itn", &s->itn, err);
    if (r >= 0)
        r = read_name(j, t, err);
    if (r >= 0)
        r = read_hotwords(j, t, err);
    if (r >= 0 && s->file && s->mode != PN_FUNASR_OFFLINE)
        r = pn_fail(err, PN_EUNSUPPORTED, "ERROR. Real-time transcription service ONLY SUPPORT PCM stream.");
    return PN_MIN(r, 0);
}

int pn_funasr_message_read(struct pn_str text, struct pn_funasr_settings *s, struct pn_funasr_message *ret,
                           struct pn_err *err)
{
    static const struct pn_json_limits limits = { .depth = 16, .values = VALUES_MAX };
    json_t *j = NULL;
    int r = pn_json_object(text, limits, "message", 0, &j, err);
    if (r < 0)
        return r;
    struct pn_funasr_settings next = *s;
    struct pn_funasr_message m = { .known = is_known(j) };
    struct texts t = { 0 };
    r = read_all(j, &next, &t, &m, err);
    json_decref(j);
    if (r < 0) {
        free(t.wav_name);
        free(t.hotwords);
        return r;
    }
    replace(&next.wav_name, t.wav_name);
    replace(&next.hotwords, t.hotwords);
    *s = next;
    *ret = m;
    return 0;
}
