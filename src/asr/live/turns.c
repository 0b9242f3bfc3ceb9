/* turns.c - see turns.h.
 *
 * Two lists under one lock: `ready` in the order of the wakes, `later` in the order of time. New ones are
 * sorted into `later` from its end, where they mostly belong. The lock is a leaf: it is held for a few
 * pointers only, and nothing is called under it. */
#include "asr/live/turns.h"

#include "base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct turn_list {
    struct pn_turn *first, *last;
};

struct pn_turns {
    pn_turn_fn *run;
    pthread_mutex_t mu;
    pthread_cond_t changed;
    struct turn_list ready, later; /* guarded by mu, as the next one */
    bool stop;
    int n_threads; /* started */
    pthread_t threads[];
};

static void insert_behind(struct turn_list *list, struct pn_turn *before, struct pn_turn *t)
{
    t->prev = before;
    t->next = before ? before->next : list->first;
    *(t->prev ? &t->prev->next : &list->first) = t;
    *(t->next ? &t->next->prev : &list->last) = t;
}

static void take_out(struct turn_list *list, struct pn_turn *t)
{
    *(t->prev ? &t->prev->next : &list->first) = t->next;
    *(t->next ? &t->next->prev : &list->last) = t->prev;
}

/* ---- under mu ---- */

static void make_ready(struct pn_turns *w, struct pn_turn *t)
{
    t->state = PN_TURN_READY;
    insert_behind(&w->ready, w->ready.last, t);
    pthread_cond_signal(&w->changed);
}

static void make_later(struct pn_turns *w, struct pn_turn *t, int64_t at_us)
{
    struct pn_turn *before = w->later.last;
    while (before && before->at_us > at_us)
        before = before->prev;
    t->state = PN_TURN_LATER;
    t->at_us = at_us;
    insert_behind(&w->later, before, t);
    if (!before)
        pthread_cond_signal(&w->changed); /* who sleeps until the first one sleeps too long now */
}

static void ready_who_are_due(struct pn_turns *w)
{
    struct pn_turn *t;
    while ((t = w->later.first) && t->at_us <= pn_now_us()) {
        take_out(&w->later, t);
        make_ready(w, t);
    }
}

static void wait_for_change(struct pn_turns *w)
{
    if (!w->later.first) {
        pthread_cond_wait(&w->changed, &w->mu);
        return;
    }
    int64_t at_us = w->later.first->at_us;
    struct timespec at = { .tv_sec = at_us / 1000000, .tv_nsec = at_us % 1000000 * 1000 };
    pthread_cond_timedwait(&w->changed, &w->mu, &at);
}

static struct pn_turn *next_turn(struct pn_turns *w)
{
    for (;;) {
        ready_who_are_due(w);
        struct pn_turn *t = w->ready.first;
        if (t) {
            take_out(&w->ready, t);
            t->state = PN_TURN_RUNNING;
            t->again = false;
            return t;
        }
        if (w->stop)
            return NULL;
        wait_for_change(w);
    }
}

static void put_back(struct pn_turns *w, struct pn_turn *t, int64_t at_us)
{
    if (t->again || at_us == 0)
        make_ready(w, t);
    else if (at_us == PN_TURN_SLEEP)
        t->state = PN_TURN_ASLEEP;
    else
        make_later(w, t, at_us);
}

/* ---- threads ---- */

static void *run(void *arg)
{
    struct pn_turns *w = arg;
    pthread_mutex_lock(&w->mu);
    for (struct pn_turn *t; (t = next_turn(w));) {
        pthread_mutex_unlock(&w->mu);
        int64_t at_us = w->run(t);
        pthread_mutex_lock(&w->mu);
        if (at_us != PN_TURN_GONE)
            put_back(w, t, at_us);
    }
    pthread_mutex_unlock(&w->mu);
    return NULL;
}

void pn_turns_wake(struct pn_turns *w, struct pn_turn *t)
{
    pthread_mutex_lock(&w->mu);
    switch (t->state) {
    case PN_TURN_LATER:
        take_out(&w->later, t);
        make_ready(w, t);
        break;
    case PN_TURN_ASLEEP:
        make_ready(w, t);
        break;
    case PN_TURN_RUNNING:
        t->again = true;
        break;
    case PN_TURN_READY:
        break;
    }
    pthread_mutex_unlock(&w->mu);
}

/* ---- life ---- */

struct pn_turns *pn_turns_free(struct pn_turns *w)
{
    if (!w)
        return NULL;
    pthread_mutex_lock(&w->mu);
    w->stop = true;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mu);
    for (int i = 0; i < w->n_threads; i++)
        pthread_join(w->threads[i], NULL);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mu);
    free(w);
    return NULL;
}

int pn_turns_new(int n_threads, pn_turn_fn *fn, struct pn_turns **ret, struct pn_err *err)
{
    struct pn_turns *w = calloc(1, sizeof(*w) + (size_t)n_threads * sizeof(w->threads[0]));
    if (!w)
        return pn_fail(err, PN_ENOMEM, "no memory for the threads of live audio");
    w->run = fn;
    pthread_mutex_init(&w->mu, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &attr);
    pthread_condattr_destroy(&attr);
    while (w->n_threads < n_threads) {
        errno = pthread_create(&w->threads[w->n_threads], NULL, run, w);
        if (errno != 0) {
            int r = pn_fail_errno(err, "thread for live audio");
            pn_turns_free(w);
            return r;
        }
        w->n_threads++;
    }
    *ret = w;
    return 0;
}
