/* tensor.c - values of tensors as f32. */
#include "model/tensor.h"

const char *pn_dtype_name(enum pn_dtype t)
{
    static const char *const NAMES[] = { "f32",  "f16",  "bf16", "f64", "q4_0", "q4_1",
                                         "q5_0", "q5_1", "q8_0", "i8",  "i32",  "i64" };
    return NAMES[t];
}
