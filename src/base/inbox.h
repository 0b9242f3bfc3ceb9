/* inbox.h - messages from any thread to one thread that sleeps in epoll or poll.
 *
 * The only crossing between workers and an event loop. A message is a struct that embeds pn_message;
 * posting hands it over. A message that was posted is delivered exactly once. */
#ifndef PN_BASE_INBOX_H
#define PN_BASE_INBOX_H

#include "base/attr.h"
#include "base/error.h"

struct pn_message {
    struct pn_message *next;                  /* the inbox's */
    void (*deliver)(struct pn_message *self); /* run by the owner thread; owns self */
};

struct pn_inbox;

PN_MUST_CHECK int pn_inbox_new(struct pn_inbox **ret, struct pn_err *err);
struct pn_inbox *pn_inbox_free(struct pn_inbox *in); /* delivers what is left; nobody posts any more */
int pn_inbox_fd(const struct pn_inbox *in);          /* readable when messages wait */
void pn_inbox_post(struct pn_inbox *in, struct pn_message *m); /* any thread; takes ownership */
/* Owner thread: delivers everything posted so far, in order. Returns how many. */
size_t pn_inbox_run(struct pn_inbox *in);

#endif
