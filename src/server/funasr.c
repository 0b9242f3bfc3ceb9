/* funasr.c - FunASR's WebSocket protocol (spec http-apis 10): settings, audio, the end of the audio; any
 * number of such inputs on one connection, one after the other. docs/funasr.md says what is answered when.
 *
 * An input begins with its first audio. Samples go to the live engine (speech.h), a file's bytes to a job
 * (funasr_file.h). Each end message is answered by one final message: what comes before that answer is there
 * waits, and an input that cannot go on is heard to its end and then answered with the error. Only an error
 * in a message is told at once, and so is a machine that has no room, which also closes. */
#include "server/funasr_file.h"
#include "server/funasr_flow.h"
#include "server/funasr_held.h"
#include "server/funasr_message.h"
#include "server/route.h"
#include "server/speech.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    TRY_AGAIN_LATER = 1013,
    INTERNAL_ERROR = 1011,
    HOLD_MAX = 1 << 16 /* bytes that are held before the socket is paused */
};
#define ANSWER_MAX      ((size_t)1 << 28)
#define SIGN_OF_LIFE_US 4000000LL /* one reader gives up after 5 s */

enum state {
    READY,     /* no audio has come since the last end */
    TAKING,    /* audio is coming */
    BROKEN,    /* what comes is dropped; `failure` is the answer to its end */
    FINISHING, /* all audio is there; the result is awaited */
    LEAVING    /* the socket is being closed */
};

struct session {
    struct pn_ws *ws;
    struct pn_server *server;
    struct pn_funasr_settings settings; /* the next input's, and wav_name */
    bool hasty;                         /* sent `Authorization: Bearer; KEY` */
    bool greeted;                       /* a first message has come */

    /* The input's. */
    enum state state;
    enum pn_funasr_mode mode;
    struct pn_speech *speech; /* one of these two, or neither */
    struct pn_funasr_file *file;
    struct pn_transcript *transcript; /* the newest snapshot */
    struct pn_funasr_flow flow;
    int64_t bytes;      /* of audio */
    int64_t told_us;    /* when something was sent, or it began */
    bool acknowledge;   /* the end message asked for it */
    bool misunderstood; /* BROKEN by a message: a good one begins anew */
    struct pn_err failure;

    struct pn_held held; /* what came while FINISHING */
    bool paused;         /* the socket is, because that is much */
};

/* ---- answers ----------------------------------------------------------------------------------------- */

static int send_json(struct session *s, struct pn_buf *json)
{
    int r = json->failed;
    if (r == 0)
        r = pn_ws_send(s->ws, true, json->ptr, json->len);
    if (r == 0)
        s->told_us = pn_now_us();
    pn_buf_done(json);
    return r;
}

static int send_answer(struct session *s, const struct pn_funasr_answer *a)
{
    struct pn_buf json;
    struct pn_funasr_answer mine = *a;
    mine.wav_name = pn_funasr_wav_name(&s->settings);
    pn_buf_init(&json, ANSWER_MAX);
    pn_funasr_answer_write(&mine, &json);
    return send_json(s, &json);
}

/* A pn_funasr_tell. The times of hours of speech may be more than may wait for a slow reader. */
static int tell(void *ctx, const struct pn_funasr_answer *a)
{
    struct session *s = ctx;
    int r = send_answer(s, a);
    if (r < 0 && a->n_segments) {
        struct pn_funasr_answer bare = *a;
        bare.n_segments = 0;
        r = send_answer(s, &bare);
    }
    return r;
}

static void drop_input(struct session *s)
{
    s->speech = pn_speech_cancel(s->speech);
    s->file = pn_funasr_file_cancel(s->file);
    s->transcript = pn_transcript_free(s->transcript);
    s->flow = (struct pn_funasr_flow){ 0 };
    s->bytes = 0;
    s->misunderstood = false;
    s->failure = (struct pn_err){ 0 };
    s->state = READY;
}

static void give_up(struct session *s, unsigned code, const char *why)
{
    drop_input(s);
    s->state = LEAVING;
    pn_ws_close(s->ws, code, why);
}

/* A final message that says why there is no other. */
static int tell_error(struct session *s, enum pn_funasr_mode mode, const struct pn_err *why)
{
    struct pn_funasr_answer a = {
        .mode = pn_funasr_mode_name(mode), .is_final = true, .slice = PN_FUNASR_NO_SLICE, .error = why->text
    };
    if (why->code == PN_EUNSUPPORTED && s->misunderstood) /* where the reference says it */
        a.text = pn_str(why->text);
    return tell(s, &a);
}

