/* funasr.c - FunASR's WebSocket protocol (spec http-apis 10): settings, audio, the end of the audio; any
 * number of such inputs on one connection, one after the other. docs/funasr.md says what is answered when.
 *
 * An input begins with its first audio. Samples go to the live engine (speech.h), a file's bytes to a job
 * (funasr_file.h). Each end message is answered by one final message: what comes before that answer is there
 * waits, and an input that cannot go on is heard to its end and then answered with the error. Only an error
 * in a message is told at once, and so is a machine that has no room, which also closes. */
#include "server/funasr_impl.h"
#include "server/route.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TRY_AGAIN_LATER = 1013,
    INTERNAL_ERROR = 1011,
    GOING_AWAY = 1001,
    HOLD_MAX = 1 << 16 /* bytes that are held before the socket is paused */
};
#define SIGN_OF_LIFE_US 4000000LL /* one reader gives up after 5 s */

/* ---- inputs ------------------------------------------------------------------------------------------ */

/* Files are counted as jobs are. */
static void count_input(const struct pn_funasr *s)
{
    if (s->rate == 0)
        return;
    pn_metric_add(s->server->m.live_utterances, 1, PN_FUNASR_LABEL);
    pn_metric_add(s->server->m.live_audio, (double)s->bytes / 2 / s->rate, PN_FUNASR_LABEL);
}

static void drop_input(struct pn_funasr *s)
{
    count_input(s);
    s->speech = pn_speech_cancel(s->speech);
    s->file = pn_funasr_file_cancel(s->file);
    s->transcript = pn_transcript_free(s->transcript);
    s->flow = (struct pn_funasr_flow){ 0 };
    s->bytes = 0;
    s->rate = 0;
    s->misunderstood = false;
    s->failure = (struct pn_err){ 0 };
    s->state = PN_FUNASR_READY;
}

static void give_up(struct pn_funasr *s, unsigned code, const char *why)
{
    drop_input(s);
    s->state = PN_FUNASR_LEAVING;
    pn_ws_close(s->ws, code, why);
}

/* The final message is out, or not (`r`). */
static void input_answered(struct pn_funasr *s, int r)
{
    if (r == 0)
        r = pn_funasr_say_acknowledgement(s);
    if (r < 0)
        give_up(s, TRY_AGAIN_LATER, "read faster");
    else
        drop_input(s);
}

static void fail_input(struct pn_funasr *s, const struct pn_err *why)
{
    drop_input(s);
    s->state = PN_FUNASR_BROKEN;
    s->failure = *why;
}

static void no_room(struct pn_funasr *s, const struct pn_err *why)
{
    (void)!pn_funasr_say_error(s, s->mode, why);
    give_up(s, TRY_AGAIN_LATER, "the server is busy");
}

/* ---- results ----------------------------------------------------------------------------------------- */

static void replay(struct pn_funasr *s);

/* The recogniser, or the job, has ended. */
static void recognised(struct pn_funasr *s, int code, const struct pn_err *err, double audio_s)
{
    pn_log(code == 0 ? PN_INFO : PN_WARN, "funasr", F_CSTR("mode", pn_funasr_mode_name(s->mode)),
           F_CSTR("result", pn_error_name(code)), F_CSTR("error", err->text), F_F64("audio_s", audio_s));
    bool heard_all = s->state == PN_FUNASR_FINISHING;
    if (code == -PN_EFULL) {
        no_room(s, err);
    } else if (code < 0) {
        fail_input(s, err);
        if (heard_all)
            input_answered(s, pn_funasr_say_error(s, s->mode, err));
    } else {
        input_answered(s, pn_funasr_say_end(s));
    }
    replay(s);
}

static void on_speech(void *ctx, struct pn_speech *sp, const struct pn_live_news *news)
{
    struct pn_funasr *s = ctx;
    (void)sp;
    if (news->transcript) {
        pn_transcript_free(s->transcript);
        s->transcript = news->transcript;
    }
    if (news->ended) {
        s->speech = NULL;
        recognised(s, news->code, &news->err, news->audio_s);
    } else if (news->transcript && s->mode != PN_FUNASR_OFFLINE) {
        /* What a slow reader cannot take is told with the next snapshot. */
        (void)!pn_funasr_say_news(s);
    }
}

static void on_file(void *ctx, struct pn_job_result *result)
{
    struct pn_funasr *s = ctx;
    s->file = NULL;
    s->transcript = result->transcript;
    recognised(s, result->code, &result->err, result->audio_s);
}

/* ---- audio ------------------------------------------------------------------------------------------- */

static struct pn_recognition wants(const struct pn_funasr *s)
{
    bool live = s->mode != PN_FUNASR_OFFLINE, bare = s->mode == PN_FUNASR_ONLINE;
    return (struct pn_recognition){ .language = "",
                                    .task = "transcribe",
                                    .live = live,
                                    .temperature = -1,
                                    .word_timestamps = !bare,
                                    .hotwords = s->settings.hotwords,
                                    .chunking = live ? &s->settings.chunking : NULL,
                                    .vad = true,
                                    .first_pass = bare,
                                    .punctuation = !bare,
                                    .itn = !bare && s->settings.itn };
}

