/* ptt.c - push-to-talk over a WebSocket, /ws/asr (docs/push-to-talk.md): a client's commands and its audio.
 */
#include "server/ptt_impl.h"

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "server/ptt_result.h"
#include "server/route.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TEXT      ((size_t)4 << 20) /* more than this is not worth an answer */
#define MAX_PACKET    ((size_t)1 << 16)
#define RETRY_SHED_MS 5000

/* ---- utterances -------------------------------------------------------------------------------------- */

static struct pn_ptt_utterance *add_utterance(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = calloc(1, sizeof(*u));
    if (!u)
        return NULL;
    u->client = c;
    *c->tail = u;
    c->tail = &u->next;
    return u;
}

static void set_error(struct pn_ptt_utterance *u, int code, int retry_after_ms, const char *what,
                      const char *why)
{
    u->owes_error = true;
    u->error.code = code;
    u->error.retry_after_ms = retry_after_ms;
    snprintf(u->error.text, sizeof(u->error.text), "%s%s", what, why);
}

/* What the engine says no with, as an error frame. */
static void fail_utterance(struct pn_ptt_utterance *u, int r, int retry_ms, const struct pn_err *err)
{
    if (r == -PN_EFULL)
        set_error(u, 503, retry_ms, "服务器繁忙，请稍后重试", "");
    else if (r == -PN_ENOTFOUND)
        set_error(u, 400, 0, "参数错误: model: ", err->text);
    else if (r == -PN_EUNSUPPORTED)
        set_error(u, 400, 0, "参数错误: language: ", err->text);
    else
        set_error(u, 500, 0, "识别失败: ", err->text[0] ? err->text : pn_error_name(r));
}

static void on_news(void *ctx, struct pn_speech *sp, const struct pn_live_news *news)
{
    struct pn_ptt_utterance *u = ctx;
    (void)sp;
    if (news->transcript) {
        pn_transcript_free(u->heard);
        u->heard = news->transcript;
    }
    if (news->ended) {
        u->speech = NULL;
        if (news->code < 0)
            fail_utterance(u, news->code, RETRY_SHED_MS, &news->err);
    }
    pn_ptt_speak(u->client);
}

/* No result of it is wanted any more. */
static void drop_talking(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = c->talking;
    c->talking = NULL;
    if (!u)
        return;
    u->speech = pn_speech_cancel(u->speech);
    u->dropped = true;
}

static void stop_talking(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = c->talking;
    c->talking = NULL;
    u->stopped = true;
    u->stopped_us = pn_now_us();
    if (u->speech && u->audio_us == 0)
        u->speech = pn_speech_cancel(u->speech); /* there is nothing to wait for */
    else if (u->speech)
        pn_speech_finish(u->speech);
}

static void open_speech(struct pn_ptt_utterance *u, const struct pn_ptt_start *start)
{
    struct pn_live_request req = { .model = start->model,
                                   .format = start->format,
                                   .rate = start->rate,
                                   .want = { .language = start->language,
                                             .task = "transcribe",
                                             .live = true,
                                             .temperature = -1,
                                             .hotwords = start->hotwords,
                                             .vad = start->vad,
                                             .punctuation = true,
                                             .itn = true } };
    struct pn_err err = { 0 };
    int retry_ms = RETRY_SHED_MS;
    int r = u->client->draining
                ? -PN_EFULL
                : pn_speech_open(u->client->ws, &req, on_news, u, &u->speech, &retry_ms, &err);
    if (r < 0) {
        fail_utterance(u, r, retry_ms, &err);
        u->dropped = true;
        return;
    }
    u->begun = u->owes_start = true;
    u->client->talking = u;
}

/* ---- commands ---------------------------------------------------------------------------------------- */

static void on_start(struct pn_ptt *c, const struct pn_ptt_start *start)
{
    drop_talking(c);
    struct pn_ptt_utterance *u = add_utterance(c);
    if (!u) {
        pn_ptt_say_error(c, 500, "识别失败: out of memory", 0);
        return;
    }
    u->interim = start->interim;
    u->vad = start->vad;
    u->format = start->format;
    u->rate = start->rate;
    open_speech(u, start);
}

