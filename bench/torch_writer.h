/* torch_writer.h - writes a torch checkpoint: a zip of the pickle of a dict of f32 tensors and one file a
 * tensor, as torch.save() lays it out. Tensors go to disk as they come. A failure sticks and is told at the
 * end. */
#ifndef PN_BENCH_TORCH_WRITER_H
#define PN_BENCH_TORCH_WRITER_H

#include "base/attr.h"
#include "base/error.h"

#include <stdint.h>

struct pn_torch_writer;

PN_MUST_CHECK int pn_torch_writer_open(const char *path, struct pn_torch_writer **ret, struct pn_err *err);
/* The next tensor; the product of `dim` (slowest first) is how many values pn_torch_writer_put() must then
 * bring. */
void pn_torch_writer_begin(struct pn_torch_writer *w, const char *name, int n_dims, const int *dim);
void pn_torch_writer_put(struct pn_torch_writer *w, const float *values, size_t n);
/* Ends the file and frees `w`: 0, -PN_EIO, -PN_ENOMEM, -PN_ELIMIT (4 GB and more). */
PN_MUST_CHECK int pn_torch_writer_close(struct pn_torch_writer *w, struct pn_err *err);

#endif
