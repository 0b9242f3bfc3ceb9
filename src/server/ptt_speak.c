/* ptt_speak.c - what a push-to-talk client is told, and in which order: see ptt_impl.h. */
#include "base/clock.h"
#include "base/log.h"
#include "server/ptt_impl.h"
#include "server/ptt_result.h"

#include <stdlib.h>
#include <string.h>

/* Of the end of the audio and the end of what was recognised: resampling, and seconds in a double. */
static const double END_S = 0.05;

static int send_frame(struct pn_ptt *c, struct pn_buf *b)
{
    int r = b->failed ? b->failed : pn_ws_send(c->ws, true, b->ptr, b->len);
    pn_buf_done(b);
    return r;
}

/* A frame that must not be left out. */
static void say(struct pn_ptt *c, struct pn_buf *b)
{
    int r = send_frame(c, b);
    if (r == -PN_EFULL)
        pn_ws_close(c->ws, 1013, "客户端读取过慢");
    else if (r == -PN_ENOMEM || r == -PN_ELIMIT)
        pn_ws_close(c->ws, 1011, "no memory");
}

static void say_status(struct pn_ptt *c, const char *message)
{
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    pn_ptt_write_status(&b, message, NULL, pn_wall_ms());
    say(c, &b);
}

void pn_ptt_say_error(struct pn_ptt *c, int code, const char *message, int retry_after_ms)
{
    static const char *const CODES[] = { "400", "413", "500", "503" };
    const char *label = CODES[code == 400 ? 0 : code == 413 ? 1 : code == 500 ? 2 : 3];
    struct pn_buf b;
    pn_metric_add(c->server->m.live_errors, 1, "ptt", label);
    pn_log(PN_INFO, "socket error", F_CSTR("id", c->id), F_CSTR("protocol", "ptt"), F_I64("code", code),
           F_CSTR("message", message));
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    pn_ptt_write_error(&b, code, message, retry_after_ms, pn_wall_ms());
    say(c, &b);
}

/* ---- partial results --------------------------------------------------------------------------------- */

/* What is new of live_text[from..to), which is shown up to u->shown. */
static void say_partial(struct pn_ptt_utterance *u, size_t from, size_t to, size_t sentence)
{
    const struct pn_transcript *t = u->heard;
    size_t begin = PN_MAX(u->shown, from);
    if (!u->interim || u->quiet || to <= begin)
        return;
    int64_t now_us = pn_now_us();
    struct pn_ptt_mark mark = pn_ptt_marks_find(&u->marks, (int64_t)(t->duration * 1e6));
    int64_t since_us = PN_MAX(mark.arrived_us, u->stopped_us); /* the tail comes because of the stop */
    size_t newest = t->n_segments > 0 ? t->n_segments - 1 : 0;
    struct pn_ptt_partial p = { .text = { t->live_text + begin, to - begin },
                                .full_text = { t->live_text + from, to - from },
                                .sentence = sentence,
                                .confidence = t->n_segments > 0 ? t->segments[newest].confidence : 0,
                                .processing_ms = (double)(now_us - since_us) / 1000,
                                .timestamp = mark.timestamp >= 0 ? mark.timestamp : pn_wall_ms() };
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    pn_ptt_write_partial(&b, &p);
    if (send_frame(u->client, &b) < 0)
        return; /* a later one says it */
    u->shown = to;
    if (!u->partial_told)
        pn_metric_observe(u->client->server->m.live_first, (double)(now_us - u->first_us) / 1e6, "ptt");
    u->partial_told = true;
}

/* ---- final results ----------------------------------------------------------------------------------- */

void pn_ptt_log(const struct pn_ptt_utterance *u, const char *end, double latency_s, size_t characters)
{
    if (!u->begun)
        return;
    struct pn_ptt *c = u->client;
    pn_metric_add(c->server->m.live_utterances, 1, "ptt");
    pn_metric_add(c->server->m.live_audio, (double)u->audio_us / 1e6, "ptt");
    pn_log(PN_INFO, "utterance", F_CSTR("id", c->id), F_CSTR("protocol", "ptt"), F_CSTR("end", end),
           F_F64("audio_s", (double)u->audio_us / 1e6), F_F64("latency_s", latency_s),
           F_I64("characters", characters));
}

static void say_final(struct pn_ptt_utterance *u)
{
    struct pn_ptt *c = u->client;
    double latency_s = (double)(pn_now_us() - u->stopped_us) / 1e6;
    struct pn_ptt_final f = { .transcript = u->heard,
                              .audio_ms = u->audio_us / 1000,
                              .processing_ms = latency_s * 1000,
                              .timestamp = pn_wall_ms() };
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    size_t characters = pn_ptt_write_final(&b, &f);
    say(c, &b);
    if (u->begun)
        pn_metric_observe(c->server->m.live_final, latency_s, "ptt");
    pn_ptt_log(u, u->error.code ? "failed" : "final", latency_s, characters);
}