/* A stop without a start is answered like one after silence. */
static void on_stop(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = c->talking;
    if (u) {
        u->owes_stop = true;
        stop_talking(c);
    } else if ((u = add_utterance(c))) {
        u->owes_stop = u->stopped = true;
        u->stopped_us = pn_now_us();
    } else {
        pn_ptt_say_error(c, 500, "识别失败: out of memory", 0);
    }
}

static void on_reset(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = c->talking ? c->talking : add_utterance(c);
    if (!u) {
        pn_ptt_say_error(c, 500, "识别失败: out of memory", 0);
        return;
    }
    drop_talking(c);
    u->dropped = u->owes_reset = true;
}

/* ---- audio ------------------------------------------------------------------------------------------- */

/* RFC 6716, 3.1 and 3.2: how long an Opus packet plays. */
static int64_t opus_packet_us(const unsigned char *data, size_t n)
{
    static const int SILK_US[] = { 10000, 20000, 40000, 60000 }, CELT_US[] = { 2500, 5000, 10000, 20000 };
    if (n == 0)
        return 0;
    unsigned config = data[0] >> 3, code = data[0] & 3;
    int frame_us = config < 12   ? SILK_US[config % 4]
                   : config < 16 ? SILK_US[config % 2]
                                 : CELT_US[config % 4];
    int frames = code == 0 ? 1 : code < 3 ? 2 : n > 1 ? data[1] & 63 : 0;
    return PN_MIN((int64_t)frame_us * frames, (int64_t)120000);
}

static void note_arrival(struct pn_ptt_utterance *u, const void *data, size_t n, int64_t timestamp)
{
    u->bytes += n;
    uint64_t bytes_s = (uint64_t)u->rate * (u->format == PN_INTAKE_F32LE ? 4 : 2);
    if (u->format == PN_INTAKE_OPUS)
        u->audio_us += opus_packet_us(data, n);
    else
        u->audio_us = (int64_t)(u->bytes / bytes_s * 1000000 + u->bytes % bytes_s * 1000000 / bytes_s);
    u->last_us = pn_now_us();
    if (u->first_us == 0)
        u->first_us = u->last_us;
    pn_ptt_marks_add(&u->marks, (struct pn_ptt_mark){ u->audio_us, u->last_us, timestamp });
}

/* Without silence to end sentences, what is held so long ends by itself. */
static void check_length(struct pn_ptt *c)
{
    struct pn_ptt_utterance *u = c->talking;
    int64_t most_s = c->server->config->max_audio_s;
    if (u->vad || u->audio_us <= most_s * 1000000)
        return;
    char why[64];
    snprintf(why, sizeof(why), "%lld秒", (long long)most_s);
    set_error(u, 413, 0, "录音时间过长，最多", why);
    stop_talking(c);
    pn_ptt_speak(c);
}

/* False: it is no part of an utterance. */
static bool is_heard(const struct pn_ptt *c)
{
    return c->talking && c->talking->speech;
}

static void take_audio(struct pn_ptt *c, const void *data, size_t n, int64_t timestamp)
{
    if (n == 0)
        return;
    note_arrival(c->talking, data, n, timestamp);
    if (pn_speech_feed(c->talking->speech, data, n) < 0)
        pn_ptt_say_error(c, 413, "音频数据过大", 0);
    else
        check_length(c);
}

static void count_ignored(struct pn_ptt *c)
{
    pn_metric_add(c->server->m.live_ignored, 1, "ptt");
}

static void on_audio(struct pn_ptt *c, const struct pn_ptt_message *m)
{
    if (!is_heard(c)) {
        count_ignored(c);
        return;
    }
    unsigned char *data = malloc(pn_base64_room(m->audio.len));
    size_t n;
    if (!data)
        pn_ptt_say_error(c, 500, "识别失败: out of memory", 0);
    else if (pn_base64_decode(m->audio, data, &n) < 0)
        pn_ptt_say_error(c, 400, "音频数据格式错误: data is not base64", 0);
    else
        take_audio(c, data, n, m->timestamp);
    free(data);
}

