/* pool.c - threads that share the indices of one loop.
 *
 * The loop in progress is a ticket: its number in the upper half, the next free index in the lower. Threads
 * take an index with a compare-and-swap, so a worker that comes late (or sleeps through the loop) takes
 * nothing and nobody waits for it: the caller returns when all indices are done, not when all workers have
 * been heard. Invariant: fn, ctx and n are written only while no index is free; a worker that has read them
 * and then wins an index of the same ticket has read the right ones. For that the ticket is closed before
 * they are written: else a worker that still holds the last ticket of a finished loop, whose index is its n,
 * could read a larger n of the next loop and win an index that was never there. */
#include "nn/pool.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum {
    MAX_THREADS = 1024,
    SPIN_NS = 40000,      /* what a worker waits awake: longer than the gap between two loops of a decoder */
    PAUSES_A_LOOK = 32,   /* at the clock */
    PAUSES_A_YIELD = 4096 /* a caller whose workers have lost their core gives up its own for a moment */
};

typedef void (*loop_fn)(void *ctx, int i, int thread);

struct worker {
    struct pn_pool *pool;
    int index; /* 1.. */
    pthread_t thread;
};

struct pn_pool {
    _Alignas(64) _Atomic uint64_t ticket; /* loop << 32 | next index */
    _Atomic(loop_fn) fn;
    _Atomic(void *) ctx;
    _Atomic uint32_t n;
    _Alignas(64) _Atomic uint32_t done;
    _Alignas(64) _Atomic uint32_t loop; /* number of the newest loop; workers sleep on it */
    _Atomic uint32_t sleepers;
    _Atomic int stop;

    int threads; /* with the caller */
    int started;
    struct worker workers[];
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void futex_wait(_Atomic uint32_t *word, uint32_t value)
{
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void futex_wake_all(_Atomic uint32_t *word)
{
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

/* Takes indices of loop number `loop` until none is free. */
static void work(struct pn_pool *p, uint32_t loop, int thread)
{
    uint64_t t = atomic_load_explicit(&p->ticket, memory_order_acquire);
    for (;;) {
        loop_fn fn = atomic_load_explicit(&p->fn, memory_order_relaxed);
        void *ctx = atomic_load_explicit(&p->ctx, memory_order_relaxed);
        uint32_t n =
            atomic_load_explicit(&p->n, memory_order_acquire); /* who sees it new sees the ticket closed */
        uint32_t i = (uint32_t)t;
        if ((uint32_t)(t >> 32) != loop || i >= n)
            return;
        if (!atomic_compare_exchange_weak_explicit(&p->ticket, &t, t + 1, memory_order_acq_rel,
                                                   memory_order_acquire))
            continue;
        fn(ctx, (int)i, thread);
        atomic_fetch_add_explicit(&p->done, 1, memory_order_release);
        t = atomic_load_explicit(&p->ticket, memory_order_acquire);
    }
}

/* Returns the number of a loop other than `seen`: awake for SPIN_NS, then asleep. */
static uint32_t wait_for_loop(struct pn_pool *p, uint32_t seen)
{
    int64_t until = now_ns() + SPIN_NS;
    do {
        for (int i = 0; i < PAUSES_A_LOOK; i++) {
            uint32_t loop = atomic_load_explicit(&p->loop, memory_order_acquire);
            if (loop != seen)
                return loop;
            pause_cpu();
        }
    } while (now_ns() < until);
    atomic_fetch_add(&p->sleepers, 1);
    while (atomic_load(&p->loop) == seen)
        futex_wait(&p->loop, seen);
    atomic_fetch_sub(&p->sleepers, 1);
    return atomic_load(&p->loop);
}

static void *run_worker(void *arg)
{
    struct worker *w = arg;
    uint32_t seen = 0;
    for (;;) {
        seen = wait_for_loop(w->pool, seen);
        if (atomic_load(&w->pool->stop))
            return NULL;
        work(w->pool, seen, w->index);
    }
}

static void announce(struct pn_pool *p, uint32_t loop)
{
    atomic_store(&p->loop, loop);
    if (atomic_load(&p->sleepers) > 0)
        futex_wake_all(&p->loop);
}

int pn_pool_new(int threads, struct pn_pool **ret, struct pn_err *err)
{
    if (threads < 1 || threads > MAX_THREADS)
        return pn_fail(err, PN_EINVAL, "compute threads: %d is not in 1..%d", threads, MAX_THREADS);
    struct pn_pool *p;
    size_t size = sizeof(*p) + (size_t)threads * sizeof(p->workers[0]);
    p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p)
        return pn_fail(err, PN_ENOMEM, "out of memory for %d compute threads", threads);
    *p = (struct pn_pool){ .threads = threads };
    for (int i = 1; i < threads; i++) {
        struct worker *w = &p->workers[i - 1];
        *w = (struct worker){ .pool = p, .index = i };
        if (pthread_create(&w->thread, NULL, run_worker, w) != 0) {
            pn_pool_free(p);
            return pn_fail(err, PN_ENOMEM, "cannot start compute thread %d of %d", i + 1, threads);
        }
        p->started++;
    }
    *ret = p;
    return 0;
}

struct pn_pool *pn_pool_free(struct pn_pool *p)
{
    if (!p)
        return NULL;
    atomic_store(&p->stop, 1);
    announce(p, atomic_load(&p->loop) + 1);
    for (int i = 0; i < p->started; i++)
        pthread_join(p->workers[i].thread, NULL);
    free(p);
    return NULL;
}

int pn_pool_threads(const struct pn_pool *p)
{
    return p ? p->threads : 1;
}

void pn_pool_run(struct pn_pool *p, int n, void (*fn)(void *ctx, int i, int thread), void *ctx)
{
    if (!p || p->threads == 1 || n < 2) {
        for (int i = 0; i < n; i++)
            fn(ctx, i, 0);
        return;
    }
    uint32_t loop = atomic_load_explicit(&p->loop, memory_order_relaxed) + 1;
    atomic_store_explicit(&p->ticket, (uint64_t)loop << 32 | UINT32_MAX, memory_order_relaxed); /* closed */
    atomic_store_explicit(&p->fn, fn, memory_order_relaxed);
    atomic_store_explicit(&p->ctx, ctx, memory_order_relaxed);
    atomic_store_explicit(&p->done, 0, memory_order_relaxed);
    atomic_store_explicit(&p->n, (uint32_t)n, memory_order_release);
    atomic_store_explicit(&p->ticket, (uint64_t)loop << 32, memory_order_release);
    announce(p, loop);
    work(p, loop, 0);
    for (int spins = 1; atomic_load_explicit(&p->done, memory_order_acquire) < (uint32_t)n; spins++) {
        pause_cpu();
        if (spins % PAUSES_A_YIELD == 0)
            sched_yield();
    }
}
