/* text_index.c - see text_index.h. Open addressing; the hash is the fingerprint of digest.h. */
#include "model/text_index.h"

#include "base/error.h"
#include "model/digest.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(struct pn_str s)
{
    struct pn_digest d;
    uint8_t bytes[16];
    uint64_t h;
    pn_digest_init(&d);
    pn_digest_add(&d, s);
    pn_digest_done(&d, bytes);
    memcpy(&h, bytes, sizeof(h));
    return h;
}

/* The slot of `text`, or the free one where it belongs. */
static struct pn_text_slot *find_slot(const struct pn_text_index *x, const struct pn_str *list,
                                      struct pn_str text, uint64_t h)
{
    size_t i = (size_t)h & x->mask;
    while (x->slot[i].place &&
           (x->slot[i].hash != (uint32_t)(h >> 32) || !pn_str_eq(list[x->slot[i].place - 1], text)))
        i = (i + 1) & x->mask;
    return &x->slot[i];
}

int pn_text_index_init(struct pn_text_index *x, const struct pn_str *list, size_t n)
{
    size_t slots = 16;
    while (slots < 2 * n)
        slots *= 2;
    struct pn_text_slot *slot = calloc(slots, sizeof(*slot));
    if (!slot)
        return -PN_ENOMEM;
    *x = (struct pn_text_index){ slot, slots - 1 };
    for (size_t i = 0; i < n; i++) {
        uint64_t h = hash(list[i]);
        *find_slot(x, list, list[i], h) = (struct pn_text_slot){ (uint32_t)i + 1, (uint32_t)(h >> 32) };
    }
    return 0;
}

void pn_text_index_done(struct pn_text_index *x)
{
    free(x->slot);
    *x = (struct pn_text_index){ 0 };
}

int64_t pn_text_index_find(const struct pn_text_index *x, const struct pn_str *list, struct pn_str text)
{
    return x->slot ? (int64_t)find_slot(x, list, text, hash(text))->place - 1 : -1;
}
