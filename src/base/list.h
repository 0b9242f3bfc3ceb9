/* list.h - doubly linked lists of structs that have `prev` and `next`; `first` is the list, NULL an empty
 * one. The arguments are evaluated more than once. */
#ifndef PN_BASE_LIST_H
#define PN_BASE_LIST_H

/* Before all others. */
#define PN_LIST_ADD(first, x)    \
    do {                         \
        (x)->prev = NULL;        \
        (x)->next = (first);     \
        if (first)               \
            (first)->prev = (x); \
        (first) = (x);           \
    } while (0)

#define PN_LIST_REMOVE(first, x)                                \
    do {                                                        \
        *((x)->prev ? &(x)->prev->next : &(first)) = (x)->next; \
        if ((x)->next)                                          \
            (x)->next->prev = (x)->prev;                        \
    } while (0)

#endif
