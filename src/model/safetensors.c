/* safetensors.c - see safetensors.h. Every tensor's span is checked against its shape, the file and its
 * neighbours: spans that overlap are refused. */
#include "model/safetensors.h"

#include "base/json_parse.h"
#include "model/reader.h"

#include <stdlib.h>

enum { MAX_HEADER = 100 << 20, PREFIX = 8 };

static const struct {
    const char *name;
    enum pn_dtype dtype;
} DTYPES[] = { { "F16", PN_DT_F16 }, { "F32", PN_DT_F32 }, { "BF16", PN_DT_BF16 }, { "F64", PN_DT_F64 },
               { "I8", PN_DT_I8 },   { "I32", PN_DT_I32 }, { "I64", PN_DT_I64 } };

struct safetensors {
    struct pn_checkpoint *c;
    const char *name;
    struct pn_str header, data;
    size_t first; /* index of this file's first tensor */
    struct pn_err *err;
};

static int bad(struct safetensors *s, const char *tensor, const char *what)
{
    return pn_fail(s->err, PN_EFORMAT, "%.60s: tensor '%.80s' %s (header at byte %d)", s->name, tensor, what,
                   PREFIX);
}

static int find_dtype(struct safetensors *s, const char *tensor, json_t *dtype, enum pn_dtype *ret)
{
    if (!json_is_string(dtype))
        return bad(s, tensor, "has no dtype");
    for (size_t i = 0; i < PN_ARRAY_LEN(DTYPES); i++)
        if (strcmp(json_string_value(dtype), DTYPES[i].name) == 0) {
            *ret = DTYPES[i].dtype;
            return 0;
        }
    return pn_fail(s->err, PN_EUNSUPPORTED, "%.60s: tensor '%.80s' has type %.16s, which is not supported",
                   s->name, tensor, json_string_value(dtype));
}

static int read_shape(struct safetensors *s, const char *tensor, json_t *shape, struct pn_tensor *t)
{
    if (!json_is_array(shape) || json_array_size(shape) > PN_MAX_DIMS)
        return bad(s, tensor, "has no shape, or one of more than four dimensions");
    t->n_dims = (int)json_array_size(shape);
    for (int i = 0; i < t->n_dims; i++) {
        json_t *d = json_array_get(shape, (size_t)i);
        if (!json_is_integer(d))
            return bad(s, tensor, "has a shape that is not made of numbers");
        t->dim[i] = json_integer_value(d);
    }
    return 0;
}

static int place(struct safetensors *s, const char *tensor, json_t *offsets, struct pn_tensor *t)
{
    json_t *from = json_array_get(offsets, 0), *to = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(from) || !json_is_integer(to))
        return bad(s, tensor, "has no data offsets");
    json_int_t a = json_integer_value(from), b = json_integer_value(to);
    if (a < 0 || b < a || (uint64_t)b > s->data.len)
        return bad(s, tensor, "lies outside the file");
    if ((uint64_t)(b - a) != t->size)
        return bad(s, tensor, "does not have the size of its shape");
    t->data = s->data.ptr + a;
    return 0;
}

static int read_tensor(struct safetensors *s, struct pn_str name, json_t *v)
{
    const char *text = pn_arena_str(s->c->strings, name);
    if (!text)
        return pn_fail(s->err, PN_ENOMEM, "no memory for the names of the tensors");
    struct pn_tensor t = { .name = { text, name.len } }, *added;
    int r = find_dtype(s, text, json_object_get(v, "dtype"), &t.dtype);
    if (r < 0 || (r = read_shape(s, text, json_object_get(v, "shape"), &t)) < 0 ||
        (r = pn_checkpoint_add(s->c, t, PREFIX, &added, s->err)) < 0)
        return r;
    return place(s, text, json_object_get(v, "data_offsets"), added);
}

static int compare_places(const void *a, const void *b)
{
    const struct pn_tensor *x = *(const struct pn_tensor *const *)a, *y = *(const struct pn_tensor *const *)b;
    uintptr_t p = (uintptr_t)x->data, q = (uintptr_t)y->data;
    return p != q ? (p > q) - (p < q) : (x->size > y->size) - (x->size < y->size);
}

static int check_overlap(struct safetensors *s)
{
    size_t n = s->c->n_tensors - s->first;
    const struct pn_tensor **sorted = calloc(n ? n : 1, sizeof(*sorted));
    if (!sorted)
        return pn_fail(s->err, PN_ENOMEM, "no memory for the list of tensors");
    for (size_t i = 0; i < n; i++)
        sorted[i] = &s->c->tensors[s->first + i];
    qsort(sorted, n, sizeof(*sorted), compare_places);
    int r = 0;
    for (size_t i = 1; i < n && r == 0; i++)
        if ((const char *)sorted[i - 1]->data + sorted[i - 1]->size > (const char *)sorted[i]->data)
            r = bad(s, sorted[i]->name.ptr, "overlaps another one");
    free(sorted);
    return r;
}

static int read_all(struct safetensors *s)
{
    json_t *j;
    int r = pn_json_object(s->header, PN_JSON_FILE, s->name, PREFIX, &j, s->err);
    if (r < 0)
        return r;
    for (void *it = json_object_iter(j); it && r == 0; it = json_object_iter_next(j, it)) {
        struct pn_str name = { json_object_iter_key(it), json_object_iter_key_len(it) };
        if (!pn_str_is(name, "__metadata__"))
            r = read_tensor(s, name, json_object_iter_value(it));
    }
    json_decref(j);
    return r < 0 ? r : check_overlap(s);
}

int pn_safetensors_read(struct pn_checkpoint *c, struct pn_str file, const char *name, struct pn_err *err)
{
    struct safetensors s = { .c = c, .name = name, .first = c->n_tensors, .err = err };
    struct pn_reader r = { (const uint8_t *)file.ptr, 0, file.len };
    uint64_t len;
    if (!pn_read_u64(&r, &len))
        return pn_fail(err, PN_EFORMAT, "%.100s: the file is cut off at byte %zu", name, file.len);
    if (len > MAX_HEADER)
        return pn_fail(err, PN_ELIMIT, "%.100s: a header of more than %d MB (byte 0)", name,
                       MAX_HEADER >> 20);
    if (!pn_read_bytes(&r, len, &s.header))
        return pn_fail(err, PN_EFORMAT, "%.100s: the header reaches past the end of the file (byte 0)", name);
    s.data = (struct pn_str){ file.ptr + r.pos, file.len - r.pos };
    pn_digest_add(&c->digest, s.header);
    return read_all(&s);
}
