/* torch.c - torch's .pt: a zip of data.pkl and one raw little-endian file per storage.
 *
 * A tensor is _rebuild_tensor_v2(storage, offset, shape, strides, ...) where the storage is the persistent id
 * ("storage", type, key, place, elements). Several tensors may share a storage. A view that does not lie row
 * by row is copied into rows, as long as it has no more elements than its storage. */
#include "model/checkpoint_impl.h"
#include "model/pickle.h"
#include "model/zip.h"

#include <inttypes.h>
#include <stdio.h>

enum { G_DICT, G_TENSOR, G_PARAMETER, G_STORAGE };

static const struct pn_pickle_global GLOBALS[] = {
    [G_DICT] = { "collections", "OrderedDict", PN_PICKLE_MAKES_DICT },
    [G_TENSOR] = { "torch._utils", "_rebuild_tensor_v2", PN_PICKLE_MAKES_CALL },
    [G_PARAMETER] = { "torch._utils", "_rebuild_parameter", PN_PICKLE_MAKES_CALL },
    [G_STORAGE] = { "torch", "FloatStorage", PN_PICKLE_NAME_ONLY },
    { "torch", "HalfStorage", PN_PICKLE_NAME_ONLY },
    { "torch", "BFloat16Storage", PN_PICKLE_NAME_ONLY },
    { "torch", "DoubleStorage", PN_PICKLE_NAME_ONLY },
    { "torch", "CharStorage", PN_PICKLE_NAME_ONLY },
    { "torch", "IntStorage", PN_PICKLE_NAME_ONLY },
    { "torch", "LongStorage", PN_PICKLE_NAME_ONLY },
};

static const enum pn_dtype STORAGE_TYPES[] = { /* GLOBALS from G_STORAGE on */
                                               PN_DT_F32, PN_DT_F16, PN_DT_BF16, PN_DT_F64,
                                               PN_DT_I8,  PN_DT_I32, PN_DT_I64
};

struct torch {
    struct pn_checkpoint *c;
    struct pn_str file;
    struct pn_zip *zip;
    struct pn_pickle *pickle;
    struct pn_str prefix; /* the archive's folder with its slash */
    struct pn_err *err;
};

typedef const struct pn_pickle_value value;

static int bad(struct torch *t, value *at, const char *what)
{
    return pn_fail(t->err, PN_EFORMAT, "%s at byte %zu of the checkpoint", what, at->pos);
}

/* The member whose name ends in "/data.pkl"; its folder is the prefix of all others. */
static int find_pickle(struct torch *t, struct pn_zip_span *ret)
{
    static const struct pn_str SUFFIX = { "/data.pkl", 9 };
    for (size_t i = 0; i < pn_zip_count(t->zip); i++) {
        struct pn_str name = pn_zip_name(t->zip, i);
        if (name.len < SUFFIX.len || memcmp(name.ptr + name.len - SUFFIX.len, SUFFIX.ptr, SUFFIX.len) != 0)
            continue;
        t->prefix = (struct pn_str){ name.ptr, name.len - SUFFIX.len + 1 };
        return pn_zip_find(t->zip, name, ret, t->err);
    }
    return pn_fail(t->err, PN_EFORMAT, "the archive holds no data.pkl: it is not a torch checkpoint");
}

static int find_storage(struct torch *t, value *at, struct pn_str key, struct pn_zip_span *ret)
{
    char name[512];
    int n = -1;
    if (key.len <= 32 && t->prefix.len <= 400)
        n = snprintf(name, sizeof(name), "%.*sdata/%.*s", (int)t->prefix.len, t->prefix.ptr, (int)key.len,
                     key.ptr);
    if (n < 0)
        return bad(t, at, "a storage with an endless name");
    int r = pn_zip_find(t->zip, (struct pn_str){ name, (size_t)n }, ret, t->err);
    return r == -PN_ENOTFOUND ? bad(t, at, "a storage that the archive does not hold") : r;
}

/* Type and bytes of a persistent id. */
static int read_storage(struct torch *t, value *v, enum pn_dtype *ret_type, struct pn_zip_span *ret)
{
    struct pn_pickle_items it = pn_pickle_items(t->pickle, v);
    value *id = v->kind == PN_PICKLE_PERSISTENT ? pn_pickle_next(&it) : NULL;
    if (!id || id->kind != PN_PICKLE_TUPLE || id->count < 5)
        return bad(t, v, "something that is not a storage");
    it = pn_pickle_items(t->pickle, id);
    value *tag = pn_pickle_next(&it), *type = pn_pickle_next(&it), *key = pn_pickle_next(&it);
    if (tag->kind != PN_PICKLE_STR || !pn_str_is(tag->u.s, "storage") || type->kind != PN_PICKLE_GLOBAL ||
        type->u.global < G_STORAGE || key->kind != PN_PICKLE_STR)
        return bad(t, v, "something that is not a storage");
    *ret_type = STORAGE_TYPES[type->u.global - G_STORAGE];
    return find_storage(t, v, key->u.s, ret);
}

