/* realtime_items.c - see realtime_items.h. */
#include "server/realtime_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pn_rt_item_remove(struct pn_rt_item *item)
{
    free(item->transcript);
    *item = (struct pn_rt_item){ 0 };
}

void pn_rt_items_done(struct pn_rt_items *items)
{
    for (size_t i = 0; i < PN_RT_ITEMS; i++)
        pn_rt_item_remove(&items->ring[i]);
}

struct pn_rt_item *pn_rt_items_add(struct pn_rt_items *items, const char *id)
{
    struct pn_rt_item *item = &items->ring[items->n++ % PN_RT_ITEMS];
    pn_rt_item_remove(item);
    snprintf(item->id, sizeof(item->id), "%s", id);
    return item;
}

struct pn_rt_item *pn_rt_items_find(struct pn_rt_items *items, struct pn_str id)
{
    for (size_t i = 0; id.len > 0 && i < PN_RT_ITEMS; i++)
        if (pn_str_is(id, items->ring[i].id))
            return &items->ring[i];
    return NULL;
}

void pn_rt_item_set(struct pn_rt_item *item, struct pn_str transcript)
{
    free(item->transcript);
    item->transcript = strndup(transcript.len ? transcript.ptr : "", transcript.len);
}
