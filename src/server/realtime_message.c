/* realtime_message.c - see realtime_message.h. */
#include "server/realtime_message.h"

#include <string.h>

enum { TYPE_MAX = 100 };

static const struct {
    const char *type;
    enum pn_rt_kind kind;
    bool older;
} TYPES[] = {
    { "input_audio_buffer.append", PN_RT_APPEND, false },
    { "input_audio_buffer.commit", PN_RT_COMMIT, false },
    { "input_audio_buffer.clear", PN_RT_CLEAR, false },
    { "session.update", PN_RT_UPDATE, false },
    { "transcription_session.update", PN_RT_UPDATE, true },
    { "conversation.item.retrieve", PN_RT_RETRIEVE, false },
    { "conversation.item.delete", PN_RT_DELETE, false },
};

static int refuse(struct pn_rt_refusal *why, const char *code, const char *param)
{
    why->code = code;
    why->param = param;
    return -why->err.code;
}

static int missing(struct pn_rt_refusal *why, const char *param)
{
    pn_fail(&why->err, PN_EINVAL, "Missing required parameter: '%s'.", param);
    return refuse(why, "missing_required_parameter", param);
}

static int unknown_type(struct pn_str type, struct pn_rt_refusal *why)
{
    if (type.len > 9 && memcmp(type.ptr, "response.", 9) == 0)
        pn_fail(&why->err, PN_EINVAL, "'%.*s' has no place in a session that transcribes.",
                (int)PN_MIN(type.len, (size_t)64), type.ptr);
    else
        pn_fail(&why->err, PN_EINVAL, "'%.*s' is no event that is known here.",
                (int)PN_MIN(type.len, (size_t)64), type.ptr);
    return refuse(why, "invalid_value", "type");
}

static int read_type(struct pn_rt_message *m, struct pn_rt_refusal *why)
{
    struct pn_str type;
    int r = pn_json_get_str(m->json, "type", TYPE_MAX, &type, &why->err);
    if (r < 0)
        return refuse(why, "invalid_type", "type");
    if (r == 0)
        return missing(why, "type");
    for (size_t i = 0; i < PN_ARRAY_LEN(TYPES); i++) {
        if (pn_str_is(type, TYPES[i].type)) {
            m->kind = TYPES[i].kind;
            m->older = TYPES[i].older;
            return 0;
        }
    }
    return unknown_type(type, why);
}

static int read_item_id(struct pn_rt_message *m, struct pn_rt_refusal *why)
{
    int r = pn_json_get_str(m->json, "item_id", PN_RT_ID_MAX, &m->item_id, &why->err);
    if (r < 0)
        return refuse(why, "invalid_value", "item_id");
    return r == 0 ? missing(why, "item_id") : 0;
}

static int read_audio(const struct pn_rt_message *m, struct pn_rt_refusal *why)
{
    const json_t *audio = json_object_get(m->json, "audio");
    if (!audio || json_is_null(audio))
        return missing(why, "audio");
    if (json_is_string(audio))
        return 0;
    pn_fail(&why->err, PN_EINVAL, "audio must be a text in base64");
    return refuse(why, "invalid_type", "audio");
}

static int read_parts(struct pn_rt_message *m, struct pn_rt_refusal *why)
{
    switch (m->kind) {
    case PN_RT_UPDATE:
        if (pn_json_get_object(m->json, "session", &m->session, &why->err) < 0)
            return refuse(why, "invalid_type", "session");
        return m->session ? 0 : missing(why, "session");
    case PN_RT_APPEND:
        return read_audio(m, why);
    case PN_RT_RETRIEVE:
    case PN_RT_DELETE:
        return read_item_id(m, why);
    case PN_RT_COMMIT:
    case PN_RT_CLEAR:
        return 0;
    }
    PN_UNREACHABLE();
}

int pn_rt_message_parse(struct pn_str text, struct pn_rt_message *ret, struct pn_rt_refusal *why)
{
    *ret = (struct pn_rt_message){ 0 };
    *why = (struct pn_rt_refusal){ 0 };
    int r = pn_json_message(text, "audio", &ret->json, &ret->audio, &why->err);
    if (r < 0)
        return refuse(why, r == -PN_ENOMEM ? NULL : "invalid_json", NULL);
    if (pn_json_get_str(ret->json, "event_id", PN_RT_ID_MAX, &ret->event_id, &why->err) < 0)
        return refuse(why, "invalid_value", "event_id");
    r = read_type(ret, why);
    return r < 0 ? r : read_parts(ret, why);
}

void pn_rt_message_done(struct pn_rt_message *m)
{
    json_decref(m->json);
    *m = (struct pn_rt_message){ 0 };
}