static struct pn_str model(const struct pn_funasr *s)
{
    return pn_str(s->mode == PN_FUNASR_OFFLINE ? pn_models_recording(s->server->models) : "");
}

static int open_speech(struct pn_funasr *s, struct pn_err *err)
{
    struct pn_live_request req = {
        .model = model(s), .want = wants(s), .format = PN_INTAKE_S16LE, .rate = s->settings.rate
    };
    struct pn_err why = { 0 };
    int retry_ms = 0, r = pn_speech_open(s->ws, &req, on_speech, s, &s->speech, &retry_ms, &why);
    if (r == -PN_EFULL)
        return pn_fail(err, PN_EFULL, "no room for another speaker now; try again in %d ms", retry_ms);
    if (r < 0)
        return pn_fail(err, (enum pn_error) - r, "%s", why.text);
    s->rate = req.rate;
    return 0;
}

static void begin_input(struct pn_funasr *s)
{
    struct pn_err err = { 0 };
    s->greeted = true;
    s->mode = s->settings.mode;
    s->flow = (struct pn_funasr_flow){ .two_pass = s->mode == PN_FUNASR_TWO_PASS };
    s->told_us = s->began_us = pn_now_us();
    s->partial_told = false;
    s->acknowledge = false;
    int r = s->settings.file ? pn_funasr_file_new(s->server, &s->file, &err) : open_speech(s, &err);
    if (r == 0)
        s->state = PN_FUNASR_TAKING;
    else if (r == -PN_EFULL)
        no_room(s, &err);
    else
        fail_input(s, &err);
}

static int feed_speech(struct pn_funasr *s, const char *data, size_t n, struct pn_err *err)
{
    int64_t most_s = s->server->config->max_audio_s;
    s->bytes += (int64_t)n;
    if (s->mode == PN_FUNASR_OFFLINE && s->bytes > most_s * 2 * s->rate)
        return pn_fail(err, PN_ELIMIT, "the recording is longer than %lld seconds", (long long)most_s);
    int r = pn_speech_feed(s->speech, data, n);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "the audio came faster than it could be taken") : 0;
}

static void take_audio(struct pn_funasr *s, const char *data, size_t n)
{
    struct pn_err err = { 0 };
    if (n == 0)
        return;
    if (s->state == PN_FUNASR_READY)
        begin_input(s);
    if (s->state != PN_FUNASR_TAKING)
        return;
    int r = s->file ? pn_funasr_file_feed(s->file, data, n, &err) : feed_speech(s, data, n, &err);
    if (r < 0)
        fail_input(s, &err);
}

/* ---- the end of the audio ---------------------------------------------------------------------------- */

static void finish_file(struct pn_funasr *s)
{
    struct pn_recognition want = wants(s);
    struct pn_err err = { 0 };
    int r = pn_funasr_file_finish(s->file, model(s), &want, on_file, s, &err);
    if (r == -PN_EFULL) {
        no_room(s, &err);
    } else if (r < 0) {
        fail_input(s, &err);
        input_answered(s, pn_funasr_say_error(s, s->mode, &err));
    }
}

static void end_input(struct pn_funasr *s, bool asks)
{
    s->acknowledge = asks;
    s->ended_us = pn_now_us();
    switch (s->state) {
    case PN_FUNASR_READY:
        s->mode = s->settings.mode;
        s->flow = (struct pn_funasr_flow){ .two_pass = s->mode == PN_FUNASR_TWO_PASS };
        input_answered(s, pn_funasr_say_end(s));
        return;
    case PN_FUNASR_BROKEN:
        input_answered(s, pn_funasr_say_error(s, s->mode, &s->failure));
        return;
    case PN_FUNASR_TAKING:
        s->state = PN_FUNASR_FINISHING;
        if (s->file)
            finish_file(s);
        else
            pn_speech_finish(s->speech);
        return;
    case PN_FUNASR_FINISHING: /* held */
    case PN_FUNASR_LEAVING:
        return;
    }
}

/* ---- messages ---------------------------------------------------------------------------------------- */

/* An error in a message is told at once; it ends the input. */
static void misunderstood(struct pn_funasr *s, const struct pn_err *err)
{
    fail_input(s, err);
    s->mode = s->settings.mode;
    s->misunderstood = true;
    if (pn_funasr_say_error(s, s->mode, err) < 0)
        give_up(s, TRY_AGAIN_LATER, "read faster");
}

static int understand(struct pn_funasr *s, struct pn_str text, struct pn_funasr_message *ret,
                      struct pn_err *err)
{
    int r = pn_funasr_message_read(text, &s->settings, ret, err);
    if (r == 0 && !ret->known && !s->greeted)
        return pn_fail(err, PN_EINVAL,
                       "this is no message of FunASR's protocol, which is spoken here; push-to-talk is at "
                       "/ws/asr");
    s->greeted |= r == 0;
    return r;
}

