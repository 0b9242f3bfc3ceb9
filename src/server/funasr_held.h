/* funasr_held.h - what a client sent before it was its turn, in order. Loop thread only. */
#ifndef PN_SERVER_FUNASR_HELD_H
#define PN_SERVER_FUNASR_HELD_H

#include "base/error.h"
#include "base/str.h"

struct pn_held_piece {
    struct pn_held_piece *next;
    bool text; /* a text message, else a piece of audio */
    size_t n;
    char data[];
};

/* Empty when all zero. */
struct pn_held {
    struct pn_held_piece *first, *last;
    size_t size; /* bytes of memory */
};

PN_MUST_CHECK int pn_held_add(struct pn_held *h, bool text, const char *data, size_t n); /* -PN_ENOMEM */
struct pn_held_piece *pn_held_take(struct pn_held *h); /* the oldest, the caller's to free(); NULL: none */
void pn_held_done(struct pn_held *h);

#endif