/* ---- the protocol ------------------------------------------------------------------------------------ */

static void on_text(struct pn_ws *ws, const char *data, size_t n)
{
    struct pn_ptt *c = pn_ws_state(ws);
    struct pn_ptt_message m;
    struct pn_err err = { 0 };
    int r = pn_ptt_message_parse((struct pn_str){ data, n }, &m, &err);
    if (r < 0) {
        int code = r == -PN_ELIMIT ? 413 : r == -PN_ENOMEM ? 500 : 400;
        pn_ptt_say_error(c, code, code == 500 ? "识别失败: out of memory" : err.text, 0);
        return;
    }
    switch (m.kind) {
    case PN_PTT_START:
        on_start(c, &m.start);
        break;
    case PN_PTT_STOP:
        on_stop(c);
        break;
    case PN_PTT_RESET:
        on_reset(c);
        break;
    case PN_PTT_AUDIO:
        on_audio(c, &m);
        break;
    }
    if (m.kind != PN_PTT_AUDIO)
        pn_ptt_speak(c);
    pn_ptt_message_done(&m);
}

static void take_packet(struct pn_ptt *c)
{
    if (c->packet.failed)
        pn_ptt_say_error(c, 413, "音频数据过大", 0);
    else if (is_heard(c))
        take_audio(c, c->packet.ptr, c->packet.len, -1);
    pn_buf_clear(&c->packet);
}

static void on_binary(struct pn_ws *ws, const char *data, size_t n, bool end)
{
    struct pn_ptt *c = pn_ws_state(ws);
    if (!is_heard(c)) {
        pn_buf_clear(&c->packet);
        if (end)
            count_ignored(c);
    } else if (c->talking->format != PN_INTAKE_OPUS) {
        take_audio(c, data, n, -1);
    } else {
        pn_buf_append(&c->packet, data, n);
        if (end)
            take_packet(c);
    }
}

static void on_opened(struct pn_ws *ws, struct pn_request *req)
{
    struct pn_ptt *c = calloc(1, sizeof(*c));
    pn_ws_set_state(ws, c);
    if (!c) {
        pn_ws_close(ws, 1011, "no memory");
        return;
    }
    c->ws = ws;
    c->server = pn_ws_server(ws);
    c->tail = &c->first;
    memcpy(c->id, req->id, sizeof(c->id));
    pn_buf_init(&c->packet, MAX_PACKET);
    pn_metric_add(c->server->m.live_connections, 1, "ptt");
    pn_log(PN_DEBUG, "socket opened", F_CSTR("id", c->id), F_CSTR("protocol", "ptt"));
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    pn_ptt_write_status(&b, "连接成功，FunASR已就绪", c->id, pn_wall_ms());
    if (b.failed || pn_ws_send(ws, true, b.ptr, b.len) < 0)
        pn_ws_close(ws, 1011, "no memory");
    pn_buf_done(&b);
}

/* What is being said ends here; its final is still told. */
static void on_drain(struct pn_ws *ws)
{
    struct pn_ptt *c = pn_ws_state(ws);
    c->draining = true;
    if (c->talking) {
        c->talking->owes_stop = true;
        stop_talking(c);
    }
    pn_ptt_speak(c);
}

static void on_closed(struct pn_ws *ws)
{
    struct pn_ptt *c = pn_ws_state(ws);
    if (!c)
        return;
    pn_log(PN_DEBUG, "socket closed", F_CSTR("id", c->id), F_CSTR("protocol", "ptt"));
    for (struct pn_ptt_utterance *u = c->first, *next; u; u = next) {
        next = u->next;
        pn_ptt_log(u, "hung up", 0, 0);
        pn_ptt_utterance_free(u);
    }
    pn_buf_done(&c->packet);
    free(c);
}

const struct pn_ws_protocol pn_ws_ptt = { .max_text = MAX_TEXT,
                                          .opened = on_opened,
                                          .text = on_text,
                                          .binary = on_binary,
                                          .drain = on_drain,
                                          .closed = on_closed };