static int read_dims(struct torch *t, value *shape, int64_t dims[PN_MAX_DIMS])
{
    if (shape->kind != PN_PICKLE_TUPLE || shape->count > PN_MAX_DIMS)
        return bad(t, shape, "a shape of more than four dimensions");
    struct pn_pickle_items it = pn_pickle_items(t->pickle, shape);
    value *d;
    for (int i = 0; (d = pn_pickle_next(&it)) != NULL; i++) {
        if (d->kind != PN_PICKLE_INT)
            return bad(t, d, "a shape that is not made of numbers");
        dims[i] = d->u.i;
    }
    return (int)shape->count;
}

/* Whether elements follow each other row by row; steps along a dimension of one element do not matter. */
static bool contiguous(const struct pn_tensor *x, const int64_t *strides)
{
    int64_t want = 1;
    for (int i = x->n_dims - 1; i >= 0 && x->n > 0; i--) {
        if (x->dim[i] > 1 && strides[i] != want)
            return false;
        want *= x->dim[i]; /* a part of n, which pn_tensor_measure() has checked */
    }
    return true;
}

/* Whether the element of the highest place is inside a storage of `n`; steps are not negative then. */
static bool view_fits(const struct pn_tensor *x, const int64_t *strides, int64_t offset, int64_t n)
{
    int64_t last = offset;
    for (int i = 0; i < x->n_dims; i++) {
        int64_t step;
        if (x->dim[i] < 1 || strides[i] < 0 || __builtin_mul_overflow(x->dim[i] - 1, strides[i], &step) ||
            __builtin_add_overflow(last, step, &last))
            return false;
    }
    return offset >= 0 && last < n && x->n <= n;
}

/* Elements of a view in row order: the last dimension moves first. Steps along a dimension of one element may
 * be anything and are not taken. */
static void copy_view(const struct pn_tensor *x, const int64_t *strides, const char *from, char *to)
{
    const size_t element = pn_dtype_size(x->dtype);
    int64_t at[PN_MAX_DIMS] = { 0 }, place = 0;
    for (int64_t i = 0; i < x->n; i++) {
        memcpy(to + (size_t)i * element, from + (size_t)place * element, element);
        for (int d = x->n_dims - 1; d >= 0; d--) {
            if (x->dim[d] == 1)
                continue;
            place += strides[d];
            if (++at[d] < x->dim[d])
                break;
            place -= at[d] * strides[d];
            at[d] = 0;
        }
    }
}

/* The copies of all views together are bounded by the checkpoint's arena. */
static int place_view(struct torch *t, value *at, struct pn_tensor *x, const int64_t *strides, int64_t offset,
                      struct pn_zip_span storage)
{
    const size_t element = pn_dtype_size(x->dtype);
    if (!view_fits(x, strides, offset, (int64_t)(storage.size / element)))
        return bad(t, at, "a tensor that is larger than its storage");
    char *rows = pn_arena_alloc(t->c->strings, x->size);
    if (!rows)
        return pn_fail(t->err, PN_ENOMEM, "no memory to turn tensor '%.*s' into rows", (int)x->name.len,
                       x->name.ptr);
    copy_view(x, strides, t->file.ptr + storage.offset + (size_t)offset * element, rows);
    x->data = rows;
    return 0;
}

static int place(struct torch *t, value *at, struct pn_tensor *x, int64_t offset, struct pn_zip_span storage)
{
    size_t element = x->n > 0 ? x->size / (size_t)x->n : 1, from;
    if (offset < 0 || __builtin_mul_overflow((size_t)offset, element, &from) || from > storage.size ||
        x->size > storage.size - from)
        return bad(t, at, "a tensor that is larger than its storage");
    x->data = t->file.ptr + storage.offset + from;
    return 0;
}

