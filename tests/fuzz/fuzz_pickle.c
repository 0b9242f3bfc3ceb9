/* fuzz_pickle.c - the pickle machine on its own: it is hard to reach through an archive. What it made is
 * walked to a limited depth, since lists may hold themselves. */
#include "model/pickle.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct pn_pickle_global GLOBALS[] = {
    { "collections", "OrderedDict", PN_PICKLE_MAKES_DICT },
    { "torch._utils", "_rebuild_tensor_v2", PN_PICKLE_MAKES_CALL },
    { "torch", "HalfStorage", PN_PICKLE_NAME_ONLY },
};

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void walk(const struct pn_pickle *p, const struct pn_pickle_value *v, struct pn_str bytes, int depth)
{
    check(v->pos < bytes.len && v->kind != PN_PICKLE_MARK);
    if (v->kind == PN_PICKLE_STR)
        check(v->u.s.ptr >= bytes.ptr && v->u.s.ptr + v->u.s.len <= bytes.ptr + bytes.len);
    if (v->kind == PN_PICKLE_DICT)
        check(v->count % 2 == 0);
    struct pn_pickle_items it = pn_pickle_items(p, v);
    const struct pn_pickle_value *item;
    uint32_t n = 0;
    while ((item = pn_pickle_next(&it)) != NULL) {
        if (depth > 0 && n < 64)
            walk(p, item, bytes, depth - 1);
        n++;
    }
    check(n == v->count);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pn_err err = { 0 };
    struct pn_pickle *p = NULL;
    struct pn_reader in = { data, 0, size };
    int r = pn_pickle_read(in, GLOBALS, PN_ARRAY_LEN(GLOBALS), &p, &err);
    check(r == 0 ? err.code == 0 && p : err.code == -r && err.text[0] && !p);
    if (r == 0)
        walk(p, pn_pickle_root(p), (struct pn_str){ (const char *)data, size }, 3);
    pn_pickle_free(p);
    return 0;
}
