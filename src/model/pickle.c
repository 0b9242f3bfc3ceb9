/* pickle.c - see pickle.h: the store of values and how it is read. */
#include "model/pickle_impl.h"

#include <stdlib.h>

int pn_pickle_grow(void **array, uint32_t *cap, uint32_t need, size_t size, struct pn_err *err)
{
    if (need <= *cap)
        return 0;
    if (need > PN_PICKLE_MAX_VALUES)
        return pn_fail(err, PN_ELIMIT, "the pickle holds more than %d values", PN_PICKLE_MAX_VALUES);
    uint32_t to = PN_MIN(PN_MAX(need, PN_MAX(*cap * 2, 256u)), (uint32_t)PN_PICKLE_MAX_VALUES);
    void *larger = realloc(*array, to * size);
    if (!larger)
        return pn_fail(err, PN_ENOMEM, "no memory for the pickle");
    memset((char *)larger + *cap * size, 0, (to - *cap) * size);
    *array = larger;
    *cap = to;
    return 0;
}

int pn_pickle_make(struct pn_pickle *p, struct pn_pickle_value v, uint32_t *ret, struct pn_err *err)
{
    int r = pn_pickle_grow((void **)&p->values, &p->cap_values, p->n_values + 1, sizeof(*p->values), err);
    if (r < 0)
        return r;
    p->values[p->n_values] = v;
    *ret = p->n_values++;
    return 0;
}

int pn_pickle_append(struct pn_pickle *p, uint32_t container, uint32_t item, struct pn_err *err)
{
    int r = pn_pickle_grow((void **)&p->cells, &p->cap_cells, p->n_cells + 1, sizeof(*p->cells), err);
    if (r < 0)
        return r;
    uint32_t cell = p->n_cells++;
    p->cells[cell] = (struct pn_pickle_cell){ item, 0 };
    struct pn_pickle_value *v = &p->values[container];
    if (v->tail)
        p->cells[v->tail].next = cell;
    else
        v->head = cell;
    v->tail = cell;
    v->count++;
    return 0;
}

int pn_pickle_new(struct pn_pickle **ret, struct pn_err *err)
{
    struct pn_pickle *p = calloc(1, sizeof(*p));
    if (!p)
        return pn_fail(err, PN_ENOMEM, "no memory for the pickle");
    uint32_t mark;
    int r = pn_pickle_make(p, (struct pn_pickle_value){ .kind = PN_PICKLE_MARK }, &mark, err);
    if (r < 0) {
        pn_pickle_free(p);
        return r;
    }
    p->n_cells = 1; /* the one that ends chains; room comes with the first append */
    *ret = p;
    return 0;
}

struct pn_pickle *pn_pickle_free(struct pn_pickle *p)
{
    if (p) {
        free(p->values);
        free(p->cells);
    }
    free(p);
    return NULL;
}

const struct pn_pickle_value *pn_pickle_root(const struct pn_pickle *p)
{
    return &p->values[p->root];
}

struct pn_pickle_items pn_pickle_items(const struct pn_pickle *p, const struct pn_pickle_value *v)
{
    return (struct pn_pickle_items){ p, v->head };
}

const struct pn_pickle_value *pn_pickle_next(struct pn_pickle_items *it)
{
    if (it->cell == 0)
        return NULL;
    const struct pn_pickle_cell *c = &it->pickle->cells[it->cell];
    it->cell = c->next;
    return &it->pickle->values[c->value];
}

const struct pn_pickle_value *pn_pickle_get(const struct pn_pickle *p, const struct pn_pickle_value *dict,
                                            const char *key)
{
    const struct pn_pickle_value *found = NULL, *k;
    struct pn_pickle_items it = pn_pickle_items(p, dict);
    while ((k = pn_pickle_next(&it)) != NULL) {
        const struct pn_pickle_value *v = pn_pickle_next(&it);
        if (k->kind == PN_PICKLE_STR && pn_str_is(k->u.s, key))
            found = v;
    }
    return found;
}