static int read_tensor(struct torch *t, struct pn_str name, value *v)
{
    if (v->kind == PN_PICKLE_CALL && v->u.global == G_PARAMETER && v->count > 0) {
        struct pn_pickle_items it = pn_pickle_items(t->pickle, v);
        v = pn_pickle_next(&it); /* a parameter is its tensor */
    }
    if (v->kind != PN_PICKLE_CALL || v->u.global != G_TENSOR || v->count < 4)
        return bad(t, v, "something that is not a tensor");
    struct pn_pickle_items it = pn_pickle_items(t->pickle, v);
    value *storage = pn_pickle_next(&it), *offset = pn_pickle_next(&it), *shape = pn_pickle_next(&it),
          *stride = pn_pickle_next(&it);
    struct pn_tensor x = { .name = name }, *added;
    struct pn_zip_span span;
    int64_t strides[PN_MAX_DIMS] = { 0 };
    int r = read_storage(t, storage, &x.dtype, &span);
    if (r < 0 || (r = x.n_dims = read_dims(t, shape, x.dim)) < 0 || (r = read_dims(t, stride, strides)) < 0)
        return r;
    if (r != x.n_dims || offset->kind != PN_PICKLE_INT)
        return bad(t, v, "a tensor whose shape and strides do not match");
    r = pn_checkpoint_add(t->c, x, v->pos, &added, t->err);
    if (r < 0)
        return r;
    return contiguous(added, strides) ? place(t, v, added, offset->u.i, span)
                                      : place_view(t, v, added, strides, offset->u.i, span);
}

/* Data-parallel training puts "module." before every name. */
static struct pn_str bare_name(struct pn_str name)
{
    static const struct pn_str PREFIX = { "module.", 7 };
    if (name.len > PREFIX.len && memcmp(name.ptr, PREFIX.ptr, PREFIX.len) == 0)
        return (struct pn_str){ name.ptr + PREFIX.len, name.len - PREFIX.len };
    return name;
}

/* `strict`: everything in it must be a tensor; else what is none is passed over. */
static int read_state(struct torch *t, value *dict, bool strict)
{
    struct pn_pickle_items it = pn_pickle_items(t->pickle, dict);
    value *k;
    int r = 0;
    while (r == 0 && (k = pn_pickle_next(&it)) != NULL) {
        value *v = pn_pickle_next(&it);
        if (!strict && (k->kind != PN_PICKLE_STR || v->kind != PN_PICKLE_CALL))
            continue;
        r = k->kind == PN_PICKLE_STR ? read_tensor(t, bare_name(k->u.s), v)
                                     : bad(t, k, "a tensor without a name");
    }
    return r;
}

static int read_ints(struct torch *t, value *dict)
{
    struct pn_pickle_items it = pn_pickle_items(t->pickle, dict);
    value *k;
    int r = 0;
    while (r == 0 && (k = pn_pickle_next(&it)) != NULL) {
        value *v = pn_pickle_next(&it);
        if (k->kind == PN_PICKLE_STR && (v->kind == PN_PICKLE_INT || v->kind == PN_PICKLE_BOOL))
            r = pn_checkpoint_add_int(t->c, k->u.s, v->u.i, t->err);
    }
    return r;
}

/* Where the tensors are, if not in the topmost dict itself; NULL then. */
static value *find_state(struct torch *t, value *root)
{
    static const char *const WRAPPERS[] = { "state_dict", "model_state_dict", "model" };
    for (size_t i = 0; i < PN_ARRAY_LEN(WRAPPERS); i++) {
        value *state = pn_pickle_get(t->pickle, root, WRAPPERS[i]);
        if (state && state->kind == PN_PICKLE_DICT)
            return state;
    }
    return NULL;
}

static int read_root(struct torch *t)
{
    value *root = pn_pickle_root(t->pickle);
    if (root->kind != PN_PICKLE_DICT)
        return bad(t, root, "something that is not a dict of tensors");
    value *dims = pn_pickle_get(t->pickle, root, "dims");
    value *state = find_state(t, root);
    int r = dims && dims->kind == PN_PICKLE_DICT ? read_ints(t, dims) : 0;
    if (r < 0)
        return r;
    return state ? read_state(t, state, true) : read_state(t, root, false);
}

int pn_torch_read(struct pn_checkpoint *c, struct pn_str file, struct pn_err *err)
{
    struct torch t = { .c = c, .file = file, .err = err };
    struct pn_zip_span span;
    int r = pn_zip_open(file, &t.zip, err);
    if (r == 0)
        r = find_pickle(&t, &span);
    if (r == 0) {
        struct pn_reader in = { (const uint8_t *)file.ptr, span.offset, span.offset + span.size };
        pn_digest_add(&c->digest, (struct pn_str){ file.ptr + span.offset, span.size });
        r = pn_pickle_read(in, GLOBALS, PN_ARRAY_LEN(GLOBALS), &t.pickle, err);
    }
    if (r == 0)
        r = read_root(&t);
    pn_pickle_free(t.pickle);
    pn_zip_close(t.zip);
    c->kind = PN_CHECKPOINT_TORCH;
    return r;
}
