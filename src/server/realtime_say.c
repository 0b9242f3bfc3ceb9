/* realtime_say.c - see realtime_say.h. */
#include "server/realtime_say.h"

#include "server/realtime_items.h"
#include "server/state.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define EVENT_MAX (8 << 20) /* a transcript whose every byte is escaped, and its words */

struct event {
    struct pn_buf buf;
    struct pn_json json;
};

static void put(struct event *e, const char *key, const char *text)
{
    pn_json_key(&e->json, key);
    pn_json_cstr(&e->json, text);
}

static void put_str(struct event *e, const char *key, struct pn_str text)
{
    pn_json_key(&e->json, key);
    pn_json_str(&e->json, text);
}

static void put_ms(struct event *e, const char *key, double ms)
{
    pn_json_key(&e->json, key);
    pn_json_i64(&e->json, llround(fmax(ms, 0)));
}

static void begin(struct event *e, struct pn_rt_voice *v, const char *type)
{
    char id[64];
    snprintf(id, sizeof(id), "event_%012" PRIx64 "%06" PRIx64, v->seed, ++v->n_events);
    pn_buf_init(&e->buf, EVENT_MAX);
    pn_json_init(&e->json, &e->buf);
    pn_json_begin_object(&e->json);
    put(e, "type", type);
    put(e, "event_id", id);
}

static void begin_item(struct event *e, struct pn_rt_voice *v, const char *type, const char *item_id)
{
    begin(e, v, type);
    put(e, "item_id", item_id);
}

static void begin_content(struct event *e, struct pn_rt_voice *v, const char *type, const char *item_id)
{
    begin_item(e, v, type, item_id);
    pn_json_key(&e->json, "content_index");
    pn_json_i64(&e->json, 0);
}

static void end(struct event *e, struct pn_rt_voice *v)
{
    pn_json_end_object(&e->json);
    int r = v->closed ? 0 : e->buf.failed;
    if (!v->closed && r == 0)
        r = pn_ws_send(v->ws, true, e->buf.ptr, e->buf.len);
    pn_buf_done(&e->buf);
    if (r == -PN_EFULL)
        pn_rt_say_close(v, 1008, "read faster");
    else if (r < 0)
        pn_rt_say_close(v, 1011, "no memory");
}

void pn_rt_say_close(struct pn_rt_voice *v, unsigned code, const char *reason)
{
    if (!v->closed)
        pn_ws_close(v->ws, code, reason);
    v->closed = true;
}

/* ---- the session ------------------------------------------------------------------------------------- */

void pn_rt_say_session(struct pn_rt_voice *v, bool created, const struct pn_rt_settings *s,
                       const struct pn_rt_about *about)
{
    static const char *const types[2][2] = { { "session.updated", "session.created" },
                                             { "transcription_session.updated",
                                               "transcription_session.created" } };
    struct event e;
    begin(&e, v, types[v->older][created]);
    pn_json_key(&e.json, "session");
    pn_json_begin_object(&e.json);
    pn_rt_settings_write(&e.json, s, about, v->older);
    pn_json_end_object(&e.json);
    end(&e, v);
}

static void put_failure(struct event *e, struct pn_rt_voice *v, const struct pn_rt_failure *f)
{
    pn_metric_add(pn_ws_server(v->ws)->m.live_errors, 1, "realtime", f->code ? f->code : "none");
    put(e, "type", f->ours ? "server_error" : "invalid_request_error");
    put(e, "code", f->code);
    put(e, "message", f->message);
    put(e, "param", f->param);
}

void pn_rt_say_error(struct pn_rt_voice *v, const struct pn_rt_failure *f)
{
    struct event e;
    begin(&e, v, "error");
    pn_json_key(&e.json, "error");
    pn_json_begin_object(&e.json);
    put_failure(&e, v, f);
    pn_json_key(&e.json, "event_id");
    if (f->event_id.len)
        pn_json_str(&e.json, f->event_id);
    else
        pn_json_null(&e.json);
    pn_json_end_object(&e.json);
    end(&e, v);
}

/* ---- the buffer -------------------------------------------------------------------------------------- */

void pn_rt_say_cleared(struct pn_rt_voice *v)
{
    struct event e;
    begin(&e, v, "input_audio_buffer.cleared");
    end(&e, v);
}

void pn_rt_say_started(struct pn_rt_voice *v, const char *item_id, double ms)
{
    struct event e;
    begin_item(&e, v, "input_audio_buffer.speech_started", item_id);
    put_ms(&e, "audio_start_ms", ms);
    end(&e, v);
}

void pn_rt_say_stopped(struct pn_rt_voice *v, const char *item_id, double ms)
{
    struct event e;
    begin_item(&e, v, "input_audio_buffer.speech_stopped", item_id);
    put_ms(&e, "audio_end_ms", ms);
    end(&e, v);
}

void pn_rt_say_timeout(struct pn_rt_voice *v, const char *item_id, double from_ms, double to_ms)
{
    struct event e;
    begin_item(&e, v, "input_audio_buffer.timeout_triggered", item_id);
    put_ms(&e, "audio_start_ms", from_ms);
    put_ms(&e, "audio_end_ms", to_ms);
    end(&e, v);
}

/* ---- items ------------------------------------------------------------------------------------------- */

