/* bytes.c - see bytes.h. A list of blocks; only the last one is written to, only the first one read. */
#include "asr/live/bytes.h"

#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = 4096,      /* a client that sends byte by byte must not cost more than one that does not */
    PACKET_COST = 128, /* of a packet beside its bytes */
};

struct pn_byte_block {
    struct pn_byte_block *next;
    size_t start, end, cap; /* bytes of `data` */
    int64_t at_us;          /* when the last of them came */
    unsigned char data[];
};

void pn_bytes_done(struct pn_bytes *b)
{
    for (struct pn_byte_block *block = b->first, *next; block; block = next) {
        next = block->next;
        free(block);
    }
    b->first = b->last = NULL;
    b->waiting = 0;
}

static int add_block(struct pn_bytes *b, size_t cap)
{
    struct pn_byte_block *block = malloc(sizeof(*block) + cap);
    if (!block)
        return -PN_ENOMEM;
    *block = (struct pn_byte_block){ .cap = cap };
    *(b->last ? &b->last->next : &b->first) = block;
    b->last = block;
    return 0;
}

static void fill(struct pn_bytes *b, struct pn_byte_block *block, const unsigned char *data, size_t n,
                 int64_t at_us)
{
    if (n == 0)
        return;
    memcpy(block->data + block->end, data, n);
    block->end += n;
    block->at_us = at_us;
    b->waiting += n;
}

int pn_bytes_add(struct pn_bytes *b, const void *data, size_t n, int64_t at_us)
{
    struct pn_byte_block *tail = b->packets ? NULL : b->last;
    size_t fits = tail ? PN_MIN(n, tail->cap - tail->end) : 0;
    if (n > fits) {
        int r = add_block(b, b->packets ? n : PN_MAX(n - fits, (size_t)BLOCK));
        if (r < 0)
            return r;
    }
    fill(b, tail, data, fits, at_us);
    fill(b, b->last, (const unsigned char *)data + fits, n - fits, at_us);
    b->waiting += b->packets ? PACKET_COST : 0;
    return 0;
}

size_t pn_bytes_peek(const struct pn_bytes *b, size_t cap, const unsigned char **ret, int64_t *ret_at_us)
{
    const struct pn_byte_block *block = b->first;
    if (!block)
        return 0;
    *ret = block->data + block->start;
    *ret_at_us = block->at_us;
    size_t n = block->end - block->start;
    return b->packets ? n : PN_MIN(n, cap);
}

void pn_bytes_drop(struct pn_bytes *b, size_t n)
{
    struct pn_byte_block *block = b->first;
    block->start += n;
    b->waiting -= n;
    if (block->start < block->end)
        return;
    b->waiting -= b->packets ? PACKET_COST : 0;
    b->first = block->next;
    if (!b->first)
        b->last = NULL;
    free(block);
}
