/* live_protocol.c - see live_protocol.h. */
#include "live_protocol.h"

#include "base/json_parse.h"

#include <inttypes.h>
#include <string.h>

/* What is asked for is 500 ms; the server's detector by loudness looks 350 ms ahead, and an end is told once
 * the padding behind it, 300 ms, cannot meet that of a next beginning. */
enum { SILENCE_MS = 350 + 2 * 300 };

static const struct pn_json_limits LIMITS = { .depth = 16, .values = 200000 };

static struct pn_str text_of(const json_t *m, const char *key)
{
    struct pn_str s = { 0 };
    (void)!pn_json_get_str(m, key, (size_t)1 << 24, &s, NULL);
    return s;
}

static bool is(const json_t *m, const char *key, const char *value)
{
    return pn_str_is(text_of(m, key), value);
}

static void audio_binary(const struct live_frame *f, int64_t timestamp, struct pn_buf *out)
{
    (void)timestamp;
    pn_buf_str(out, f->pcm);
}

/* ---- push-to-talk ---- */

static void ptt_start(struct pn_buf *out)
{
    pn_buf_puts(out, "{\"type\":\"control\",\"command\":\"start\"}");
}

static void ptt_audio(const struct live_frame *f, int64_t timestamp, struct pn_buf *out)
{
    pn_buf_printf(out, "{\"type\":\"audio\",\"timestamp\":%" PRId64 ",\"data\":\"", timestamp);
    pn_buf_str(out, f->base64);
    pn_buf_puts(out, "\"}");
}

static void ptt_stop(struct pn_buf *out)
{
    pn_buf_puts(out, "{\"type\":\"control\",\"command\":\"stop\"}");
}

static void ptt_hear(const json_t *m, struct live_answer *ret)
{
    int64_t code = 0;
    if (is(m, "type", "result")) {
        ret->heard = LIVE_PARTIAL;
        (void)!pn_json_get_i64(m, "timestamp", 0, INT64_MAX, &ret->timestamp, NULL);
        ret->characters = text_of(m, "text").len;
    } else if (is(m, "type", "final")) {
        ret->heard = LIVE_FINAL;
    } else if (is(m, "type", "error")) {
        (void)!pn_json_get_i64(m, "code", 0, 999, &code, NULL);
        ret->heard = code == 503 ? LIVE_REFUSED : LIVE_FAILED;
    }
}

/* Of binary audio the time stamp is the server's own. */
static void ptt_binary_hear(const json_t *m, struct live_answer *ret)
{
    ptt_hear(m, ret);
    ret->timestamp = -1;
}

/* ---- FunASR ---- */

static void funasr_start(struct pn_buf *out)
{
    pn_buf_puts(out,
                "{\"mode\":\"online\",\"wav_name\":\"speaker\",\"wav_format\":\"pcm\",\"audio_fs\":16000,"
                "\"chunk_size\":[5,10,5],\"is_speaking\":true}");
}

static void funasr_stop(struct pn_buf *out)
{
    pn_buf_puts(out, "{\"is_speaking\":false}");
}

static void funasr_hear(const json_t *m, struct live_answer *ret)
{
    bool final = false;
    (void)!pn_json_get_bool(m, "is_final", &final, NULL);
    ret->characters = text_of(m, "text").len;
    if (text_of(m, "error").len > 0)
        ret->heard =
            memmem(text_of(m, "error").ptr, text_of(m, "error").len, "room", 4) ? LIVE_REFUSED : LIVE_FAILED;
    else
        ret->heard = final ? LIVE_FINAL : LIVE_PARTIAL;
}

/* ---- OpenAI's Realtime ---- */

static void greet_with(const char *turn_detection, struct pn_buf *out)
{
    pn_buf_printf(
        out,
        "{\"type\":\"session.update\",\"session\":{\"type\":\"transcription\",\"audio\":{\"input\":{"
        "\"format\":{\"type\":\"audio/pcm\",\"rate\":16000},\"turn_detection\":%s}}}}",
        turn_detection);
}

