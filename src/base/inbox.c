/* inbox.c - see inbox.h.
 *
 * A linked list behind a mutex plus an eventfd. Only the post that finds the list empty writes the eventfd,
 * after the mutex is released; the owner clears the eventfd before it takes the list, so a message that
 * comes in between leaves the descriptor readable. The threads that post have ended before the free. */
#include "base/inbox.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct pn_inbox {
    pthread_mutex_t mu;
    struct pn_message *head;  /* guarded by mu */
    struct pn_message **tail; /* guarded by mu; where the next message is linked */
    int wake_fd;
};

int pn_inbox_new(struct pn_inbox **ret, struct pn_err *err)
{
    struct pn_inbox *in = calloc(1, sizeof(*in));
    if (!in)
        return pn_fail(err, PN_ENOMEM, "no memory for an inbox");
    in->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (in->wake_fd < 0) {
        free(in);
        return pn_fail_errno(err, "eventfd");
    }
    pthread_mutex_init(&in->mu, NULL);
    in->tail = &in->head;
    *ret = in;
    return 0;
}

struct pn_inbox *pn_inbox_free(struct pn_inbox *in)
{
    if (!in)
        return NULL;
    while (pn_inbox_run(in) > 0) /* a delivery may post again */
        ;
    close(in->wake_fd);
    pthread_mutex_destroy(&in->mu);
    free(in);
    return NULL;
}

int pn_inbox_fd(const struct pn_inbox *in)
{
    return in->wake_fd;
}

void pn_inbox_post(struct pn_inbox *in, struct pn_message *m)
{
    m->next = NULL;
    pthread_mutex_lock(&in->mu);
    bool was_empty = in->head == NULL;
    *in->tail = m;
    in->tail = &m->next;
    pthread_mutex_unlock(&in->mu);
    if (!was_empty)
        return;
    uint64_t one = 1;
    while (write(in->wake_fd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static void clear_wake(struct pn_inbox *in)
{
    uint64_t count;
    while (read(in->wake_fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

static struct pn_message *take_all(struct pn_inbox *in)
{
    pthread_mutex_lock(&in->mu);
    struct pn_message *m = in->head;
    in->head = NULL;
    in->tail = &in->head;
    pthread_mutex_unlock(&in->mu);
    return m;
}

size_t pn_inbox_run(struct pn_inbox *in)
{
    clear_wake(in);
    size_t n = 0;
    for (struct pn_message *m = take_all(in), *next; m; m = next, n++) {
        next = m->next; /* deliver may free the message */
        m->deliver(m);
    }
    return n;
}
