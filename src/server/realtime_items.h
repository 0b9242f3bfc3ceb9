/* realtime_items.h - the last items of a Realtime session, which its client may ask for again. Loop thread
 * only. */
#ifndef PN_SERVER_REALTIME_ITEMS_H
#define PN_SERVER_REALTIME_ITEMS_H

#include "base/attr.h"
#include "base/error.h"
#include "server/realtime_turn.h"

#define PN_RT_ITEMS 32 /* kept; the oldest makes room */

struct pn_rt_item {
    char id[PN_RT_ITEM_ID]; /* "": none */
    char *transcript;       /* owned; NULL: not there yet */
};

/* Zeroed it is empty. */
struct pn_rt_items {
    struct pn_rt_item ring[PN_RT_ITEMS];
    uint64_t n; /* added so far */
};

void pn_rt_items_done(struct pn_rt_items *items);
struct pn_rt_item *pn_rt_items_add(struct pn_rt_items *items, const char *id);
struct pn_rt_item *pn_rt_items_find(struct pn_rt_items *items, struct pn_str id); /* NULL: not here */
/* Without memory it stays without a transcript. */
void pn_rt_item_set(struct pn_rt_item *item, struct pn_str transcript);
void pn_rt_item_remove(struct pn_rt_item *item);

#endif
