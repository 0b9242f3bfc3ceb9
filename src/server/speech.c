/* speech.c - see speech.h.
 *
 * `moved` posts the speech to the loop, once until it is delivered; there all news is fetched. A speech whose
 * message is still under way when it ends is freed by that message: after pn_live_close() no other one
 * comes. */
#include "server/speech.h"

#include "base/buf.h"
#include "server/loop.h"
#include "server/state.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { RETRY_MEMORY_MS = 1000 };

struct pn_speech {
    struct pn_message message;
    struct pn_loop *loop;
    atomic_bool posted; /* the message is under way */
    struct pn_ws *ws;
    struct pn_live *live; /* NULL: it is over */
    pn_speech_news *news;
    void *ctx;
    struct pn_buf rest; /* raw samples for which the engine had no room, from rest_at on */
    size_t rest_at;
    bool packets;   /* what comes is no raw samples: it cannot be cut */
    bool finishing; /* nothing comes behind the rest */
    bool paused;    /* the socket is, because the engine has enough to do */
    bool telling;   /* in tell_all(), which frees it if it ends */
};

static void set_paused(struct pn_speech *sp, bool paused)
{
    if (paused && !sp->paused)
        pn_ws_pause(sp->ws);
    else if (!paused && sp->paused)
        pn_ws_resume(sp->ws);
    sp->paused = paused;
}

static void forget_rest(struct pn_speech *sp)
{
    pn_buf_done(&sp->rest);
    pn_buf_init(&sp->rest, PN_SPEECH_MAX);
    sp->rest_at = 0;
}

/* The engine gets of the rest what it has room for. */
static void hand_on(struct pn_speech *sp)
{
    int r = 0;
    while (r == 0 && sp->rest_at < sp->rest.len) {
        size_t n = PN_MIN(PN_LIVE_HIGH, sp->rest.len - sp->rest_at);
        r = pn_live_feed(sp->live, sp->rest.ptr + sp->rest_at, n);
        sp->rest_at += r < 0 ? 0 : n;
    }
    if (sp->rest.len > 0 && sp->rest_at == sp->rest.len) {
        forget_rest(sp);
        if (sp->finishing)
            pn_live_finish(sp->live);
    }
    set_paused(sp, r != 0);
}

static void let_go(struct pn_speech *sp)
{
    if (sp->live)
        pn_live_close(sp->live);
    sp->live = NULL;
    forget_rest(sp);
    set_paused(sp, false);
}

static void free_if_over(struct pn_speech *sp)
{
    if (!sp->live && !sp->telling && !atomic_load_explicit(&sp->posted, memory_order_acquire))
        free(sp);
}

/* A thread of the engine's. */
static void moved(void *ctx)
{
    struct pn_speech *sp = ctx;
    if (!atomic_exchange_explicit(&sp->posted, true, memory_order_acq_rel))
        pn_loop_post(sp->loop, &sp->message);
}

static void tell_all(struct pn_message *message)
{
    struct pn_speech *sp = PN_CONTAINER_OF(message, struct pn_speech, message);
    struct pn_live_news news;
    atomic_store_explicit(&sp->posted, false, memory_order_release);
    sp->telling = true;
    while (sp->live && pn_live_take(sp->live, &news)) {
        if (news.room)
            hand_on(sp);
        if (news.ended)
            let_go(sp);
        if (news.transcript || news.ended)
            sp->news(sp->ctx, sp, &news);
    }
    sp->telling = false;
    free_if_over(sp);
}

/* ASR_MAX_MEMORY_MB, as uploads are refused by it. */
static bool memory_is_full(const struct pn_server *s)
{
    int64_t ceiling = s->config->max_memory_mb << 20;
    return ceiling > 0 && s->usage.rss_bytes > ceiling;
}

int pn_speech_open(struct pn_ws *ws, const struct pn_live_request *req, pn_speech_news *news, void *ctx,
                   struct pn_speech **ret, int *ret_retry_ms, struct pn_err *err)
{
    struct pn_server *server = pn_ws_server(ws);
    if (memory_is_full(server)) {
        pn_metric_add(server->m.refused, 1, "memory");
        *ret_retry_ms = RETRY_MEMORY_MS;
        return pn_fail(err, PN_EFULL, "no memory for another speaker now");
    }
    struct pn_speech *sp = calloc(1, sizeof(*sp));
    if (!sp)
        return pn_fail(err, PN_ENOMEM, "no memory for another session");
    sp->message.deliver = tell_all;
    sp->loop = server->loop;
    sp->ws = ws;
    sp->news = news;
    sp->ctx = ctx;
    sp->packets = req->format == PN_INTAKE_OPUS;
    pn_buf_init(&sp->rest, PN_SPEECH_MAX);
    struct pn_live_request mine = *req;
    mine.moved = moved;
    mine.ctx = sp;
    int r = pn_live_open(server->live, &mine, &sp->live, ret_retry_ms, err);
    if (r == -PN_EFULL)
        pn_metric_add(server->m.refused, 1, "speakers");
    if (r < 0)
        free(sp);
    else
        *ret = sp;
    return r;
}

int pn_speech_feed(struct pn_speech *sp, const void *data, size_t n)
{
    int r = -PN_ELIMIT;
    if (!sp->live)
        return 0;
    if (sp->rest.len == 0)
        r = pn_live_feed(sp->live, data, n);
    if (r == -PN_ELIMIT && !sp->packets) {
        pn_buf_append(&sp->rest, data, n);
        r = sp->rest.failed;
        if (r == 0)
            hand_on(sp);
    } else if (r == 1) {
        set_paused(sp, true);
    }
    return PN_MIN(r, 0);
}

void pn_speech_finish(struct pn_speech *sp)
{
    sp->finishing = true;
    if (sp->live && sp->rest.len == 0)
        pn_live_finish(sp->live);
}

struct pn_speech *pn_speech_cancel(struct pn_speech *sp)
{
    if (sp) {
        let_go(sp);
        free_if_over(sp);
    }
    return NULL;
}
