/* text_index.c - see text_index.h. Open addressing; the hash is the fingerprint of digest.h. */
#include "model/text_index.h"

#include "base/error.h"
#include "model/digest.h"

#include <stdlib.h>
#include <string.h>

static size_t hash(struct pn_str s)
{
    struct pn_digest d;
    uint8_t bytes[16];
    size_t h;
    pn_digest_init(&d);
    pn_digest_add(&d, s);
    pn_digest_done(&d, bytes);
    memcpy(&h, bytes, sizeof(h));
    return h;
}

/* The slot of `text`, or the free one where it belongs. */
static uint32_t *find_slot(const struct pn_text_index *x, const struct pn_str *list, struct pn_str text)
{
    size_t i = hash(text) & x->mask;
    while (x->slot[i] && !pn_str_eq(list[x->slot[i] - 1], text))
        i = (i + 1) & x->mask;
    return &x->slot[i];
}

int pn_text_index_init(struct pn_text_index *x, const struct pn_str *list, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    uint32_t *slot = calloc(slots, sizeof(*slot));
    if (!slot)
        return -PN_ENOMEM;
    *x = (struct pn_text_index){ slot, slots - 1 };
    for (size_t i = 0; i < n; i++)
        *find_slot(x, list, list[i]) = (uint32_t)i + 1;
    return 0;
}

void pn_text_index_done(struct pn_text_index *x)
{
    free(x->slot);
    *x = (struct pn_text_index){ 0 };
}

int64_t pn_text_index_find(const struct pn_text_index *x, const struct pn_str *list, struct pn_str text)
{
    return x->slot ? (int64_t)*find_slot(x, list, text) - 1 : -1;
}
