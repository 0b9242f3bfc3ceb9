/* funasr_say.c - what a client of FunASR's protocol is told, and how long it had to wait for it. */
#include "server/funasr_impl.h"

#include "base/clock.h"

#define ANSWER_MAX ((size_t)1 << 28)

static int send_json(struct pn_funasr *s, struct pn_buf *json)
{
    int r = json->failed;
    if (r == 0)
        r = pn_ws_send(s->ws, true, json->ptr, json->len);
    if (r == 0)
        s->told_us = pn_now_us();
    pn_buf_done(json);
    return r;
}

int pn_funasr_say(struct pn_funasr *s, const struct pn_funasr_answer *a)
{
    struct pn_buf json;
    struct pn_funasr_answer mine = *a;
    mine.wav_name = pn_funasr_wav_name(&s->settings);
    pn_buf_init(&json, ANSWER_MAX);
    pn_funasr_answer_write(&mine, &json);
    return send_json(s, &json);
}

/* ---- text -------------------------------------------------------------------------------------------- */

static void note_partial(struct pn_funasr *s)
{
    if (!s->partial_told)
        pn_metric_observe(s->server->m.live_first, (double)(pn_now_us() - s->began_us) / 1e6,
                          PN_FUNASR_LABEL);
    s->partial_told = true;
}

/* A pn_funasr_tell. The times of hours of speech may be more than may wait for a slow reader. */
static int tell(void *ctx, const struct pn_funasr_answer *a)
{
    struct pn_funasr *s = ctx;
    int r = pn_funasr_say(s, a);
    if (r < 0 && a->n_segments) {
        struct pn_funasr_answer bare = *a;
        bare.n_segments = 0;
        r = pn_funasr_say(s, &bare);
    }
    if (r == 0 && a->text.len && !a->is_final)
        note_partial(s);
    return r;
}

int pn_funasr_say_news(struct pn_funasr *s)
{
    return pn_funasr_flow_next(&s->flow, s->transcript, s->state == PN_FUNASR_FINISHING, tell, s);
}

static int say_recording(struct pn_funasr *s)
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

int pn_funasr_say_end(struct pn_funasr *s)
{
    int r = s->mode == PN_FUNASR_OFFLINE ? say_recording(s)
                                         : pn_funasr_flow_end(&s->flow, s->transcript, tell, s);
    if (r == 0 && s->rate)
        pn_metric_observe(s->server->m.live_final, (double)(pn_now_us() - s->ended_us) / 1e6,
                          PN_FUNASR_LABEL);
    return r;
}

/* ---- failures and the acknowledgement ---------------------------------------------------------------- */

int pn_funasr_say_error(struct pn_funasr *s, enum pn_funasr_mode mode, const struct pn_err *why)
{
    struct pn_funasr_answer a = {
        .mode = pn_funasr_mode_name(mode), .is_final = true, .slice = PN_FUNASR_NO_SLICE, .error = why->text
    };
    if (why->code == PN_EUNSUPPORTED && s->misunderstood) /* where the reference says it */
        a.text = pn_str(why->text);
    pn_metric_add(s->server->m.live_errors, 1, PN_FUNASR_LABEL, pn_error_name(why->code));
    return pn_funasr_say(s, &a);
}

int pn_funasr_say_acknowledgement(struct pn_funasr *s)
{
    struct pn_buf json;
    if (!s->acknowledge)
        return 0;
    pn_buf_init(&json, ANSWER_MAX);
    pn_funasr_acknowledge(pn_funasr_mode_name(s->mode), pn_funasr_wav_name(&s->settings),
                          s->failure.code ? s->failure.text : NULL, &json);
    return send_json(s, &json);
}
