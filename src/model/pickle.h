/* pickle.h - what a pickle describes, as plain values; nothing in it is looked up, called or run.
 *
 * The machine knows the opcodes that writers of checkpoints use and refuses all others, as it refuses every
 * global that its caller has not listed, with its name and byte. It does not recurse; memory is bounded by a
 * few times the pickle's size and by fixed limits, whatever memo indices and repetitions it holds. */
#ifndef PN_MODEL_PICKLE_H
#define PN_MODEL_PICKLE_H

#include "base/error.h"
#include "model/reader.h"

enum pn_pickle_kind {
    PN_PICKLE_MARK, /* never handed out */
    PN_PICKLE_NONE,
    PN_PICKLE_BOOL,
    PN_PICKLE_INT,
    PN_PICKLE_FLOAT,
    PN_PICKLE_STR,
    PN_PICKLE_TUPLE,
    PN_PICKLE_LIST,
    PN_PICKLE_DICT,       /* items: key, value, key, value ... */
    PN_PICKLE_GLOBAL,     /* a name of the caller's list */
    PN_PICKLE_CALL,       /* such a name applied to a tuple: items */
    PN_PICKLE_PERSISTENT, /* a persistent id: one item, the id */
};

struct pn_pickle_value {
    enum pn_pickle_kind kind;
    uint32_t head, tail, count; /* chain of items (0: none); read with pn_pickle_items() */
    size_t pos;                 /* where in the file it was made, for messages */
    union {
        int64_t i;       /* INT, BOOL */
        double f;        /* FLOAT */
        struct pn_str s; /* STR; borrowed from the pickle */
        size_t global;   /* GLOBAL, CALL: index into the caller's list */
    } u;
};

/* What may be named, and what applying it means. */
struct pn_pickle_global {
    const char *module, *name;
    enum { PN_PICKLE_NAME_ONLY, PN_PICKLE_MAKES_CALL, PN_PICKLE_MAKES_DICT } use;
};

struct pn_pickle;

/* The pickle is [in.pos, in.end). -PN_EFORMAT, -PN_ELIMIT, -PN_EUNSUPPORTED (opcode), -PN_ENOMEM. `globals`
 * must outlive it, as the bytes. */
PN_MUST_CHECK int pn_pickle_read(struct pn_reader in, const struct pn_pickle_global *globals,
                                 size_t n_globals, struct pn_pickle **ret, struct pn_err *err);
struct pn_pickle *pn_pickle_free(struct pn_pickle *p); /* accepts NULL, returns NULL */
const struct pn_pickle_value *pn_pickle_root(const struct pn_pickle *p);

struct pn_pickle_items {
    const struct pn_pickle *pickle;
    uint32_t cell;
};

struct pn_pickle_items pn_pickle_items(const struct pn_pickle *p, const struct pn_pickle_value *v);
/* The next item, NULL behind the last. */
const struct pn_pickle_value *pn_pickle_next(struct pn_pickle_items *it);
/* The value of `key` in a dict (the last one, as in Python), or NULL. */
const struct pn_pickle_value *pn_pickle_get(const struct pn_pickle *p, const struct pn_pickle_value *dict,
                                            const char *key);

#endif
