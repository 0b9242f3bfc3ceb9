/* queue.c - see queue.h.
 *
 * A ring of pointers behind one mutex. Waiters sleep on a condition variable of the monotonic clock, so
 * that a step of the wall clock neither shortens nor stretches a deadline. */
#include "base/queue.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

struct pn_queue {
    pthread_mutex_t mu;
    pthread_cond_t filled; /* an item came or the queue was closed */
    size_t capacity;
    size_t head, len; /* guarded by mu */
    bool closed;      /* guarded by mu */
    void *items[];    /* guarded by mu */
};

int pn_queue_new(size_t capacity, struct pn_queue **ret)
{
    size_t bytes;
    struct pn_queue *q = NULL;
    if (!__builtin_mul_overflow(capacity, sizeof(void *), &bytes) &&
        !__builtin_add_overflow(bytes, sizeof(*q), &bytes))
        q = calloc(1, bytes);
    if (!q)
        return -PN_ENOMEM;
    q->capacity = capacity;
    pthread_mutex_init(&q->mu, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&q->filled, &attr);
    pthread_condattr_destroy(&attr);
    *ret = q;
    return 0;
}

struct pn_queue *pn_queue_free(struct pn_queue *q)
{
    if (!q)
        return NULL;
    assert(q->len == 0);
    pthread_cond_destroy(&q->filled);
    pthread_mutex_destroy(&q->mu);
    free(q);
    return NULL;
}

int pn_queue_push(struct pn_queue *q, void *item)
{
    int r = 0;
    pthread_mutex_lock(&q->mu);
    if (q->closed)
        r = -PN_ECANCELLED;
    else if (q->len == q->capacity)
        r = -PN_EFULL;
    else
        q->items[(q->head + q->len++) % q->capacity] = item;
    pthread_mutex_unlock(&q->mu);
    if (r == 0)
        pthread_cond_signal(&q->filled);
    return r;
}

/* With mu held: until there is something to say, or the deadline. */
static void wait_filled(struct pn_queue *q, int64_t deadline_us)
{
    struct timespec until = { .tv_sec = deadline_us / 1000000, .tv_nsec = deadline_us % 1000000 * 1000 };
    int r = 0;
    while (q->len == 0 && !q->closed && r != ETIMEDOUT) {
        if (deadline_us == INT64_MAX)
            pthread_cond_wait(&q->filled, &q->mu);
        else
            r = pthread_cond_timedwait(&q->filled, &q->mu, &until);
    }
}

int pn_queue_pop(struct pn_queue *q, int64_t deadline_us, void **ret)
{
    int r = 0;
    pthread_mutex_lock(&q->mu);
    wait_filled(q, PN_MAX(deadline_us, 0));
    if (q->len > 0) {
        *ret = q->items[q->head];
        q->head = (q->head + 1) % q->capacity;
        q->len--;
    } else {
        r = q->closed ? -PN_ECANCELLED : -PN_ETIMEOUT;
    }
    pthread_mutex_unlock(&q->mu);
    return r;
}

void pn_queue_close(struct pn_queue *q)
{
    pthread_mutex_lock(&q->mu);
    q->closed = true;
    pthread_mutex_unlock(&q->mu);
    pthread_cond_broadcast(&q->filled);
}

size_t pn_queue_len(struct pn_queue *q)
{
    pthread_mutex_lock(&q->mu);
    size_t n = q->len;
    pthread_mutex_unlock(&q->mu);
    return n;
}
