/* ptt_message.c - see ptt_message.h. A timestamp that is no number counts as none, because clients of the
 * replaced service could write what they liked there. */
#include "server/ptt_message.h"

#include "base/buf.h"
#include "text/language.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_MODEL = 256, MAX_LANGUAGE = 64, MAX_HOTWORDS = 8192, MAX_ECHO = 64 };

static const double LAST_TIMESTAMP = 1e15; /* ms: the year 33658 */

/* What the client sent, short enough to be sent back. */
static struct pn_str echo(const json_t *message, const char *key)
{
    const json_t *v = json_object_get(message, key);
    struct pn_str all = { json_string_value(v), json_string_length(v) }, rest = all;
    size_t n;
    while ((n = pn_utf8_next(rest, NULL)) > 0 && all.len - rest.len + n <= MAX_ECHO)
        rest = (struct pn_str){ rest.ptr + n, rest.len - n };
    return (struct pn_str){ all.ptr ? all.ptr : "", all.len - rest.len };
}

static int wrong_field(struct pn_err *err, const struct pn_err *why)
{
    return pn_fail(err, PN_EINVAL, "参数错误: %s", why->text);
}

/* ---- what `start` carries ---------------------------------------------------------------------------- */

static int read_format(const json_t *j, struct pn_ptt_start *s, struct pn_err *why)
{
    struct pn_str name;
    int r = pn_json_get_str(j, "format", MAX_ECHO, &name, why);
    if (r <= 0)
        return r;
    bool known =
        pn_intake_format_parse(name, &s->format) == 0 &&
        (s->format == PN_INTAKE_S16LE || s->format == PN_INTAKE_F32LE || s->format == PN_INTAKE_OPUS);
    return known ? 0 : pn_fail(why, PN_EINVAL, "format must be pcm_s16le, pcm_f32le or opus");
}

static int read_rate(const json_t *j, struct pn_ptt_start *s, struct pn_err *why)
{
    int64_t rate = 16000;
    int r = pn_json_get_i64(j, "sample_rate", PN_INTAKE_MIN_RATE, PN_INTAKE_MAX_RATE, &rate, why);
    s->rate = (int)rate;
    return r;
}

static int read_language(const json_t *j, struct pn_ptt_start *s, struct pn_err *why)
{
    struct pn_str name = { 0 };
    int r = pn_json_get_str(j, "language", MAX_LANGUAGE, &name, why);
    s->language = r < 0 ? "" : pn_language_code(name);
    if (!s->language)
        return pn_fail(why, PN_EINVAL, "language '%.*s' is not known", (int)name.len, name.ptr);
    return r;
}

/* An array's texts with blanks between them. */
static int join_hotwords(const json_t *list, char **ret, struct pn_err *why)
{
    struct pn_buf b;
    const json_t *v;
    size_t i;
    pn_buf_init(&b, MAX_HOTWORDS);
    json_array_foreach(list, i, v)
    {
        if (!json_is_string(v)) {
            pn_buf_done(&b);
            return pn_fail(why, PN_EINVAL, "hotwords must be a text or an array of texts");
        }
        if (i > 0)
            pn_buf_putc(&b, ' ');
        pn_buf_str(&b, (struct pn_str){ json_string_value(v), json_string_length(v) });
    }
    size_t len;
    int r = pn_buf_take(&b, ret, &len);
    pn_buf_done(&b);
    if (r == -PN_ELIMIT)
        return pn_fail(why, PN_EINVAL, "hotwords must not be longer than %d bytes", (int)MAX_HOTWORDS);
    return r;
}

static int read_hotwords(const json_t *j, struct pn_ptt_start *s, struct pn_err *why)
{
    const json_t *v = json_object_get(j, "hotwords");
    if (json_is_array(v))
        return join_hotwords(v, &s->hotwords, why);
    struct pn_str text;
    int r = pn_json_get_str(j, "hotwords", MAX_HOTWORDS, &text, why);
    if (r <= 0)
        return r;
    s->hotwords = strndup(text.ptr, text.len);
    return s->hotwords ? 0 : -PN_ENOMEM;
}

static int read_start(const json_t *j, struct pn_ptt_start *s, struct pn_err *err)
{
    struct pn_err why = { 0 };
    *s = (struct pn_ptt_start){ .format = PN_INTAKE_S16LE, .interim = true };
    int r = read_format(j, s, &why);
    if (r >= 0)
        r = read_rate(j, s, &why);
    if (r >= 0)
        r = read_language(j, s, &why);
    if (r >= 0)
        r = pn_json_get_str(j, "model", MAX_MODEL, &s->model, &why);
    if (r >= 0)
        r = pn_json_get_bool(j, "interim", &s->interim, &why);
    if (r >= 0)
        r = pn_json_get_bool(j, "vad", &s->vad, &why);
    if (r >= 0) /* the last one: it allocates */
        r = read_hotwords(j, s, &why);
    return r == -PN_EINVAL ? wrong_field(err, &why) : PN_MIN(r, 0);
}

/* ---- messages ---------------------------------------------------------------------------------------- */

static int read_control(const json_t *j, struct pn_ptt_message *m, struct pn_err *err)
{
    struct pn_str command = echo(j, "command");
    if (pn_str_is(command, "start")) {
        m->kind = PN_PTT_START;
        return read_start(j, &m->start, err);
    }
    if (pn_str_is(command, "stop"))
        m->kind = PN_PTT_STOP;
    else if (pn_str_is(command, "reset"))
        m->kind = PN_PTT_RESET;
    else
        return pn_fail(err, PN_EINVAL, "未知控制指令: %.*s", (int)command.len, command.ptr);
    return 0;
}

static int read_audio(struct pn_ptt_message *m, struct pn_err *err)
{
    m->kind = PN_PTT_AUDIO;
    if (!m->audio.ptr)
        return pn_fail(err, PN_EINVAL, "参数错误: data must be a text");
    if (m->audio.len > PN_PTT_DATA_MAX)
        return pn_fail(err, PN_ELIMIT, "音频数据过大");
    return 0;
}

static int read_message(struct pn_ptt_message *m, struct pn_err *err)
{
    struct pn_str type = echo(m->json, "type");
    double timestamp;
    m->timestamp = -1;
    if (pn_json_get_f64(m->json, "timestamp", 0, LAST_TIMESTAMP, &timestamp, NULL) > 0)
        m->timestamp = (int64_t)timestamp;
    if (pn_str_is(type, "audio"))
        return read_audio(m, err);
    if (pn_str_is(type, "control"))
        return read_control(m->json, m, err);
    return pn_fail(err, PN_EINVAL, "未知消息类型: %.*s", (int)type.len, type.ptr);
}

int pn_ptt_message_parse(struct pn_str text, struct pn_ptt_message *ret, struct pn_err *err)
{
    struct pn_ptt_message m = { 0 };
    struct pn_err why = { 0 };
    int r = pn_json_message(text, "data", &m.json, &m.audio, &why);
    if (r == -PN_ENOMEM)
        return pn_fail(err, PN_ENOMEM, "%s", why.text);
    if (r < 0)
        return pn_fail(err, PN_EFORMAT, "消息格式错误: %s", why.text);
    r = read_message(&m, err);
    if (r == -PN_ENOMEM)
        pn_fail(err, PN_ENOMEM, "no memory for a message");
    if (r < 0)
        pn_ptt_message_done(&m);
    else
        *ret = m;
    return r;
}

void pn_ptt_message_done(struct pn_ptt_message *m)
{
    free(m->start.hotwords);
    json_decref(m->json);
    *m = (struct pn_ptt_message){ 0 };
}