static void put_item(struct event *e, const struct pn_rt_item *item)
{
    struct pn_json *j = &e->json;
    pn_json_key(j, "item");
    pn_json_begin_object(j);
    put(e, "id", item->id);
    put(e, "object", "realtime.item");
    put(e, "type", "message");
    put(e, "role", "user");
    put(e, "status", "completed");
    pn_json_key(j, "content");
    pn_json_begin_array(j);
    pn_json_begin_object(j);
    put(e, "type", "input_audio");
    put(e, "transcript", item->transcript);
    pn_json_end_object(j);
    pn_json_end_array(j);
    pn_json_end_object(j);
}

static void say_new_item(struct pn_rt_voice *v, const char *type, const struct pn_rt_item *item,
                         const char *previous)
{
    struct event e;
    begin(&e, v, type);
    put(&e, "previous_item_id", *previous ? previous : NULL);
    put_item(&e, item);
    end(&e, v);
}

void pn_rt_say_committed(struct pn_rt_voice *v, const struct pn_rt_item *item, const char *previous)
{
    struct event e;
    begin_item(&e, v, "input_audio_buffer.committed", item->id);
    put(&e, "previous_item_id", *previous ? previous : NULL);
    end(&e, v);
    if (v->older) {
        say_new_item(v, "conversation.item.created", item, previous);
    } else {
        say_new_item(v, "conversation.item.added", item, previous);
        say_new_item(v, "conversation.item.done", item, previous);
    }
}

void pn_rt_say_item(struct pn_rt_voice *v, const struct pn_rt_item *item)
{
    struct event e;
    begin(&e, v, "conversation.item.retrieved");
    put_item(&e, item);
    end(&e, v);
}

void pn_rt_say_deleted(struct pn_rt_voice *v, const char *item_id)
{
    struct event e;
    begin_item(&e, v, "conversation.item.deleted", item_id);
    end(&e, v);
}

/* ---- text -------------------------------------------------------------------------------------------- */

#define TRANSCRIPTION "conversation.item.input_audio_transcription."

static void put_word(struct pn_json *j, const struct pn_word *w)
{
    pn_json_begin_object(j);
    pn_json_key(j, "token");
    pn_json_cstr(j, w->text);
    pn_json_key(j, "bytes");
    pn_json_begin_array(j);
    for (const char *p = w->text; *p; p++)
        pn_json_i64(j, (unsigned char)*p);
    pn_json_end_array(j);
    pn_json_key(j, "logprob");
    pn_json_f64(j, log(fmin(fmax(w->confidence, 1e-10), 1)));
    pn_json_end_object(j);
}

static void put_words(struct event *e, struct pn_rt_words words)
{
    if (words.n == 0)
        return;
    pn_json_key(&e->json, "logprobs");
    pn_json_begin_array(&e->json);
    for (size_t i = 0; i < words.n; i++)
        for (size_t k = 0; k < words.segments[i].n_words; k++)
            put_word(&e->json, &words.segments[i].words[k]);
    pn_json_end_array(&e->json);
}

void pn_rt_say_delta(struct pn_rt_voice *v, const char *item_id, struct pn_str delta,
                     struct pn_rt_words words)
{
    struct event e;
    begin_content(&e, v, TRANSCRIPTION "delta", item_id);
    put_str(&e, "delta", delta);
    put_words(&e, words);
    end(&e, v);
}

void pn_rt_say_segment(struct pn_rt_voice *v, const char *item_id, const struct pn_segment *segment,
                       double base_s)
{
    struct event e;
    char id[64];
    snprintf(id, sizeof(id), "seg_%012" PRIx64 "%06" PRIx64, v->seed, v->n_events);
    begin_content(&e, v, TRANSCRIPTION "segment", item_id);
    put(&e, "id", id);
    pn_json_key(&e.json, "start");
    pn_json_fixed(&e.json, base_s + segment->start, 3);
    pn_json_key(&e.json, "end");
    pn_json_fixed(&e.json, base_s + segment->end, 3);
    put_str(&e, "text", pn_str_trim(pn_str(segment->text)));
    put(&e, "speaker", "");
    end(&e, v);
}

static void put_languages(struct event *e, const char *language)
{
    pn_json_key(&e->json, "languages");
    pn_json_begin_array(&e->json);
    if (*language) {
        pn_json_begin_object(&e->json);
        put(e, "code", language);
        pn_json_end_object(&e->json);
    }
    pn_json_end_array(&e->json);
}

void pn_rt_say_completed(struct pn_rt_voice *v, const char *item_id, struct pn_str transcript,
                         const char *language, double seconds, struct pn_rt_words words)
{
    struct event e;
    begin_content(&e, v, TRANSCRIPTION "completed", item_id);
    put_str(&e, "transcript", transcript);
    put_words(&e, words);
    pn_json_key(&e.json, "usage");
    pn_json_begin_object(&e.json);
    put(&e, "type", "duration");
    pn_json_key(&e.json, "seconds");
    pn_json_fixed(&e.json, seconds, 3);
    pn_json_end_object(&e.json);
    put_languages(&e, language);
    end(&e, v);
}

void pn_rt_say_failed(struct pn_rt_voice *v, const char *item_id, const struct pn_rt_failure *f)
{
    struct event e;
    begin_content(&e, v, TRANSCRIPTION "failed", item_id);
    pn_json_key(&e.json, "error");
    pn_json_begin_object(&e.json);
    put_failure(&e, v, f);
    pn_json_end_object(&e.json);
    end(&e, v);
}
