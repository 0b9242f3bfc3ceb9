/* routes_models.c - GET /v1/models and /v1/models/ID (spec http-apis 3): the names that a request's `model`
 * may have.
 *
 * The list is made by a thread, because that reads folders, and is good for a moment. Requests that come
 * while the thread runs are suspended and answered together: at most one thread runs. */
#include "server/routes_models.h"

#include "asr/model_list.h"
#include "base/clock.h"
#include "base/json.h"
#include "server/loop.h"
#include "server/route.h"
#include "server/state.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define FRESH_US 2000000LL /* that old a list is as good as a new one */
#define LIST_MAX ((size_t)1 << 20)

struct pn_model_listing {
    struct pn_message message;
    struct pn_server *server;
    struct pn_model_list *list; /* NULL: none yet */
    int64_t listed_us;
    pthread_t thread;
    bool runs;    /* the thread, or its message is under way */
    bool started; /* it is to be joined */
    /* The thread's while it runs. */
    struct pn_model_list *found;
    struct pn_err err;
};

/* ---- answers ----------------------------------------------------------------------------------------- */

static void put_model(struct pn_json *j, const char *id, const struct pn_listed_model *m)
{
    pn_json_begin_object(j);
    pn_json_put_cstr(j, "id", id);
    pn_json_put_cstr(j, "object", "model");
    pn_json_put_i64(j, "created", m->created);
    pn_json_put_cstr(j, "owned_by", "pinna");
    pn_json_end_object(j);
}

static struct pn_reply *answer_all(const struct pn_model_list *l)
{
    struct pn_buf b;
    struct pn_json j;
    pn_buf_init(&b, LIST_MAX);
    pn_json_init(&j, &b);
    pn_json_begin_object(&j);
    pn_json_put_cstr(&j, "object", "list");
    pn_json_key(&j, "data");
    pn_json_begin_array(&j);
    for (size_t i = 0; i < l->n; i++)
        put_model(&j, l->item[i].name, &l->item[i]);
    pn_json_end_array(&j);
    pn_json_end_object(&j);
    return pn_reply_new(200, "application/json", &b);
}

static struct pn_reply *answer_one(const struct pn_model_list *l, const char *id)
{
    const struct pn_listed_model *m = pn_model_list_find(l, id);
    if (!m)
        return pn_reply_error(404, "model", "model_not_found", "there is no model '%.128s' here", id);
    struct pn_buf b;
    struct pn_json j;
    pn_buf_init(&b, LIST_MAX);
    pn_json_init(&j, &b);
    put_model(&j, id, m);
    return pn_reply_new(200, "application/json", &b);
}

static void answer(struct pn_request *req, const struct pn_model_listing *l)
{
    size_t prefix = strlen(req->route->path);
    bool one = req->route->path[prefix - 1] == '/';
    if (!l->list)
        req->reply = pn_reply_error(500, NULL, NULL, "the models cannot be listed: %s", l->err.text);
    else
        req->reply = one ? answer_one(l->list, req->path + prefix) : answer_all(l->list);
}

/* ---- the list ---------------------------------------------------------------------------------------- */

static void join(struct pn_model_listing *l)
{
    if (l->started)
        pthread_join(l->thread, NULL);
    l->started = false;
}

static void deliver(struct pn_message *message)
{
    struct pn_model_listing *l = PN_CONTAINER_OF(message, struct pn_model_listing, message);
    join(l);
    l->runs = false;
    if (l->found) {
        free(l->list);
        l->list = l->found;
        l->found = NULL;
        l->listed_us = pn_now_us();
    }
    for (struct pn_request *req = l->server->requests; req; req = req->next)
        if (req->suspended && req->route->handle == pn_handle_models) {
            answer(req, l);
            pn_request_resume(req);
        }
}

static void *look(void *arg)
{
    struct pn_model_listing *l = arg;
    (void)!pn_model_list_new(l->server->models, &l->found, &l->err); /* the text says why not */
    pn_loop_post(l->server->loop, &l->message);
    return NULL;
}

static void start(struct pn_model_listing *l)
{
    l->err = (struct pn_err){ 0 };
    errno = pthread_create(&l->thread, NULL, look, l);
    l->runs = l->started = errno == 0;
    if (!l->runs)
        pn_fail_errno(&l->err, "thread");
}

static struct pn_model_listing *listing_of(struct pn_server *s)
{
    if (!s->model_listing && (s->model_listing = calloc(1, sizeof(*s->model_listing)))) {
        s->model_listing->server = s;
        s->model_listing->message.deliver = deliver;
    }
    return s->model_listing;
}

void pn_handle_models(struct pn_request *req)
{
    struct pn_model_listing *l = listing_of(req->server);
    if (!l) {
        req->reply = pn_reply_error(503, NULL, NULL, "no memory to list the models");
        return;
    }
    bool fresh = l->list && pn_now_us() - l->listed_us < FRESH_US;
    if (!fresh && !l->runs)
        start(l);
    if (!fresh && l->runs)
        pn_request_suspend(req);
    else
        answer(req, l);
}

void pn_model_listing_stop(struct pn_model_listing *l)
{
    if (l)
        join(l);
}

struct pn_model_listing *pn_model_listing_free(struct pn_model_listing *l)
{
    if (l) {
        free(l->list);
        free(l->found);
        free(l);
    }
    return NULL;
}
