/* routes_realtime.c - POST /v1/realtime/client_secrets, and its older sister transcription_sessions: a key
 * for a browser, which opens sessions with settings that were chosen for it (spec http-apis 5.4). */
#include "server/route.h"

#include "base/clock.h"
#include "server/realtime_secrets.h"
#include "server/state.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#define BODY_MAX   (128 << 10)
#define ANSWER_MAX (256 << 10) /* keywords may be escaped */

struct wanted {
    struct pn_buf body;
    struct pn_rt_settings *settings; /* merged; NULL: not yet, or the table has them */
};

static void wanted_done(void *arg)
{
    struct wanted *w = arg;
    pn_buf_done(&w->body);
    pn_rt_settings_free(w->settings);
}

static struct pn_reply *no_memory(void)
{
    return pn_reply_error(503, NULL, "overloaded", "no memory for another key");
}

static struct pn_reply *too_long(void)
{
    return pn_reply_error(413, NULL, NULL, "Maximum content size limit (%d) exceeded", BODY_MAX);
}

void pn_realtime_keys_begin(struct pn_request *req)
{
    struct wanted *w = pn_arena_alloc(req->arena, sizeof(*w));
    if (!w || pn_arena_on_reset(req->arena, wanted_done, w) < 0) {
        req->reply = no_memory();
        return;
    }
    pn_buf_init(&w->body, BODY_MAX);
    req->state = w;
    if (req->content_length > BODY_MAX)
        req->reply = too_long();
}

void pn_realtime_keys_body(struct pn_request *req, const char *data, size_t n)
{
    struct wanted *w = req->state;
    pn_buf_append(&w->body, data, n);
    if (w->body.failed < 0)
        req->reply = w->body.failed == -PN_ELIMIT ? too_long() : no_memory();
}

/* An empty body is an empty object. */
static json_t *read_body(struct pn_request *req)
{
    struct wanted *w = req->state;
    struct pn_str text = pn_str_trim((struct pn_str){ w->body.ptr, w->body.len });
    struct pn_err err = { 0 };
    json_t *body = NULL;
    if (pn_json_object(text.len ? text : PN_STR("{}"), PN_JSON_MESSAGE, "body", 0, &body, &err) < 0)
        req->reply = pn_reply_error(400, NULL, NULL, "%s", err.text);
    return body;
}

static bool read_seconds(struct pn_request *req, const json_t *body, int64_t *ret)
{
    struct pn_err err = { 0 };
    json_t *after = NULL;
    *ret = PN_RT_SECRET_S;
    if (pn_json_get_object(body, "expires_after", &after, &err) < 0 ||
        (after && pn_json_get_i64(after, "seconds", PN_RT_SECRET_MIN_S, PN_RT_SECRET_MAX_S, ret, &err) < 0))
        req->reply = pn_reply_error(400, "expires_after", NULL, "%s", err.text);
    return !req->reply;
}

static bool read_settings(struct pn_request *req, json_t *session)
{
    struct wanted *w = req->state;
    struct pn_rt_settings *fresh;
    struct pn_err err = { 0 };
    const char *param = NULL;
    int r = pn_rt_settings_new(&fresh);
    if (r == 0) {
        r = pn_rt_settings_merge(fresh, session, &w->settings, &param, &err);
        pn_rt_settings_free(fresh);
    }
    if (r == -PN_ENOMEM)
        req->reply = no_memory();
    else if (r < 0)
        req->reply = pn_reply_error(400, param, NULL, "%s", err.text);
    return r == 0;
}

/* Puts the settings into the table and writes the key and what it is good for. */
static void give_key(struct pn_request *req, int64_t seconds, bool older)
{
    struct pn_server *s = req->server;
    struct wanted *w = req->state;
    const struct pn_rt_settings *settings = w->settings;
    int64_t expires_at = pn_wall_ms() / 1000 + seconds;
    char key[PN_RT_SECRET_SIZE], id[32];
    uint64_t random;
    if ((!s->realtime_secrets && pn_rt_secrets_new(&s->realtime_secrets) < 0) ||
        getrandom(&random, sizeof(random), 0) != (ssize_t)sizeof(random) ||
        pn_rt_secrets_add(s->realtime_secrets, w->settings, 1000 * expires_at, key) < 0) {
        req->reply = no_memory();
        return;
    }
    w->settings = NULL;
    snprintf(id, sizeof(id), "sess_%016llx", (unsigned long long)random);
    struct pn_rt_about about = { .id = id,
                                 .expires_at = pn_wall_ms() / 1000 + s->config->realtime_session_s,
                                 .live_model = pn_models_live(s->models)->name,
                                 .secret = older ? key : NULL,
                                 .secret_expires_at = expires_at };
    struct pn_buf out;
    struct pn_json j;
    pn_buf_init(&out, ANSWER_MAX);
    pn_json_init(&j, &out);
    pn_json_begin_object(&j);
    if (!older) {
        pn_json_key(&j, "value");
        pn_json_cstr(&j, key);
        pn_json_key(&j, "expires_at");
        pn_json_i64(&j, expires_at);
        pn_json_key(&j, "session");
        pn_json_begin_object(&j);
    }
    pn_rt_settings_write(&j, settings, &about, older);
    if (!older)
        pn_json_end_object(&j);
    pn_json_end_object(&j);
    req->reply = pn_reply_new(200, "application/json", &out);
}

void pn_realtime_client_secrets(struct pn_request *req)
{
    struct pn_err err = { 0 };
    json_t *body = read_body(req), *session = NULL;
    int64_t seconds;
    if (body && pn_json_get_object(body, "session", &session, &err) < 0)
        req->reply = pn_reply_error(400, "session", NULL, "%s", err.text);
    if (!req->reply && read_seconds(req, body, &seconds) && read_settings(req, session))
        give_key(req, seconds, false);
    json_decref(body);
}

void pn_realtime_transcription_sessions(struct pn_request *req)
{
    json_t *body = read_body(req);
    if (!req->reply && read_settings(req, body))
        give_key(req, PN_RT_SECRET_S, true);
    json_decref(body);
}
