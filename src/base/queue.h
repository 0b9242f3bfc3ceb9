/* queue.h - a bounded queue of pointers between threads. Any thread may call any function. */
#ifndef PN_BASE_QUEUE_H
#define PN_BASE_QUEUE_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

struct pn_queue;

PN_MUST_CHECK int pn_queue_new(size_t capacity, struct pn_queue **ret);
struct pn_queue *pn_queue_free(struct pn_queue *q); /* must be empty; accepts NULL */
/* 0, -PN_EFULL, or -PN_ECANCELLED once closed. Never waits. */
PN_MUST_CHECK int pn_queue_push(struct pn_queue *q, void *item);
/* Waits until an item is there (0), `deadline_us` (monotonic; INT64_MAX: none) passes (-PN_ETIMEOUT), or the
 * queue is closed and empty (-PN_ECANCELLED). */
PN_MUST_CHECK int pn_queue_pop(struct pn_queue *q, int64_t deadline_us, void **ret);
void pn_queue_close(struct pn_queue *q); /* pushes fail from now on; waiters drain what is left */
size_t pn_queue_len(struct pn_queue *q);

#endif
