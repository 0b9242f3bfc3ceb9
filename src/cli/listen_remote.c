/* listen_remote.c - the ear that is a server's: push-to-talk over a WebSocket (docs/push-to-talk.md). See
 * listen_ear.h.
 *
 * What is not final yet is kept by sentence, because the next one may begin before the one before is final.
 */
#include "base/json.h"
#include "base/json_parse.h"
#include "base/ws_client.h"
#include "base/ws_handshake.h"
#include "cli/listen_ear.h"
#include "text/spoken.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TIMEOUT_MS = 15000,
    MAX_OPEN = 16,    /* sentences that are not final */
    WAITING = 65536,  /* bytes not yet sent, above which no more is taken */
    TEXT_MAX = 65536, /* of one sentence that is not final */
    URL_MAX = PN_WS_URL_MAX + 16
};
#define MESSAGE_MAX ((size_t)8 << 20)
static const struct pn_json_limits LIMITS = { .depth = 16, .values = 200000 };
static const double END_S = 1e9; /* later than any time */

struct sentence {
    int64_t number; /* from 1; 0: the server does not count them */
    struct pn_buf text;
};

struct remote {
    struct pn_ear ear;
    const struct pn_ear_server *server;
    const struct pn_ear_wish *wish;
    struct pn_ws_client *socket;
    struct sentence open[MAX_OPEN];
    size_t n_open;
    double told_s; /* end of the last final text */
    size_t n_told; /* final segments */
    bool over;     /* the final result is there */
    struct pn_err err;
};

/* ---- what is not final ---- */

static void tell_open(struct remote *r)
{
    struct pn_buf all;
    pn_buf_init(&all, (size_t)MAX_OPEN * (TEXT_MAX + 1));
    for (size_t i = 0; i < r->n_open; i++)
        pn_spoken_join(&all, (struct pn_str){ r->open[i].text.ptr, r->open[i].text.len });
    struct pn_heard_text text = { .start = r->told_s, .end = r->told_s, .text = { all.ptr, all.len } };
    r->ear.told(r->ear.ctx, &text);
    pn_buf_done(&all);
}

static struct sentence *open_sentence(struct remote *r, int64_t number)
{
    for (size_t i = 0; i < r->n_open; i++)
        if (r->open[i].number == number)
            return &r->open[i];
    struct sentence *s = r->n_open < MAX_OPEN ? &r->open[r->n_open++] : &r->open[MAX_OPEN - 1];
    s->number = number;
    pn_buf_clear(&s->text);
    return s;
}

static void drop_open(struct remote *r, int64_t until)
{
    size_t kept = 0;
    for (size_t i = 0; i < r->n_open; i++) {
        struct sentence s = r->open[i];
        if (s.number <= until)
            continue;
        r->open[i] = r->open[kept];
        r->open[kept++] = s;
    }
    r->n_open = kept;
}

/* `full_text` is the sentence so far; a server that sends none sends what is new in `text`. */
static int take_partial(struct remote *r, const json_t *m, struct pn_err *err)
{
    struct pn_str text = { 0 }, piece = { 0 };
    int64_t number = 0;
    int got = pn_json_get_i64(m, "sentence", 0, INT64_MAX, &number, err);
    int whole = got < 0 ? got : pn_json_get_str(m, "full_text", MESSAGE_MAX, &text, err);
    got = whole < 0 ? whole : pn_json_get_str(m, "text", MESSAGE_MAX, &piece, err);
    if (got < 0)
        return got;
    struct sentence *s = open_sentence(r, number);
    if (whole > 0)
        pn_buf_clear(&s->text);
    pn_buf_str(&s->text, whole > 0 ? text : piece);
    tell_open(r);
    return 0;
}

/* ---- what is final ---- */

static int tell_segment(struct remote *r, const json_t *segment, struct pn_err *err)
{
    struct pn_heard_text text = { .final = true };
    int got = json_is_object(segment) ? pn_json_get_f64(segment, "start", 0, END_S, &text.start, err)
                                      : pn_fail(err, PN_EINVAL, "a segment is no object");
    if (got >= 0)
        got = pn_json_get_f64(segment, "end", 0, END_S, &text.end, err);
    if (got >= 0)
        got = pn_json_get_str(segment, "text", MESSAGE_MAX, &text.text, err);
    if (got < 0)
        return got;
    r->told_s = text.end;
    r->n_told++;
    if (text.text.len > 0)
        r->ear.told(r->ear.ctx, &text);
    return 0;
}

