/* tensor.h - a named array inside a mapped checkpoint, and its values as f32. */
#ifndef PN_MODEL_TENSOR_H
#define PN_MODEL_TENSOR_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum pn_dtype {
    PN_DT_F32,
    PN_DT_F16,
    PN_DT_BF16,
    PN_DT_F64,
    PN_DT_Q4_0, /* ggml's blocks of 32 along the last dimension */
    PN_DT_Q4_1,
    PN_DT_Q5_0,
    PN_DT_Q5_1,
    PN_DT_Q8_0,
    PN_DT_I8,
    PN_DT_I32,
    PN_DT_I64,
};

enum { PN_MAX_DIMS = 4, PN_SHAPE_TEXT = 96 };
#define PN_TENSOR_MAX_BYTES ((int64_t)1 << 40)

struct pn_tensor {
    struct pn_str name; /* borrowed from the checkpoint */
    enum pn_dtype dtype;
    int n_dims;               /* 0..4 */
    int64_t dim[PN_MAX_DIMS]; /* row-major, slowest first: linear weights are [out][in] in every format */
    int64_t n;                /* elements: the product, checked */
    const void *data;         /* in the mapping, `size` bytes, any alignment */
    size_t size;
};

/* Elements [from, from + n) as f32 into out; from and n are multiples of 32 for the block types (or n reaches
 * the end). -PN_EINVAL outside the tensor, -PN_EUNSUPPORTED for the integer types. */
PN_MUST_CHECK int pn_tensor_f32(const struct pn_tensor *t, int64_t from, int64_t n, float *out);
const char *pn_dtype_name(enum pn_dtype t);
bool pn_dtype_is_real(enum pn_dtype t); /* no whole numbers: pn_tensor_f32() reads it */
size_t pn_dtype_size(enum pn_dtype t);  /* bytes of one element; 0 for block types */
/* Dimensions for messages: "512 x 80 x 3". */
void pn_shape_text(int n_dims, const int64_t *dim, char out[PN_SHAPE_TEXT]);
/* Whether `t`, the tensor `name` (NULL: there is none), holds weights and has, but for dimensions of 1, the
 * shape want[0] x want[1] x want[2]; else -PN_EFORMAT, and the text says what is wrong with it. */
PN_MUST_CHECK int pn_tensor_expect(const struct pn_tensor *t, const char *name, const int64_t want[3],
                                   struct pn_err *err);
/* For readers: sets n and size from dtype and dims. -PN_EFORMAT for a negative dimension, too many of them,
 * more than 2^40 bytes, or rows that are not whole blocks. */
PN_MUST_CHECK int pn_tensor_measure(struct pn_tensor *t);

#endif
