/* tally.h - how many bytes were ever put into a socketpair for its reader: the kernel counts what TCP
 * received, but not this. Two threads share one; each gives its share back. */
#ifndef PN_SERVER_TALLY_H
#define PN_SERVER_TALLY_H

#include <stdint.h>

struct pn_tally;

struct pn_tally *pn_tally_new(void);     /* two shares; NULL without memory */
void pn_tally_unref(struct pn_tally *t); /* accepts NULL */
/* Before the bytes are put in, so that whoever has read some finds them counted; those that did not fit are
 * taken back by a negative number. */
void pn_tally_add(struct pn_tally *t, int64_t bytes);
int64_t pn_tally_read(const struct pn_tally *t);

#endif
