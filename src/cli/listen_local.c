/* listen_local.c - the ear that is this process's own engine: models, scheduler, one live session. See
 * listen_ear.h. */
#include "asr/live/live.h"
#include "cli/auto_pull.h"
#include "cli/listen_ear.h"
#include "cli/model_options.h"
#include "text/utf8.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { ROW_BUDGET = 4096, STREAMS = 2 /* one, and one that is being closed */ };

struct local {
    struct pn_ear ear;
    const struct pn_config *config;
    const struct pn_ear_wish *wish;
    struct pn_models *models;
    struct pn_scheduler *scheduler;
    struct pn_live_engine *engine;
    struct pn_live *session;
    int moved_fd; /* eventfd */
    bool full;
    bool open_told;     /* text that is not final */
    size_t closed_told; /* segments that are final */
};

/* A thread of the engine's. */
static void moved(void *ctx)
{
    const struct local *l = ctx;
    const uint64_t one = 1;
    ssize_t n = write(l->moved_fd, &one, sizeof(one));
    (void)n;
}

static int local_begin(struct pn_ear *e, enum pn_intake_format format, int rate, int stop_fd,
                       struct pn_err *err)
{
    struct local *l = (struct local *)e;
    struct pn_live_request req = {
        .want = l->wish->want, .format = format, .rate = rate, .moved = moved, .ctx = l
    };
    int retry_ms;
    (void)stop_fd;
    req.want.live = true;
    return pn_live_open(l->engine, &req, &l->session, &retry_ms, err);
}

static int local_fd(const struct pn_ear *e, short *ret_events)
{
    *ret_events = POLLIN;
    return ((const struct local *)e)->moved_fd;
}

static int local_feed(struct pn_ear *e, const char *data, size_t n, struct pn_err *err)
{
    struct local *l = (struct local *)e;
    int r = pn_live_feed(l->session, data, n);
    l->full |= r == 1;
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "the engine takes no more audio") : 0;
}

static bool local_full(const struct pn_ear *e)
{
    return ((const struct local *)e)->full;
}

static int local_finish(struct pn_ear *e, struct pn_err *err)
{
    struct local *l = (struct local *)e;
    (void)err;
    pn_live_finish(l->session);
    return 0;
}

static void tell_segment(struct local *l, const struct pn_segment *s)
{
    struct pn_heard_text text = {
        .final = !s->open, .start = s->start, .end = s->end, .text = pn_utf8_strip(pn_str(s->text))
    };
    l->ear.told(l->ear.ctx, &text);
}

static void tell(struct local *l, const struct pn_transcript *t)
{
    size_t n_closed = t->n_segments;
    while (n_closed > 0 && t->segments[n_closed - 1].open)
        n_closed--;
    for (; l->closed_told < n_closed; l->closed_told++)
        tell_segment(l, &t->segments[l->closed_told]);
    bool open = n_closed < t->n_segments;
    if (open)
        tell_segment(l, &t->segments[n_closed]);
    else if (l->open_told)
        l->ear.told(l->ear.ctx, &(struct pn_heard_text){ .text = PN_STR("") });
    l->open_told = open;
}

static int local_run(struct pn_ear *e, struct pn_err *err)
{
    struct local *l = (struct local *)e;
    struct pn_live_news news;
    uint64_t count;
    ssize_t n = read(l->moved_fd, &count, sizeof(count));
    (void)n;
    while (l->session && pn_live_take(l->session, &news)) {
        if (news.transcript)
            tell(l, news.transcript);
        pn_transcript_free(news.transcript);
        l->full &= !news.room;
        if (news.ended)
            return news.code < 0 ? pn_fail(err, (enum pn_error) - news.code, "%s", news.err.text) : 1;
    }
    return 0;
}

static void local_free(struct pn_ear *e)
{
    struct local *l = (struct local *)e;
    if (l->session)
        pn_live_close(l->session);
    pn_live_engine_free(l->engine);
    pn_scheduler_free(l->scheduler);
    pn_models_free(l->models);
    if (l->moved_fd >= 0)
        close(l->moved_fd);
    free(l);
}

static const struct pn_ear_ops LOCAL_OPS = { local_begin,  local_fd,  local_feed, local_full,
                                             local_finish, local_run, local_free };

/* ---- the engine ---- */

static int open_named(struct local *l, const char *model, bool allow_fallback, struct pn_err *err)
{
    struct pn_models_options opt;
    int r = pn_cli_models_options(l->config, &opt);
    opt.model = model;
    opt.allow_fallback = allow_fallback;
    if (!l->wish->want.punctuation)
        opt.punctuation = "off";
    return r < 0 ? r : pn_models_open(&opt, &l->models, err);
}

/* Only a model that was asked for must be the one. */
static int open_models(struct local *l, struct pn_err *err)
{
    const struct pn_config *c = l->config;
    bool named = l->wish->model[0] != '\0';
    const char *model = named ? l->wish->model : c->model_name;
    struct pn_err why = { 0 };
    pn_auto_pull(c, model, NULL);
    int r = open_named(l, model, false, &why);
    if (!named && (r == -PN_ENOTFOUND || r == -PN_EUNSUPPORTED)) {
        fprintf(stderr, "pinna: %s; listening with %.100s instead\n", why.text, c->whisper_model);
        return open_named(l, c->whisper_model, true, err);
    }
    return r < 0 ? pn_fail(err, (enum pn_error) - r, "%s", why.text) : 0;
}

static int open_engine(struct local *l, struct pn_err *err)
{
    const struct pn_config *c = l->config;
    struct pn_scheduler_options sched = { .max_streams = STREAMS,
                                          .batch_size = (int)c->batch_size,
                                          .row_budget = ROW_BUDGET };
    int r = open_models(l, err);
    if (r < 0)
        return r;
    const struct pn_recognizer *rec = pn_models_default(l->models);
    r = rec->ops->check(rec, &l->wish->want, err);
    if (r == 0)
        r = pn_scheduler_new(&sched, &l->scheduler, err);
    if (r < 0)
        return r;
    struct pn_live_options live = { .scheduler = l->scheduler,
                                    .models = l->models,
                                    .worker_threads = 1,
                                    .max_sessions = 1,
                                    .feed_samples = (int)c->chunk_samples };
    return pn_live_engine_new(&live, &l->engine, err);
}

int pn_ear_local(const struct pn_config *config, const struct pn_ear_wish *wish, struct pn_ear **ret,
                 struct pn_err *err)
{
    struct local *l = calloc(1, sizeof(*l));
    if (!l)
        return pn_fail(err, PN_ENOMEM, "no memory for the engine");
    l->ear.ops = &LOCAL_OPS;
    l->config = config;
    l->wish = wish;
    l->moved_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    int r = l->moved_fd < 0 ? pn_fail_errno(err, "eventfd") : open_engine(l, err);
    if (r < 0)
        local_free(&l->ear);
    else
        *ret = &l->ear;
    return r;
}

struct pn_ear *pn_ear_free(struct pn_ear *e)
{
    if (e)
        e->ops->free(e);
    return NULL;
}