/* Of one sentence, or of everything: that begins with what was told by sentences. */
static int take_final(struct remote *r, const json_t *m, struct pn_err *err)
{
    int64_t number = 0;
    json_t *segments = NULL, *segment;
    size_t i, seen = r->n_told;
    int got = pn_json_get_i64(m, "sentence", 0, INT64_MAX, &number, err);
    bool one = got > 0;
    if (got >= 0)
        got = pn_json_get_array(m, "segments", &segments, err);
    drop_open(r, one ? number : INT64_MAX);
    json_array_foreach(segments, i, segment)
    {
        if (got >= 0 && (one || i >= seen))
            got = tell_segment(r, segment, err);
    }
    r->over |= !one;
    tell_open(r);
    return PN_MIN(got, 0);
}

static int take_error(const json_t *m, struct pn_err *err)
{
    struct pn_str text = PN_STR("an error");
    (void)!pn_json_get_str(m, "message", MESSAGE_MAX, &text, NULL);
    return pn_fail(err, PN_EIO, "the server says: %.*s", (int)PN_MIN(text.len, (size_t)180), text.ptr);
}

static int take(struct remote *r, const json_t *m, struct pn_err *err)
{
    struct pn_str type;
    int got = pn_json_get_str(m, "type", 64, &type, err);
    if (got <= 0)
        return got < 0 ? got : pn_fail(err, PN_EFORMAT, "a message without a type");
    if (pn_str_is(type, "result"))
        return take_partial(r, m, err);
    if (pn_str_is(type, "final"))
        return take_final(r, m, err);
    return pn_str_is(type, "error") ? take_error(m, err) : 0;
}

static void on_message(void *ctx, bool text, struct pn_str data)
{
    struct remote *r = ctx;
    struct pn_err why = { 0 };
    json_t *m = NULL;
    if (!text || r->over || r->err.code)
        return;
    int got = pn_json_object(data, LIMITS, "message", 0, &m, &why);
    if (got >= 0)
        got = take(r, m, &why);
    json_decref(m);
    if (got < 0 && got != -PN_EIO)
        pn_fail(&r->err, PN_EFORMAT, "the server does not speak this protocol: %.160s", why.text);
    else if (got < 0)
        r->err = why;
}

/* ---- what is sent ---- */

static const char *format_name(enum pn_intake_format format)
{
    switch (format) {
    case PN_INTAKE_S16LE:
        return "pcm_s16le";
    case PN_INTAKE_F32LE:
        return "pcm_f32le";
    case PN_INTAKE_ULAW:
        return "pcm_ulaw";
    case PN_INTAKE_ALAW:
        return "pcm_alaw";
    case PN_INTAKE_OPUS:
        return "opus";
    }
    PN_UNREACHABLE();
}

static void write_wish(struct pn_json *j, const struct pn_ear_wish *wish, enum pn_intake_format format,
                       int rate)
{
    const struct {
        const char *key, *value;
    } texts[] = { { "format", format_name(format) },
                  { "language", wish->want.language },
                  { "model", wish->model },
                  { "hotwords", wish->want.hotwords } };
    for (size_t i = 0; i < PN_ARRAY_LEN(texts); i++)
        if (texts[i].value && texts[i].value[0]) {
            pn_json_key(j, texts[i].key);
            pn_json_cstr(j, texts[i].value);
        }
    pn_json_key(j, "sample_rate");
    pn_json_i64(j, rate);
    pn_json_key(j, "vad");
    pn_json_bool(j, wish->want.vad);
}

/* `start` with a wish, or `stop`. */
static int send_command(struct remote *r, const char *command, enum pn_intake_format format, int rate,
                        struct pn_err *err)
{
    struct pn_buf b;
    struct pn_json j;
    pn_buf_init(&b, MESSAGE_MAX);
    pn_json_init(&j, &b);
    pn_json_begin_object(&j);
    pn_json_key(&j, "type");
    pn_json_cstr(&j, "control");
    pn_json_key(&j, "command");
    pn_json_cstr(&j, command);
    if (rate)
        write_wish(&j, r->wish, format, rate);
    pn_json_end_object(&j);
    int got = b.failed ? b.failed : pn_ws_client_send(r->socket, true, (struct pn_str){ b.ptr, b.len });
    pn_buf_done(&b);
    return got == 0 || got == -PN_ECANCELLED ? 0 : pn_fail(err, PN_ENOMEM, "no memory for a message");
}