static void take_text(struct pn_funasr *s, struct pn_str text)
{
    struct pn_funasr_message m;
    struct pn_err err = { 0 };
    if (understand(s, text, &m, &err) < 0)
        misunderstood(s, &err);
    else if (m.end)
        end_input(s, m.acknowledge);
    else if (s->state == PN_FUNASR_BROKEN && s->misunderstood)
        drop_input(s);
}

/* Of what had begun when the service was told to stop, live audio ends where it is; a recording may come to
 * its end, as uploads may. Nothing that comes later is begun. */
static void settle_drain(struct pn_funasr *s)
{
    if (!s->draining || s->held.first)
        return;
    bool talks = s->state == PN_FUNASR_TAKING && s->mode != PN_FUNASR_OFFLINE;
    if (talks || (s->state == PN_FUNASR_BROKEN && !s->misunderstood))
        end_input(s, false);
    if (s->state == PN_FUNASR_READY || s->state == PN_FUNASR_BROKEN)
        give_up(s, GOING_AWAY, PN_WS_STOPPING);
}

/* Takes what was held, up to the end of the next input that has to be waited for. */
static void replay(struct pn_funasr *s)
{
    struct pn_held_piece *p;
    while (s->state < PN_FUNASR_FINISHING && (p = pn_held_take(&s->held))) {
        if (p->text)
            take_text(s, (struct pn_str){ p->data, p->n });
        else
            take_audio(s, p->data, p->n);
        free(p);
    }
    if (s->paused && s->held.size < HOLD_MAX) {
        s->paused = false;
        pn_ws_resume(s->ws);
    }
    settle_drain(s);
}

static void hold(struct pn_funasr *s, bool text, const char *data, size_t n)
{
    if (pn_held_add(&s->held, text, data, n) < 0) {
        give_up(s, INTERNAL_ERROR, "no memory");
        return;
    }
    if (!s->paused && s->held.size >= HOLD_MAX) {
        s->paused = true;
        pn_ws_pause(s->ws);
    }
}

/* ---- the socket -------------------------------------------------------------------------------------- */

static void opened(struct pn_ws *ws, struct pn_request *req)
{
    static const char HASTY[] = "Bearer;";
    struct pn_funasr *s = calloc(1, sizeof(*s));
    if (!s) {
        pn_ws_close(ws, INTERNAL_ERROR, "no memory");
        return;
    }
    struct pn_str key = pn_request_header(req, "Authorization");
    key.len = PN_MIN(key.len, sizeof(HASTY) - 1);
    s->ws = ws;
    s->server = pn_ws_server(ws);
    s->hasty = pn_str_ieq(key, pn_str(HASTY));
    pn_funasr_settings_init(&s->settings);
    pn_ws_set_state(ws, s);
    pn_metric_add(s->server->m.live_connections, 1, PN_FUNASR_LABEL);
}

static void on_text(struct pn_ws *ws, const char *data, size_t n)
{
    struct pn_funasr *s = pn_ws_state(ws);
    if (s->state != PN_FUNASR_FINISHING)
        take_text(s, (struct pn_str){ data, n });
    else if (!s->draining)
        hold(s, true, data, n);
    settle_drain(s);
}

static void on_binary(struct pn_ws *ws, const char *data, size_t n, bool end)
{
    struct pn_funasr *s = pn_ws_state(ws);
    bool finishing = s->state == PN_FUNASR_FINISHING;
    if (end && (s->state == PN_FUNASR_BROKEN || (finishing && s->draining)))
        pn_metric_add(s->server->m.live_ignored, 1, PN_FUNASR_LABEL);
    if (!finishing)
        take_audio(s, data, n);
    else if (n && !s->draining)
        hold(s, false, data, n);
    settle_drain(s);
}

static void drain(struct pn_ws *ws)
{
    struct pn_funasr *s = pn_ws_state(ws);
    s->draining = true;
    settle_drain(s);
}

/* Readers of a recording stop at the first message, but one of them, known by its header, cannot wait. */
static void on_tick(struct pn_ws *ws, int64_t now_us)
{
    struct pn_funasr *s = pn_ws_state(ws);
    const struct pn_funasr_answer a = { .mode = "offline", .slice = PN_FUNASR_NO_SLICE };
    bool waits =
        s->mode == PN_FUNASR_OFFLINE && (s->state == PN_FUNASR_TAKING || s->state == PN_FUNASR_FINISHING);
    if (s->hasty && waits && now_us - s->told_us >= SIGN_OF_LIFE_US)
        (void)!pn_funasr_say(s, &a);
}

static void closed(struct pn_ws *ws)
{
    struct pn_funasr *s = pn_ws_state(ws);
    if (!s)
        return;
    drop_input(s);
    pn_held_done(&s->held);
    pn_funasr_settings_done(&s->settings);
    free(s);
}

static const char *const SUBPROTOCOLS[] = { "binary", NULL };

const struct pn_ws_protocol pn_ws_funasr = { .subprotocols = SUBPROTOCOLS,
                                             .max_text = PN_FUNASR_MESSAGE_MAX,
                                             .opened = opened,
                                             .text = on_text,
                                             .binary = on_binary,
                                             .tick = on_tick,
                                             .drain = drain,
                                             .closed = closed };
