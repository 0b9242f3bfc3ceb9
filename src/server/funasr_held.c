/* funasr_held.c - see funasr_held.h. */
#include "server/funasr_held.h"

#include <stdlib.h>
#include <string.h>

int pn_held_add(struct pn_held *h, bool text, const char *data, size_t n)
{
    struct pn_held_piece *p = malloc(sizeof(*p) + n);
    if (!p)
        return -PN_ENOMEM;
    p->next = NULL;
    p->text = text;
    p->n = n;
    if (n)
        memcpy(p->data, data, n);
    *(h->last ? &h->last->next : &h->first) = p;
    h->last = p;
    h->size += sizeof(*p) + n;
    return 0;
}

struct pn_held_piece *pn_held_take(struct pn_held *h)
{
    struct pn_held_piece *p = h->first;
    if (!p)
        return NULL;
    h->first = p->next;
    if (!h->first)
        h->last = NULL;
    h->size -= sizeof(*p) + p->n;
    return p;
}

void pn_held_done(struct pn_held *h)
{
    for (struct pn_held_piece *p; (p = pn_held_take(h));)
        free(p);
}