/* A URL without a path means the one where our server listens. */
static int full_url(const char *given, char url[URL_MAX], struct pn_err *err)
{
    struct pn_ws_url u;
    int got = pn_ws_url_parse(pn_str(given), &u, err);
    if (got == 0)
        snprintf(url, URL_MAX, "%s%s", given, u.path.len > 0 ? "" : "/ws/asr");
    return got;
}

static int remote_begin(struct pn_ear *e, enum pn_intake_format format, int rate, int stop_fd,
                        struct pn_err *err)
{
    struct remote *r = (struct remote *)e;
    char url[URL_MAX];
    int got = full_url(r->server->url, url, err);
    if (got < 0)
        return got;
    struct pn_ws_client_options opt = { .url = url,
                                        .ca_file = r->server->ca_file,
                                        .insecure = r->server->insecure,
                                        .timeout_ms = TIMEOUT_MS,
                                        .stop_fd = stop_fd,
                                        .max_message = MESSAGE_MAX,
                                        .message = on_message,
                                        .ctx = r };
    got = pn_ws_client_open(&opt, &r->socket, err);
    return got < 0 ? got : send_command(r, "start", format, rate, err);
}

static int remote_fd(const struct pn_ear *e, short *ret_events)
{
    const struct remote *r = (const struct remote *)e;
    *ret_events = r->socket ? pn_ws_client_events(r->socket) : 0;
    return r->socket ? pn_ws_client_fd(r->socket) : -1;
}

/* That the connection is being closed is found out by run(). */
static int remote_feed(struct pn_ear *e, const char *data, size_t n, struct pn_err *err)
{
    struct remote *r = (struct remote *)e;
    int got = pn_ws_client_send(r->socket, false, (struct pn_str){ data, n });
    return got == -PN_ENOMEM ? pn_fail(err, PN_ENOMEM, "no memory for the audio") : 0;
}

static bool remote_full(const struct pn_ear *e)
{
    const struct remote *r = (const struct remote *)e;
    return r->socket && pn_ws_client_waiting(r->socket) > WAITING;
}

static int remote_finish(struct pn_ear *e, struct pn_err *err)
{
    return send_command((struct remote *)e, "stop", PN_INTAKE_S16LE, 0, err);
}

static int closed_by_server(const struct remote *r, struct pn_err *err)
{
    const char *reason = pn_ws_client_close_reason(r->socket);
    return pn_fail(err, PN_EIO, "the server ended the connection (%u%s%s)",
                   pn_ws_client_close_code(r->socket), reason[0] ? ": " : "", reason);
}

static int remote_run(struct pn_ear *e, struct pn_err *err)
{
    struct remote *r = (struct remote *)e;
    if (!r->socket)
        return 0;
    int got = pn_ws_client_run(r->socket, err);
    if (r->err.code)
        return pn_fail(err, (enum pn_error)r->err.code, "%s", r->err.text);
    if (got == 1 && !r->over)
        return closed_by_server(r, err);
    if (r->over && got == 0) {
        pn_ws_client_close(r->socket, 1000);
        got = pn_ws_client_run(r->socket, err); /* its good-bye is not waited for */
    }
    return r->over ? 1 : got;
}

static void remote_free(struct pn_ear *e)
{
    struct remote *r = (struct remote *)e;
    pn_ws_client_free(r->socket);
    for (size_t i = 0; i < MAX_OPEN; i++)
        pn_buf_done(&r->open[i].text);
    free(r);
}

static const struct pn_ear_ops REMOTE_OPS = { remote_begin,  remote_fd,  remote_feed, remote_full,
                                              remote_finish, remote_run, remote_free };

int pn_ear_remote(const struct pn_ear_server *server, const struct pn_ear_wish *wish, struct pn_ear **ret,
                  struct pn_err *err)
{
    char url[URL_MAX];
    int got = full_url(server->url, url, err);
    if (got < 0)
        return got;
    struct remote *r = calloc(1, sizeof(*r));
    if (!r)
        return pn_fail(err, PN_ENOMEM, "no memory for a connection");
    r->ear.ops = &REMOTE_OPS;
    r->server = server;
    r->wish = wish;
    for (size_t i = 0; i < MAX_OPEN; i++)
        pn_buf_init(&r->open[i].text, TEXT_MAX);
    *ret = &r->ear;
    return 0;
}