static int acknowledge(struct session *s)
{
    struct pn_buf json;
    if (!s->acknowledge)
        return 0;
    pn_buf_init(&json, ANSWER_MAX);
    pn_funasr_acknowledge(pn_funasr_mode_name(s->mode), pn_funasr_wav_name(&s->settings),
                          s->failure.code ? s->failure.text : NULL, &json);
    return send_json(s, &json);
}

/* The final message is out, or not (`r`). */
static void input_answered(struct session *s, int r)
{
    if (r == 0)
        r = acknowledge(s);
    if (r < 0)
        give_up(s, TRY_AGAIN_LATER, "read faster");
    else
        drop_input(s);
}

static void fail_input(struct session *s, const struct pn_err *why)
{
    drop_input(s);
    s->state = BROKEN;
    s->failure = *why;
}

static void no_room(struct session *s, const struct pn_err *why)
{
    (void)!tell_error(s, s->mode, why);
    give_up(s, TRY_AGAIN_LATER, "the server is busy");
}

/* ---- results ----------------------------------------------------------------------------------------- */

static int tell_recording(struct session *s)
{
    const struct pn_transcript *t = s->transcript;
    struct pn_funasr_answer a = { .mode = "offline", .is_final = true, .slice = PN_FUNASR_NO_SLICE };
    if (t) {
        a.text = pn_str(t->text);
        a.segments = t->segments;
        a.n_segments = t->n_segments;
    }
    return tell(s, &a);
}

static int tell_end(struct session *s)
{
    if (s->mode == PN_FUNASR_OFFLINE)
        return tell_recording(s);
    return pn_funasr_flow_end(&s->flow, s->transcript, tell, s);
}

static void replay(struct session *s);

/* The recogniser, or the job, has ended. */
static void recognised(struct session *s, int code, const struct pn_err *err, double audio_s)
{
    pn_log(code == 0 ? PN_INFO : PN_WARN, "funasr", F_CSTR("mode", pn_funasr_mode_name(s->mode)),
           F_CSTR("result", pn_error_name(code)), F_CSTR("error", err->text), F_F64("audio_s", audio_s));
    bool heard_all = s->state == FINISHING;
    if (code == -PN_EFULL) {
        no_room(s, err);
    } else if (code < 0) {
        fail_input(s, err);
        if (heard_all)
            input_answered(s, tell_error(s, s->mode, err));
    } else {
        input_answered(s, tell_end(s));
    }
    replay(s);
}

static void on_speech(void *ctx, struct pn_speech *sp, const struct pn_live_news *news)
{
    struct session *s = ctx;
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
        (void)!pn_funasr_flow_next(&s->flow, s->transcript, s->state == FINISHING, tell, s);
    }
}

static void on_file(void *ctx, struct pn_job_result *result)
{
    struct session *s = ctx;
    s->file = NULL;
    s->transcript = result->transcript;
    recognised(s, result->code, &result->err, result->audio_s);
}

/* ---- audio ------------------------------------------------------------------------------------------- */

static struct pn_recognition wants(const struct session *s)
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

static struct pn_str model(const struct session *s)
{
    return pn_str(s->mode == PN_FUNASR_OFFLINE ? pn_models_recording(s->server->models) : "");
}

static int open_speech(struct session *s, struct pn_err *err)
{
    struct pn_live_request req = {
        .model = model(s), .want = wants(s), .format = PN_INTAKE_S16LE, .rate = s->settings.rate
    };
    struct pn_err why = { 0 };
    int retry_ms = 0, r = pn_speech_open(s->ws, &req, on_speech, s, &s->speech, &retry_ms, &why);
    if (r == -PN_EFULL)
        return pn_fail(err, PN_EFULL, "no room for another speaker now; try again in %d ms", retry_ms);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : 0;
}

static void begin_input(struct session *s)
{
    struct pn_err err = { 0 };
    s->greeted = true;
    s->mode = s->settings.mode;
    s->flow = (struct pn_funasr_flow){ .two_pass = s->mode == PN_FUNASR_TWO_PASS };
    s->told_us = pn_now_us();
    s->acknowledge = false;
    int r = s->settings.file ? pn_funasr_file_new(s->server, &s->file, &err) : open_speech(s, &err);
    if (r == 0)
        s->state = TAKING;
    else if (r == -PN_EFULL)
        no_room(s, &err);
    else
        fail_input(s, &err);
}