static void say_sentence(struct pn_ptt_utterance *u, const struct pn_sentence *sentence)
{
    struct pn_ptt_mark mark = pn_ptt_marks_find(&u->marks, (int64_t)(sentence->end * 1e6));
    struct pn_ptt_final f = { .transcript = u->heard,
                              .sentence = sentence,
                              .audio_ms = (int64_t)((sentence->end - sentence->start) * 1000),
                              .processing_ms = (double)(pn_now_us() - mark.arrived_us) / 1000,
                              .timestamp = pn_wall_ms() };
    struct pn_buf b;
    pn_buf_init(&b, PN_PTT_FRAME_MAX);
    pn_ptt_write_final(&b, &f);
    say(u->client, &b);
}

/* Text up to a sentence's end comes before its final, what is behind it after. */
static void say_sentences(struct pn_ptt_utterance *u)
{
    const struct pn_transcript *t = u->heard;
    for (size_t i = u->n_finals; i < t->n_sentences; i++) {
        const struct pn_sentence *s = &t->sentences[i];
        say_partial(u, s->live_start, s->live_end, i + 1);
        if (!s->closed || i != u->n_finals)
            continue;
        u->n_finals++;
        if (s->n_segments > 0)
            say_sentence(u, s);
    }
}

static void say_news(struct pn_ptt_utterance *u)
{
    if (!u->heard || u->dropped)
        return;
    if (u->vad)
        say_sentences(u);
    else
        say_partial(u, 0, strlen(u->heard->live_text), 0);
}

/* ---- turns ------------------------------------------------------------------------------------------- */

/* Whether all of the first pass's text is there. */
static bool tail_is_heard(const struct pn_ptt_utterance *u)
{
    const struct pn_transcript *t = u->heard;
    if (!u->speech || !t || u->vad || t->n_sentences == 0)
        return !u->speech || (t && t->final);
    const struct pn_sentence *last = &t->sentences[t->n_sentences - 1];
    return t->final || (last->heard && last->end >= (double)u->audio_us / 1e6 - END_S);
}

/* True when it has said all that it may say for now before the ones behind it; *ret_over: all there ever is.
 */
static bool speak_one(struct pn_ptt_utterance *u, bool *ret_over)
{
    struct pn_ptt *c = u->client;
    if (u->owes_start)
        say_status(c, "开始录音");
    u->owes_start = false;
    say_news(u);
    if (u->owes_error)
        pn_ptt_say_error(c, u->error.code, u->error.text, u->error.retry_after_ms);
    u->owes_error = false;
    if (u->dropped) {
        if (u->owes_reset)
            say_status(c, "重置成功");
        pn_ptt_log(u, "dropped", 0, 0);
        *ret_over = true;
        return true;
    }
    if (!u->stopped)
        return false;
    if (!u->quiet && !tail_is_heard(u))
        return false;
    if (u->owes_stop)
        say_status(c, "停止录音");
    u->owes_stop = false;
    u->quiet = true;
    *ret_over = !u->speech && u == c->first;
    if (*ret_over)
        say_final(u);
    return true;
}

static void settle_pause(struct pn_ptt *c)
{
    int pending = 0;
    for (const struct pn_ptt_utterance *u = c->first; u; u = u->next)
        pending += u != c->talking;
    bool pause = pending >= PN_PTT_PENDING_MAX;
    if (pause == c->paused)
        return;
    c->paused = pause;
    if (pause)
        pn_ws_pause(c->ws);
    else
        pn_ws_resume(c->ws);
}

void pn_ptt_speak(struct pn_ptt *c)
{
    struct pn_ptt_utterance **at = &c->first;
    while (*at) {
        struct pn_ptt_utterance *u = *at;
        bool over = false;
        if (!speak_one(u, &over))
            break;
        if (over) {
            *at = u->next;
            if (c->tail == &u->next)
                c->tail = at;
            pn_ptt_utterance_free(u);
        } else {
            at = &u->next;
        }
    }
    settle_pause(c);
    if (c->draining && !c->first)
        pn_ws_close(c->ws, 1001, PN_WS_STOPPING);
}

struct pn_ptt_utterance *pn_ptt_utterance_free(struct pn_ptt_utterance *u)
{
    if (!u)
        return NULL;
    pn_speech_cancel(u->speech);
    pn_transcript_free(u->heard);
    free(u);
    return NULL;
}
