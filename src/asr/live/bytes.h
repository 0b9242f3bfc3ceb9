/* bytes.h - the audio of one session that was not looked at yet: bytes in a row, or packets one by one.
 *
 * Memory is taken when bytes come and given back when they have been used. One writer and one reader; the
 * caller's lock guards all calls, but what peek gave may be read without it until drop. */
#ifndef PN_ASR_LIVE_BYTES_H
#define PN_ASR_LIVE_BYTES_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pn_byte_block;

/* Zeroed it is empty. */
struct pn_bytes {
    struct pn_byte_block *first, *last;
    size_t waiting; /* bytes, and what a packet costs beside its own */
    bool packets;   /* what was added at once is one piece */
};

void pn_bytes_done(struct pn_bytes *b);
/* They came at `at_us`. -PN_ENOMEM: nothing was taken. */
PN_MUST_CHECK int pn_bytes_add(struct pn_bytes *b, const void *data, size_t n, int64_t at_us);
/* The oldest bytes: a packet, or at most `cap` of a row, and when the last of them was there. 0: there are
 * none. */
size_t pn_bytes_peek(const struct pn_bytes *b, size_t cap, const unsigned char **ret, int64_t *ret_at_us);
void pn_bytes_drop(struct pn_bytes *b, size_t n); /* what peek gave */

#endif