static int feed_speech(struct session *s, const char *data, size_t n, struct pn_err *err)
{
    int64_t most_s = s->server->config->max_audio_s;
    s->bytes += (int64_t)n;
    if (s->mode == PN_FUNASR_OFFLINE && s->bytes > most_s * 2 * s->settings.rate)
        return pn_fail(err, PN_ELIMIT, "the recording is longer than %lld seconds", (long long)most_s);
    int r = pn_speech_feed(s->speech, data, n);
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "the audio came faster than it could be taken") : 0;
}

static void take_audio(struct session *s, const char *data, size_t n)
{
    struct pn_err err = { 0 };
    if (n == 0)
        return;
    if (s->state == READY)
        begin_input(s);
    if (s->state != TAKING)
        return;
    int r = s->file ? pn_funasr_file_feed(s->file, data, n, &err) : feed_speech(s, data, n, &err);
    if (r < 0)
        fail_input(s, &err);
}

/* ---- the end of the audio ---------------------------------------------------------------------------- */

static void finish_file(struct session *s)
{
    struct pn_recognition want = wants(s);
    struct pn_err err = { 0 };
    int r = pn_funasr_file_finish(s->file, model(s), &want, on_file, s, &err);
    if (r == -PN_EFULL) {
        no_room(s, &err);
    } else if (r < 0) {
        fail_input(s, &err);
        input_answered(s, tell_error(s, s->mode, &err));
    }
}

static void end_input(struct session *s, bool asks)
{
    s->acknowledge = asks;
    switch (s->state) {
    case READY:
        s->mode = s->settings.mode;
        s->flow = (struct pn_funasr_flow){ .two_pass = s->mode == PN_FUNASR_TWO_PASS };
        input_answered(s, tell_end(s));
        return;
    case BROKEN:
        input_answered(s, tell_error(s, s->mode, &s->failure));
        return;
    case TAKING:
        s->state = FINISHING;
        if (s->file)
            finish_file(s);
        else
            pn_speech_finish(s->speech);
        return;
    case FINISHING: /* held */
    case LEAVING:
        return;
    }
}

/* ---- messages ---------------------------------------------------------------------------------------- */

/* An error in a message is told at once; it ends the input. */
static void misunderstood(struct session *s, const struct pn_err *err)
{
    fail_input(s, err);
    s->mode = s->settings.mode;
    s->misunderstood = true;
    if (tell_error(s, s->mode, err) < 0)
        give_up(s, TRY_AGAIN_LATER, "read faster");
}

static int understand(struct session *s, struct pn_str text, struct pn_funasr_message *ret,
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

static void take_text(struct session *s, struct pn_str text)
{
    struct pn_funasr_message m;
    struct pn_err err = { 0 };
    if (understand(s, text, &m, &err) < 0)
        misunderstood(s, &err);
    else if (m.end)
        end_input(s, m.acknowledge);
    else if (s->state == BROKEN && s->misunderstood)
        drop_input(s);
}

/* Takes what was held, up to the end of the next input that has to be waited for. */
static void replay(struct session *s)
{
    struct pn_held_piece *p;
    while (s->state < FINISHING && (p = pn_held_take(&s->held))) {
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
}

static void hold(struct session *s, bool text, const char *data, size_t n)
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
    struct session *s = calloc(1, sizeof(*s));
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
}

static void on_text(struct pn_ws *ws, const char *data, size_t n)
{
    struct session *s = pn_ws_state(ws);
    if (s->state == FINISHING)
        hold(s, true, data, n);
    else
        take_text(s, (struct pn_str){ data, n });
}

static void on_binary(struct pn_ws *ws, const char *data, size_t n, bool end)
{
    struct session *s = pn_ws_state(ws);
    (void)end;
    if (s->state == FINISHING && n)
        hold(s, false, data, n);
    else
        take_audio(s, data, n);
}

/* Readers of a recording stop at the first message, but one of them, known by its header, cannot wait. */
static void on_tick(struct pn_ws *ws, int64_t now_us)
{
    struct session *s = pn_ws_state(ws);
    const struct pn_funasr_answer a = { .mode = "offline", .slice = PN_FUNASR_NO_SLICE };
    bool waits = s->mode == PN_FUNASR_OFFLINE && (s->state == TAKING || s->state == FINISHING);
    if (s->hasty && waits && now_us - s->told_us >= SIGN_OF_LIFE_US)
        (void)!tell(s, &a);
}

static void closed(struct pn_ws *ws)
{
    struct session *s = pn_ws_state(ws);
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
                                             .closed = closed };
