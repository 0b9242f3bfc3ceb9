/* tensor_blocks.h - ggml's quantised blocks of 32 weights, decoded. */
#ifndef PN_MODEL_TENSOR_BLOCKS_H
#define PN_MODEL_TENSOR_BLOCKS_H

#include "model/tensor.h"

enum { PN_BLOCK = 32 };

/* Bytes of a block; 0 for types that are not made of blocks. */
size_t pn_block_size(enum pn_dtype t);
/* n blocks at `src` (any alignment) as 32 n numbers; `t` is a block type. */
void pn_blocks_f32(enum pn_dtype t, const void *src, size_t n, float *out);

#endif
