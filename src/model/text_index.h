/* text_index.h - from a text to its place in a list, by a hash table beside the list. Immutable once made. */
#ifndef PN_MODEL_TEXT_INDEX_H
#define PN_MODEL_TEXT_INDEX_H

#include "base/attr.h"
#include "base/str.h"

struct pn_text_slot {
    uint32_t place,
        hash; /* place + 1, 0 where free; a part of the hash, so that few other texts are looked at */
};

struct pn_text_index {
    struct pn_text_slot *slot; /* owned */
    size_t mask;               /* slots - 1; at most half of them are in use */
};

/* Of the n (below 2^31) texts of `list`; of equal ones the last counts. -PN_ENOMEM. */
PN_MUST_CHECK int pn_text_index_init(struct pn_text_index *x, const struct pn_str *list, size_t n);
void pn_text_index_done(struct pn_text_index *x); /* accepts one that is all zero */
/* The place of `text` in the same list, or -1. */
int64_t pn_text_index_find(const struct pn_text_index *x, const struct pn_str *list, struct pn_str text);

#endif
