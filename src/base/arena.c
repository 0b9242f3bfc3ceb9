/* arena.c - see arena.h.
 *
 * Blocks form a list, the newest in front; small allocations are cut from the block in `current`, large ones
 * get a block of their own behind it. Invariant: `held` is the sum of all blocks' capacities and never
 * exceeds `limit`; bytes past `used` of every block are zero. */
#include "base/arena.h"

#include "base/error.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALIGN      ((size_t)16)
#define BLOCK_SIZE ((size_t)4096) /* most requests and the whole configuration fit in one or two */

struct block {
    struct block *next;
    size_t cap, used;
    _Alignas(16) unsigned char bytes[];
};

struct cleanup {
    struct cleanup *next;
    void (*fn)(void *arg);
    void *arg;
};

struct pn_arena {
    size_t limit, held;
    struct block *first;   /* kept by reset */
    struct block *current; /* small allocations come from here */
    struct block *others;  /* every block but `first`, newest first */
    struct cleanup *cleanups;
};

int pn_arena_new(size_t limit, struct pn_arena **ret)
{
    struct pn_arena *a = calloc(1, sizeof(*a));
    if (!a)
        return -PN_ENOMEM;
    a->limit = limit;
    *ret = a;
    return 0;
}

static void run_cleanups(struct pn_arena *a)
{
    while (a->cleanups) {
        struct cleanup *c = a->cleanups;
        a->cleanups = c->next; /* before the call: it may register another one */
        c->fn(c->arg);
    }
}

static void free_others(struct pn_arena *a)
{
    while (a->others) {
        struct block *b = a->others;
        a->others = b->next;
        a->held -= b->cap;
        free(b);
    }
}

struct pn_arena *pn_arena_free(struct pn_arena *a)
{
    if (!a)
        return NULL;
    run_cleanups(a);
    free_others(a);
    free(a->first);
    free(a);
    return NULL;
}

void pn_arena_reset(struct pn_arena *a)
{
    run_cleanups(a);
    free_others(a);
    a->current = a->first;
    if (a->first) {
        memset(a->first->bytes, 0, a->first->used);
        a->first->used = 0;
    }
}

/* A zeroed block of at least `size` bytes, already counted and linked. */
static struct block *add_block(struct pn_arena *a, size_t size)
{
    size_t room = a->limit - a->held;
    if (size > room)
        return NULL;
    size_t cap = PN_MAX(size, PN_MIN(BLOCK_SIZE, room));
    struct block *b = calloc(1, sizeof(*b) + cap);
    if (!b)
        return NULL;
    b->cap = cap;
    a->held += cap;
    if (!a->first) {
        a->first = b;
    } else {
        b->next = a->others;
        a->others = b;
    }
    return b;
}

static void *cut(struct block *b, size_t size)
{
    void *p = b->bytes + b->used;
    b->used += size;
    return p;
}

void *pn_arena_alloc(struct pn_arena *a, size_t size)
{
    if (size > (size_t)PTRDIFF_MAX / 2)
        return NULL;
    size = (PN_MAX(size, 1) + ALIGN - 1) & ~(ALIGN - 1);
    if (a->current && size <= a->current->cap - a->current->used)
        return cut(a->current, size);
    struct block *b = add_block(a, size);
    if (!b)
        return NULL;
    void *p = cut(b, size);
    /* The block with more room left serves the next small ones. */
    if (!a->current || b->cap - b->used > a->current->cap - a->current->used)
        a->current = b;
    return p;
}

char *pn_arena_strndup(struct pn_arena *a, const char *ptr, size_t len)
{
    if (len > (size_t)PTRDIFF_MAX / 4)
        return NULL;
    char *p = pn_arena_alloc(a, len + 1);
    if (p && len > 0)
        memcpy(p, ptr, len);
    return p;
}

char *pn_arena_str(struct pn_arena *a, struct pn_str s)
{
    return pn_arena_strndup(a, s.ptr, s.len);
}

char *pn_arena_printf(struct pn_arena *a, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    char *p = n < 0 ? NULL : pn_arena_alloc(a, (size_t)n + 1);
    if (p)
        vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    va_end(ap);
    return p;
}

int pn_arena_on_reset(struct pn_arena *a, void (*fn)(void *), void *arg)
{
    struct cleanup *c = pn_arena_alloc(a, sizeof(*c));
    if (!c)
        return -PN_ENOMEM;
    *c = (struct cleanup){ .next = a->cleanups, .fn = fn, .arg = arg };
    a->cleanups = c;
    return 0;
}
