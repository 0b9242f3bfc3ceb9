/* loop.h - the event loop: one thread that owns every socket of the server.
 *
 * Level-triggered epoll unless a source asks for EPOLLET. All functions are for the loop thread, except
 * pn_loop_post. The loop never computes and never blocks; work leaves it as a job and comes back as a message
 * (base/inbox.h). */
#ifndef PN_SERVER_LOOP_H
#define PN_SERVER_LOOP_H

#include "base/attr.h"
#include "base/error.h"
#include "base/inbox.h"

#include <stdbool.h>
#include <stdint.h>

struct pn_loop;

/* Embedded in whatever owns the descriptor. */
struct pn_source {
    int fd;
    void (*ready)(struct pn_source *self, uint32_t events); /* may remove and free any source */
    bool dead;              /* the loop's: removed while its event was still in the batch */
    struct pn_source *next; /* the loop's: the grave list */
    void (*bury)(
        struct pn_source *self); /* frees the owner once no event can reach it any more; may be NULL */
};

PN_MUST_CHECK int pn_loop_new(struct pn_loop **ret, struct pn_err *err);
struct pn_loop *pn_loop_free(struct pn_loop *l); /* accepts NULL */

PN_MUST_CHECK int pn_loop_add(struct pn_loop *l, struct pn_source *s, uint32_t events, struct pn_err *err);
void pn_loop_change(struct pn_loop *l, struct pn_source *s, uint32_t events);
/* No `ready` after this. `bury` (may be NULL) is called after the running batch. Does not close the
 * descriptor. */
void pn_loop_remove(struct pn_loop *l, struct pn_source *s, void (*bury)(struct pn_source *));

/* Runs after every batch of events; *timeout_ms may be lowered, so that the next wait is no longer than that.
 */
void pn_loop_on_idle(struct pn_loop *l, void (*fn)(void *ctx, int *timeout_ms), void *ctx);
/* Runs about every PN_LOOP_TICK_MS: deadlines, samples. */
#define PN_LOOP_TICK_MS 200
void pn_loop_on_tick(struct pn_loop *l, void (*fn)(void *ctx, int64_t now_us), void *ctx);

void pn_loop_post(struct pn_loop *l, struct pn_message *m); /* any thread; takes ownership */
void pn_loop_run(struct pn_loop *l);                        /* until pn_loop_stop */
void pn_loop_stop(struct pn_loop *l);

#endif
