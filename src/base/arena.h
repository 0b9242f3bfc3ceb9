/* arena.h - memory that lives and dies together: one request, one decode, one configuration.
 *
 * Not thread safe; one owner at a time. Allocations are 16-byte aligned and zeroed. */
#ifndef PN_BASE_ARENA_H
#define PN_BASE_ARENA_H

#include "base/attr.h"
#include "base/str.h"

struct pn_arena;

/* `limit`: the most bytes it will ever hold at once; past it allocations return NULL. */
PN_MUST_CHECK int pn_arena_new(size_t limit, struct pn_arena **ret);
struct pn_arena *pn_arena_free(struct pn_arena *a); /* runs clean-ups; accepts NULL, returns NULL */
/* NULL when the limit or the memory is spent. */
void *pn_arena_alloc(struct pn_arena *a, size_t size);
char *pn_arena_strndup(struct pn_arena *a, const char *ptr, size_t len); /* adds the NUL */
char *pn_arena_str(struct pn_arena *a, struct pn_str s);
char *pn_arena_printf(struct pn_arena *a, const char *fmt, ...) PN_PRINTF(2, 3);
/* Runs `fn(arg)` at reset or free, last registered first. -PN_ENOMEM: not registered. */
PN_MUST_CHECK int pn_arena_on_reset(struct pn_arena *a, void (*fn)(void *), void *arg);
/* Runs the clean-ups and forgets all allocations; keeps the first block for reuse. */
void pn_arena_reset(struct pn_arena *a);

#endif
