/* pool.c - a fixed number of threads, each with its decoder, and one place of work in front of each.
 *
 * `idle` counts decoders without work; the queue holds what was submitted and not yet picked up: at most as
 * many as there are decoders, so submitting never waits and the pool never grows. An utterance whose stream
 * has gone is broken off (decode.h) and then dropped by `done`. */
#include "asr/sphinx/pool.h"

#include "asr/sphinx/decode.h"
#include "base/queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct pn_sphinx_pool {
    const char *model_dir; /* during pn_sphinx_pool_new only */
    void (*done)(void *ctx, struct pn_sphinx_utterance *u);
    void *ctx;

    struct pn_queue *work;

    pthread_mutex_t mu;
    pthread_cond_t loaded;
    int n_loading, idle; /* guarded by mu, as the next two */
    int load_error;
    struct pn_err load_err; /* of the first decoder that failed */

    pthread_t *threads;
    int n_threads; /* started */
};

/* ---- a decoder's thread ---- */

static struct pn_sphinx_decoder *load(struct pn_sphinx_pool *p)
{
    struct pn_sphinx_decoder *d = NULL;
    struct pn_err err = { 0 };
    int r = pn_sphinx_decoder_new(p->model_dir, &d, &err);
    pthread_mutex_lock(&p->mu);
    p->n_loading--;
    if (r == 0) {
        p->idle++;
    } else if (p->load_error == 0) {
        p->load_error = r;
        p->load_err = err;
    }
    pthread_cond_broadcast(&p->loaded);
    pthread_mutex_unlock(&p->mu);
    return d;
}

static void *run(void *arg)
{
    struct pn_sphinx_pool *p = arg;
    struct pn_sphinx_decoder *d = load(p);
    void *u;
    while (d && pn_queue_pop(p->work, INT64_MAX, &u) == 0) {
        pn_sphinx_decode(d, u);
        pthread_mutex_lock(&p->mu);
        p->idle++;
        pthread_mutex_unlock(&p->mu);
        p->done(p->ctx, u);
    }
    pn_sphinx_decoder_free(d);
    return NULL;
}

/* ---- everybody else ---- */

struct pn_sphinx_pool *pn_sphinx_pool_free(struct pn_sphinx_pool *p)
{
    if (!p)
        return NULL;
    if (p->work)
        pn_queue_close(p->work);
    for (int i = 0; i < p->n_threads; i++)
        pthread_join(p->threads[i], NULL);
    pthread_cond_destroy(&p->loaded);
    pthread_mutex_destroy(&p->mu);
    free(p->threads);
    pn_queue_free(p->work);
    free(p);
    return NULL;
}

static int start_threads(struct pn_sphinx_pool *p, int n, struct pn_err *err)
{
    p->n_loading = n;
    for (; p->n_threads < n; p->n_threads++) {
        errno = pthread_create(&p->threads[p->n_threads], NULL, run, p);
        if (errno != 0)
            return pn_fail_errno(err, "decoder thread");
    }
    return 0;
}

static int wait_until_loaded(struct pn_sphinx_pool *p, struct pn_err *err)
{
    pthread_mutex_lock(&p->mu);
    while (p->n_loading > 0)
        pthread_cond_wait(&p->loaded, &p->mu);
    int r = p->load_error;
    if (r < 0)
        pn_fail(err, (enum pn_error) - r, "%s", p->load_err.text);
    pthread_mutex_unlock(&p->mu);
    return r;
}

int pn_sphinx_pool_new(const char *model_dir, int n, void (*done)(void *, struct pn_sphinx_utterance *),
                       void *ctx, struct pn_sphinx_pool **ret, struct pn_err *err)
{
    struct pn_sphinx_pool *p = calloc(1, sizeof(*p));
    if (!p)
        return pn_fail(err, PN_ENOMEM, "no memory for the decoders");
    p->model_dir = model_dir;
    p->done = done;
    p->ctx = ctx;
    pthread_mutex_init(&p->mu, NULL);
    pthread_cond_init(&p->loaded, NULL);
    p->threads = calloc((size_t)n, sizeof(*p->threads));
    int r = p->threads && pn_queue_new((size_t)n, &p->work) == 0
                ? start_threads(p, n, err)
                : pn_fail(err, PN_ENOMEM, "no memory for %d decoders", n);
    if (r == 0)
        r = wait_until_loaded(p, err);
    if (r < 0)
        p = pn_sphinx_pool_free(p);
    else
        *ret = p;
    return r;
}

int pn_sphinx_pool_idle(struct pn_sphinx_pool *p)
{
    pthread_mutex_lock(&p->mu);
    int n = p->idle;
    pthread_mutex_unlock(&p->mu);
    return n;
}

int pn_sphinx_pool_submit(struct pn_sphinx_pool *p, struct pn_sphinx_utterance *u)
{
    pthread_mutex_lock(&p->mu);
    int r = p->idle > 0 ? pn_queue_push(p->work, u) : -PN_EFULL;
    p->idle -= r == 0;
    pthread_mutex_unlock(&p->mu);
    return r;
}
