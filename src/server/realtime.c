/* realtime.c - OpenAI's Realtime transcription over WebSocket (spec http-apis 5): what each message of the
 * client does. A message that is not right is answered with an error, and the session goes on. */
#include "server/route.h"

#include "base/base64.h"
#include "base/clock.h"
#include "server/realtime_door.h"
#include "server/realtime_message.h"
#include "server/realtime_take.h"
#include "server/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define AUDIO_MAX     ((size_t)15 << 20)               /* bytes of audio in one message */
#define MESSAGE_MAX   (AUDIO_MAX / 3 * 4 + (64 << 10)) /* as base64, and what is around it */
#define COMMIT_MIN_MS 100

void pn_rt_new_item(struct pn_rt *rt, char out[PN_RT_ITEM_ID])
{
    snprintf(out, PN_RT_ITEM_ID, "item_%012llx%06llx", (unsigned long long)rt->voice.seed,
             (unsigned long long)++rt->n_items);
}

void pn_rt_commit_item(struct pn_rt *rt, const char *item_id)
{
    pn_rt_say_committed(&rt->voice, pn_rt_items_add(&rt->items, item_id), rt->last_item);
    snprintf(rt->last_item, sizeof(rt->last_item), "%s", item_id);
}

/* ---- failures ---------------------------------------------------------------------------------------- */

struct pn_rt_failure pn_rt_failure_of(int code, const struct pn_err *err)
{
    struct pn_rt_failure f = { .message = err->text[0] ? err->text : pn_error_name(code) };
    switch ((enum pn_error)abs(code)) {
    case PN_ENOTFOUND:
        f.code = "model_not_found";
        f.param = "session.audio.input.transcription.model";
        break;
    case PN_EUNSUPPORTED:
        f.code = "unsupported";
        f.param = "session.audio.input.transcription.language";
        break;
    case PN_EINVAL:
        f.code = "invalid_value";
        break;
    case PN_EFULL:
    case PN_EAGAIN:
        f.code = "overloaded";
        f.ours = true;
        break;
    case PN_ENOMEM:
    case PN_EIO:
    case PN_EFORMAT:
    case PN_ELIMIT:
    case PN_ETIMEOUT:
    case PN_ECANCELLED:
    case PN_ECRASH:
        f.code = "transcription_failed";
        f.ours = true;
        break;
    }
    return f;
}

void pn_rt_overloaded(struct pn_rt *rt, int retry_ms)
{
    char message[128];
    snprintf(message, sizeof(message), "the machine has too much to do; try again in %d ms",
             retry_ms > 0 ? retry_ms : 1000);
    pn_rt_say_error(&rt->voice,
                    &(struct pn_rt_failure){ .code = "overloaded", .message = message, .ours = true });
    pn_rt_say_close(&rt->voice, 1013, message);
}

static void complain(struct pn_rt *rt, const struct pn_rt_message *m, const char *code, const char *param,
                     const char *message)
{
    pn_rt_say_error(
        &rt->voice,
        &(struct pn_rt_failure){ .code = code, .param = param, .message = message, .event_id = m->event_id });
}

/* ---- settings ---------------------------------------------------------------------------------------- */

static void tell_session(struct pn_rt *rt, bool created)
{
    struct pn_server *s = pn_ws_server(rt->voice.ws);
    struct pn_rt_about about = { .id = rt->id,
                                 .expires_at = rt->expires_at,
                                 .live_model = pn_models_live(s->models)->name };
    pn_rt_say_session(&rt->voice, created, rt->settings, &about);
}

/* The bytes that come, or who ends turns, are other ones: the running take can hear no more. */
static bool ends_take(const struct pn_rt_settings *old, const struct pn_rt_settings *new)
{
    return old->format != new->format || old->rate != new->rate ||
           (old->turns.how == PN_RT_TURNS_CLIENT) != (new->turns.how == PN_RT_TURNS_CLIENT);
}

static void apply(struct pn_rt *rt, struct pn_rt_settings *new)
{
    bool ends = ends_take(rt->settings, new);
    pn_rt_settings_free(rt->settings);
    rt->settings = new;
    rt->blocked = false;
    if (rt->take && ends) {
        pn_rt_take_end(rt->take);
        rt->buffer_ms = rt->heard_ms;
    }
    rt->renew = rt->take != NULL;
}

static void on_update(struct pn_rt *rt, const struct pn_rt_message *m)
{
    struct pn_rt_settings *new;
    struct pn_err err = { 0 };
    const char *param = NULL;
    rt->voice.older |= m->older;
    int r = pn_rt_settings_merge(rt->settings, m->session, &new, &param, &err);
    if (r < 0) {
        complain(rt, m, "invalid_value", param, err.text);
        return;
    }
    if (rt->take && !pn_rt_take_hears_turns(rt->take) && ends_take(rt->settings, new)) {
        pn_rt_settings_free(new);
        complain(rt, m, "input_audio_buffer_not_empty", NULL,
                 "Commit or clear the buffer before the format or turn_detection changes.");
        return;
    }
    apply(rt, new);
    tell_session(rt, false);
}

