/* tensor.c - values of tensors as f32. Data lie at any alignment, so every element is copied out. */
#include "model/tensor.h"

#include "nn/half.h"
#include "model/tensor_blocks.h"

#include <inttypes.h>
#include <stdio.h>

const char *pn_dtype_name(enum pn_dtype t)
{
    static const char *const NAMES[] = { "f32",  "f16",  "bf16", "f64", "q4_0", "q4_1",
                                         "q5_0", "q5_1", "q8_0", "i8",  "i32",  "i64" };
    return NAMES[t];
}

size_t pn_dtype_size(enum pn_dtype t)
{
    switch (t) {
    case PN_DT_F64:
    case PN_DT_I64:
        return 8;
    case PN_DT_F32:
    case PN_DT_I32:
        return 4;
    case PN_DT_F16:
    case PN_DT_BF16:
        return 2;
    case PN_DT_I8:
        return 1;
    case PN_DT_Q4_0:
    case PN_DT_Q4_1:
    case PN_DT_Q5_0:
    case PN_DT_Q5_1:
    case PN_DT_Q8_0:
        return 0;
    }
    PN_UNREACHABLE();
}

bool pn_dtype_is_real(enum pn_dtype t)
{
    return t != PN_DT_I8 && t != PN_DT_I32 && t != PN_DT_I64;
}

void pn_shape_text(int n_dims, const int64_t *dim, char out[PN_SHAPE_TEXT])
{
    size_t used = 0;
    out[0] = '\0';
    for (int i = 0; i < n_dims && used < PN_SHAPE_TEXT; i++)
        used += (size_t)snprintf(out + used, PN_SHAPE_TEXT - used, "%s%" PRId64, i ? " x " : "", dim[i]);
}

static bool same_shape(const struct pn_tensor *t, const int64_t want[3])
{
    int at = 0;
    for (int i = 0; i < t->n_dims; i++) {
        if (t->dim[i] == 1)
            continue;
        while (at < 3 && want[at] == 1)
            at++;
        if (at == 3 || want[at++] != t->dim[i])
            return false;
    }
    while (at < 3 && want[at] == 1)
        at++;
    return at == 3;
}

int pn_tensor_expect(const struct pn_tensor *t, const char *name, const int64_t want[3], struct pn_err *err)
{
    if (!t)
        return pn_fail(err, PN_EFORMAT, "the checkpoint has no tensor %.150s", name);
    if (!same_shape(t, want)) {
        char has[PN_SHAPE_TEXT], wanted[PN_SHAPE_TEXT];
        pn_shape_text(t->n_dims, t->dim, has);
        pn_shape_text(3, want, wanted);
        return pn_fail(err, PN_EFORMAT, "tensor %.80s has the shape %.60s instead of %.60s", name, has,
                       wanted);
    }
    if (!pn_dtype_is_real(t->dtype))
        return pn_fail(err, PN_EFORMAT, "tensor %.100s holds %s, not weights", name, pn_dtype_name(t->dtype));
    return 0;
}

int pn_tensor_measure(struct pn_tensor *t)
{
    if (t->n_dims < 0 || t->n_dims > PN_MAX_DIMS)
        return -PN_EFORMAT;
    int64_t n = 1;
    for (int i = 0; i < t->n_dims; i++)
        if (t->dim[i] < 0 || __builtin_mul_overflow(n, t->dim[i], &n) || n > PN_TENSOR_MAX_BYTES)
            return -PN_EFORMAT;
    int64_t size = n * (int64_t)pn_dtype_size(t->dtype); /* at most 2^43 */
    size_t block = pn_block_size(t->dtype);
    if (block > 0) {
        if (t->n_dims == 0 || t->dim[t->n_dims - 1] % PN_BLOCK)
            return -PN_EFORMAT;
        size = n / PN_BLOCK * (int64_t)block;
    }
    if (size > PN_TENSOR_MAX_BYTES)
        return -PN_EFORMAT;
    t->n = n;
    t->size = (size_t)size;
    return 0;
}

static void f16_f32(const uint8_t *src, size_t n, float *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + i * sizeof(h), sizeof(h));
        out[i] = pn_f32_of_f16(h);
    }
}

static void bf16_f32(const uint8_t *src, size_t n, float *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, src + i * sizeof(h), sizeof(h));
        out[i] = pn_f32_of_bits((uint32_t)h << 16);
    }
}

static void f64_f32(const uint8_t *src, size_t n, float *restrict out)
{
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, src + i * sizeof(d), sizeof(d));
        out[i] = (float)d;
    }
}

static int blocks_f32(const struct pn_tensor *t, int64_t from, int64_t n, float *out)
{
    if (from % PN_BLOCK || n % PN_BLOCK) /* the end is a multiple as well */
        return -PN_EINVAL;
    const uint8_t *src = (const uint8_t *)t->data + (size_t)(from / PN_BLOCK) * pn_block_size(t->dtype);
    pn_blocks_f32(t->dtype, src, (size_t)(n / PN_BLOCK), out);
    return 0;
}

int pn_tensor_f32(const struct pn_tensor *t, int64_t from, int64_t n, float *out)
{
    if (from < 0 || n < 0 || from > t->n || n > t->n - from)
        return -PN_EINVAL;
    const uint8_t *src = (const uint8_t *)t->data + (size_t)from * pn_dtype_size(t->dtype);
    switch (t->dtype) {
    case PN_DT_F32:
        if (n > 0)
            memcpy(out, src, (size_t)n * sizeof(*out));
        return 0;
    case PN_DT_F16:
        f16_f32(src, (size_t)n, out);
        return 0;
    case PN_DT_BF16:
        bf16_f32(src, (size_t)n, out);
        return 0;
    case PN_DT_F64:
        f64_f32(src, (size_t)n, out);
        return 0;
    case PN_DT_Q4_0:
    case PN_DT_Q4_1:
    case PN_DT_Q5_0:
    case PN_DT_Q5_1:
    case PN_DT_Q8_0:
        return blocks_f32(t, from, n, out);
    case PN_DT_I8:
    case PN_DT_I32:
    case PN_DT_I64:
        return -PN_EUNSUPPORTED;
    }
    PN_UNREACHABLE();
}