static void realtime_greet(struct pn_buf *out)
{
    greet_with("null", out);
}

static void realtime_greet_vad(struct pn_buf *out)
{
    greet_with("{\"type\":\"server_vad\",\"silence_duration_ms\":500}", out);
}

static void realtime_audio(const struct live_frame *f, int64_t timestamp, struct pn_buf *out)
{
    (void)timestamp;
    pn_buf_puts(out, "{\"type\":\"input_audio_buffer.append\",\"audio\":\"");
    pn_buf_str(out, f->base64);
    pn_buf_puts(out, "\"}");
}

static void realtime_stop(struct pn_buf *out)
{
    pn_buf_puts(out, "{\"type\":\"input_audio_buffer.commit\"}");
}

static void realtime_hear(const json_t *m, struct live_answer *ret)
{
    static const char ITEM[] = "conversation.item.input_audio_transcription.";
    struct pn_str type = text_of(m, "type");
    json_t *error = NULL;
    if (pn_str_is(type, "error")) {
        (void)!pn_json_get_object(m, "error", &error, NULL);
        ret->heard = error && is(error, "code", "overloaded") ? LIVE_REFUSED : LIVE_FAILED;
    }
    if (type.len < sizeof(ITEM) || memcmp(type.ptr, ITEM, sizeof(ITEM) - 1) != 0)
        return;
    type = (struct pn_str){ type.ptr + sizeof(ITEM) - 1, type.len - sizeof(ITEM) + 1 };
    ret->characters = text_of(m, "delta").len;
    ret->heard = pn_str_is(type, "delta")       ? LIVE_PARTIAL
                 : pn_str_is(type, "completed") ? LIVE_FINAL
                 : pn_str_is(type, "failed")    ? LIVE_FAILED
                                                : LIVE_NOTHING;
}

/* ---- all ---- */

static void hear(struct pn_str message, void (*read)(const json_t *, struct live_answer *),
                 struct live_answer *ret)
{
    json_t *m = NULL;
    *ret = (struct live_answer){ .heard = LIVE_FAILED, .timestamp = -1 };
    if (pn_json_object(message, LIMITS, "message", 0, &m, NULL) < 0)
        return;
    ret->heard = LIVE_NOTHING;
    read(m, ret);
    json_decref(m);
}

#define HEAR(name, read)                                             \
    static void name(struct pn_str message, struct live_answer *ret) \
    {                                                                \
        hear(message, read, ret);                                    \
    }
HEAR(hear_ptt, ptt_hear)
HEAR(hear_ptt_binary, ptt_binary_hear)
HEAR(hear_funasr, funasr_hear)
HEAR(hear_realtime, realtime_hear)

static const struct live_protocol PROTOCOLS[] = {
    { "ptt", "/ws/asr", false, true, NULL, ptt_start, ptt_audio, ptt_stop, hear_ptt, 0 },
    { "ptt-binary", "/ws/asr", true, false, NULL, ptt_start, audio_binary, ptt_stop, hear_ptt_binary, 0 },
    { "funasr", "/", true, false, NULL, funasr_start, audio_binary, funasr_stop, hear_funasr, 0 },
    { "realtime", "/v1/realtime", false, false, realtime_greet, NULL, realtime_audio, realtime_stop,
      hear_realtime, 0 },
    { "realtime-vad", "/v1/realtime", false, false, realtime_greet_vad, NULL, realtime_audio, NULL,
      hear_realtime, SILENCE_MS },
};

const struct live_protocol *live_protocol_at(size_t i)
{
    return i < PN_ARRAY_LEN(PROTOCOLS) ? &PROTOCOLS[i] : NULL;
}

const struct live_protocol *live_protocol_of(const char *name)
{
    for (size_t i = 0; i < PN_ARRAY_LEN(PROTOCOLS); i++)
        if (strcmp(name, PROTOCOLS[i].name) == 0)
            return &PROTOCOLS[i];
    return NULL;
}
