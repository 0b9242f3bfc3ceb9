/* pickle_impl.h - how a pickle's values are kept: shared by the store (pickle.c) and the machine that runs
 * the opcodes (pickle_machine.c).
 *
 * Values are numbers: indices into one growing array, so that the memo and the stack hold 4 bytes each and
 * nothing is freed before the end. Containers chain their items through cells. Value 0 is the mark, cell 0
 * ends a chain. */
#ifndef PN_MODEL_PICKLE_IMPL_H
#define PN_MODEL_PICKLE_IMPL_H

#include "model/pickle.h"

enum { PN_PICKLE_MAX_VALUES = 1 << 22 }; /* and cells: at most 250 MB together */

struct pn_pickle_cell {
    uint32_t value, next;
};

struct pn_pickle {
    struct pn_pickle_value *values;
    uint32_t n_values, cap_values;
    struct pn_pickle_cell *cells;
    uint32_t n_cells, cap_cells;
    uint32_t root;
};

/* An empty store with its mark. */
PN_MUST_CHECK int pn_pickle_new(struct pn_pickle **ret, struct pn_err *err);
/* Room for `need` elements of `size` bytes in a growing array, zeroed where new. */
PN_MUST_CHECK int pn_pickle_grow(void **array, uint32_t *cap, uint32_t need, size_t size, struct pn_err *err);
/* A new value; *ret is its number. Earlier pointers into the store are void. */
PN_MUST_CHECK int pn_pickle_make(struct pn_pickle *p, struct pn_pickle_value v, uint32_t *ret,
                                 struct pn_err *err);
/* One more item at the end of a container. */
PN_MUST_CHECK int pn_pickle_append(struct pn_pickle *p, uint32_t container, uint32_t item,
                                   struct pn_err *err);

#endif