/* ---- audio ------------------------------------------------------------------------------------------- */

/* False: there is none, and the client was told why. */
static bool have_take(struct pn_rt *rt, const struct pn_rt_message *m)
{
    struct pn_err err = { 0 };
    int retry_ms = 0;
    if (rt->take && rt->renew && pn_rt_take_hears_turns(rt->take) && !pn_rt_take_open_turn(rt->take))
        pn_rt_take_end(rt->take);
    if (rt->take)
        return true;
    rt->renew = false;
    int r = pn_rt_take_open(rt, &retry_ms, &err);
    if (r == -PN_EFULL) {
        pn_rt_overloaded(rt, retry_ms);
    } else if (r < 0) {
        struct pn_rt_failure f = pn_rt_failure_of(r, &err);
        f.event_id = m->event_id;
        pn_rt_say_error(&rt->voice, &f);
        rt->blocked = true;
    }
    return r == 0;
}

static void take_audio(struct pn_rt *rt, const struct pn_rt_message *m, const unsigned char *audio, size_t n)
{
    if (n == 0 || rt->blocked || rt->draining || !have_take(rt, m))
        return;
    if (rt->quiet_us == 0)
        rt->quiet_us = pn_now_us();
    rt->heard_ms += 1000.0 * (double)n / pn_rt_byte_rate(rt->settings);
    if (pn_rt_take_feed(rt->take, audio, n) < 0)
        pn_rt_overloaded(rt, 0);
}

static void on_append(struct pn_rt *rt, const struct pn_rt_message *m)
{
    size_t n;
    unsigned char *audio = malloc(pn_base64_room(m->audio.len));
    if (!audio)
        complain(rt, m, NULL, NULL, "no memory for so much audio");
    else if (pn_base64_decode(m->audio, audio, &n) < 0)
        complain(rt, m, "invalid_value", "audio", "audio is not base64");
    else if (n > AUDIO_MAX)
        complain(rt, m, "invalid_value", "audio", "audio must not be longer than 15 MiB in one message");
    else
        take_audio(rt, m, audio, n);
    free(audio);
}

static void on_commit(struct pn_rt *rt, const struct pn_rt_message *m)
{
    double ms = rt->take ? rt->heard_ms - rt->buffer_ms : 0;
    if (ms < COMMIT_MIN_MS) {
        char text[160];
        snprintf(text, sizeof(text),
                 "The buffer is too small: a commit wants at least %dms of audio, it has %.2fms.",
                 COMMIT_MIN_MS, ms);
        complain(rt, m, "input_audio_buffer_commit_empty", NULL, text);
        return;
    }
    pn_rt_take_commit(rt->take);
    rt->buffer_ms = rt->heard_ms;
    rt->quiet_us = pn_now_us();
}

static void on_clear(struct pn_rt *rt)
{
    if (rt->take)
        pn_rt_take_drop(rt->take);
    rt->buffer_ms = rt->heard_ms;
    rt->quiet_us = rt->quiet_us ? pn_now_us() : 0;
    rt->blocked = false;
    pn_rt_say_cleared(&rt->voice);
}

/* ---- items ------------------------------------------------------------------------------------------- */

static void on_item(struct pn_rt *rt, const struct pn_rt_message *m)
{
    struct pn_rt_item *item = pn_rt_items_find(&rt->items, m->item_id);
    if (!item) {
        complain(rt, m, "item_not_found", "item_id", "There is no such item, or it was too long ago.");
    } else if (m->kind == PN_RT_RETRIEVE) {
        pn_rt_say_item(&rt->voice, item);
    } else {
        pn_rt_say_deleted(&rt->voice, item->id);
        pn_rt_take_forget(rt, item->id);
        pn_rt_item_remove(item);
    }
}

/* ---- the socket -------------------------------------------------------------------------------------- */

static void on_text(struct pn_ws *ws, const char *data, size_t n)
{
    struct pn_rt *rt = pn_ws_state(ws);
    struct pn_rt_message m;
    struct pn_rt_refusal why;
    if (!rt || rt->voice.closed)
        return;
    if (pn_rt_message_parse((struct pn_str){ data, n }, &m, &why) < 0) {
        complain(rt, &m, why.code, why.param, why.err.text);
        pn_rt_message_done(&m);
        return;
    }
    switch (m.kind) {
    case PN_RT_UPDATE:
        on_update(rt, &m);
        break;
    case PN_RT_APPEND:
        on_append(rt, &m);
        break;
    case PN_RT_COMMIT:
        on_commit(rt, &m);
        break;
    case PN_RT_CLEAR:
        on_clear(rt);
        break;
    case PN_RT_RETRIEVE:
    case PN_RT_DELETE:
        on_item(rt, &m);
        break;
    }
    pn_rt_message_done(&m);
}

