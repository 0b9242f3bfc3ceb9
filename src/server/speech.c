/* speech.c - see speech.h.
 *
 * `moved` posts the speech to the loop, once until it is delivered; there all news is fetched. A speech whose
 * message is still under way when it ends is freed by that message: after pn_live_close() no other one
 * comes. */
#include "server/speech.h"

#include "server/loop.h"
#include "server/state.h"

#include <stdatomic.h>
#include <stdlib.h>

struct pn_speech {
    struct pn_message message;
    struct pn_loop *loop;
    atomic_bool posted; /* the message is under way */
    struct pn_ws *ws;
    struct pn_live *live; /* NULL: it is over */
    pn_speech_news *news;
    void *ctx;
    bool paused;  /* the socket is, because the engine has enough to do */
    bool telling; /* in tell_all(), which frees it if it ends */
};

static void resume(struct pn_speech *sp)
{
    if (sp->paused)
        pn_ws_resume(sp->ws);
    sp->paused = false;
}

static void let_go(struct pn_speech *sp)
{
    if (sp->live)
        pn_live_close(sp->live);
    sp->live = NULL;
    resume(sp);
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
            resume(sp);
        if (news.ended)
            let_go(sp);
        if (news.transcript || news.ended)
            sp->news(sp->ctx, sp, &news);
    }
    sp->telling = false;
    free_if_over(sp);
}

int pn_speech_open(struct pn_ws *ws, const struct pn_live_request *req, pn_speech_news *news, void *ctx,
                   struct pn_speech **ret, int *ret_retry_ms, struct pn_err *err)
{
    struct pn_server *server = pn_ws_server(ws);
    struct pn_speech *sp = calloc(1, sizeof(*sp));
    if (!sp)
        return pn_fail(err, PN_ENOMEM, "no memory for another session");
    sp->message.deliver = tell_all;
    sp->loop = server->loop;
    sp->ws = ws;
    sp->news = news;
    sp->ctx = ctx;
    struct pn_live_request mine = *req;
    mine.moved = moved;
    mine.ctx = sp;
    int r = pn_live_open(server->live, &mine, &sp->live, ret_retry_ms, err);
    if (r < 0)
        free(sp);
    else
        *ret = sp;
    return r;
}

int pn_speech_feed(struct pn_speech *sp, const void *data, size_t n)
{
    int r = sp->live ? pn_live_feed(sp->live, data, n) : 0;
    if (r == 1 && !sp->paused) {
        sp->paused = true;
        pn_ws_pause(sp->ws);
    }
    return PN_MIN(r, 0);
}

void pn_speech_finish(struct pn_speech *sp)
{
    if (sp->live)
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