static void on_binary(struct pn_ws *ws, const char *data, size_t n, bool end)
{
    struct pn_rt *rt = pn_ws_state(ws);
    (void)data;
    (void)n;
    if (rt && end)
        complain(rt, &(struct pn_rt_message){ 0 }, "invalid_json", NULL,
                 "Messages are JSON texts; audio goes into input_audio_buffer.append.");
}

static int begin(struct pn_rt *rt, struct pn_request *req, struct pn_err *err)
{
    const char *param;
    if (getrandom(&rt->voice.seed, sizeof(rt->voice.seed), 0) != (ssize_t)sizeof(rt->voice.seed))
        return pn_fail(err, PN_EIO, "no randomness");
    rt->voice.seed &= 0xffffffffffff;
    snprintf(rt->id, sizeof(rt->id), "sess_%012llx", (unsigned long long)rt->voice.seed);
    rt->expires_at = pn_wall_ms() / 1000 + req->server->config->realtime_session_s;
    rt->voice.older = pn_rt_door_older(req);
    return pn_rt_door_settings(req, &rt->settings, &param, err);
}

static void opened(struct pn_ws *ws, struct pn_request *req)
{
    struct pn_rt *rt = calloc(1, sizeof(*rt));
    struct pn_err err = { 0 };
    if (!rt) {
        pn_ws_close(ws, 1011, "no memory");
        return;
    }
    rt->voice.ws = ws;
    pn_metric_add(req->server->m.live_connections, 1, "realtime");
    pn_ws_set_state(ws, rt);
    if (begin(rt, req, &err) == 0) {
        tell_session(rt, true);
    } else {
        complain(rt, &(struct pn_rt_message){ 0 }, "invalid_value", NULL, err.text);
        pn_rt_say_close(&rt->voice, 1008, err.text);
    }
}

/* Nobody has spoken for idle_timeout_ms, although audio comes: that is an item, too, an empty one. */
static void time_out(struct pn_rt *rt)
{
    char id[PN_RT_ITEM_ID];
    pn_rt_new_item(rt, id);
    pn_rt_say_timeout(&rt->voice, id, rt->buffer_ms, rt->heard_ms);
    pn_rt_commit_item(rt, id);
    pn_rt_item_set(pn_rt_items_find(&rt->items, pn_str(id)), PN_STR(""));
    pn_rt_say_completed(&rt->voice, id, PN_STR(""), "", (rt->heard_ms - rt->buffer_ms) / 1000,
                        (struct pn_rt_words){ 0 });
    rt->buffer_ms = rt->heard_ms;
}

static void check_idle(struct pn_rt *rt, int64_t now_us)
{
    const struct pn_rt_turn_detection *t = &rt->settings->turns;
    if (t->how != PN_RT_TURNS_SERVER || !t->idle_timeout_ms || !rt->take ||
        rt->heard_ms - rt->buffer_ms < COMMIT_MIN_MS)
        return;
    if (pn_rt_take_open_turn(rt->take)) {
        rt->quiet_us = now_us;
    } else if (now_us - rt->quiet_us >= 1000LL * t->idle_timeout_ms) {
        time_out(rt);
        rt->quiet_us = now_us;
    }
}

static void tick(struct pn_ws *ws, int64_t now_us)
{
    struct pn_rt *rt = pn_ws_state(ws);
    if (!rt || rt->voice.closed)
        return;
    if (pn_wall_ms() / 1000 < rt->expires_at) {
        check_idle(rt, now_us);
        return;
    }
    complain(rt, &(struct pn_rt_message){ 0 }, "session_expired", NULL,
             "The session has reached its maximum duration.");
    pn_rt_say_close(&rt->voice, 1001, "the session has expired");
}

/* What was said becomes items, and then the session ends. */
static void drain(struct pn_ws *ws)
{
    struct pn_rt *rt = pn_ws_state(ws);
    if (!rt)
        return;
    rt->draining = true;
    if (rt->take && pn_rt_take_hears_turns(rt->take))
        pn_rt_take_end(rt->take);
    else if (rt->take && rt->heard_ms - rt->buffer_ms >= COMMIT_MIN_MS)
        pn_rt_take_commit(rt->take);
    else if (rt->take)
        pn_rt_take_drop(rt->take);
    if (!rt->takes)
        pn_rt_say_close(&rt->voice, 1001, PN_WS_STOPPING);
}

static void closed(struct pn_ws *ws)
{
    struct pn_rt *rt = pn_ws_state(ws);
    if (!rt)
        return;
    rt->voice.closed = true;
    while (rt->takes)
        pn_rt_take_free(rt->takes);
    pn_rt_items_done(&rt->items);
    pn_rt_settings_free(rt->settings);
    free(rt);
}

static const char *const SUBPROTOCOLS[] = { "realtime", NULL };

const struct pn_ws_protocol pn_realtime = { .subprotocols = SUBPROTOCOLS,
                                            .max_text = MESSAGE_MAX,
                                            .max_binary = MESSAGE_MAX,
                                            .check = pn_rt_door_check,
                                            .opened = opened,
                                            .text = on_text,
                                            .binary = on_binary,
                                            .tick = tick,
                                            .drain = drain,
                                            .closed = closed };
