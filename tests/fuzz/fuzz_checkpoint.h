/* fuzz_checkpoint.h - what must be true of a checkpoint whatever it was read from, for the targets. */
#ifndef PN_TESTS_FUZZ_CHECKPOINT_H
#define PN_TESTS_FUZZ_CHECKPOINT_H

#include "model/checkpoint_impl.h"

#include <stdlib.h>

static void check(bool ok)
{
    if (!ok)
        abort();
}

/* All bytes and all values are read, so that a tensor outside of the file, or of what was copied from it, is
 * found by the sanitizer. */
static void check_tensor(const struct pn_checkpoint *c, const struct pn_tensor *t, struct pn_str file)
{
    check(t->n >= 0 && t->n_dims >= 0 && t->n_dims <= PN_MAX_DIMS && t->size <= file.len);
    volatile unsigned char sum = 0;
    for (size_t i = 0; i < t->size; i++)
        sum ^= ((const unsigned char *)t->data)[i];
    (void)sum;
    char name[PN_CHECKPOINT_MAX_NAME + 1];
    check(pn_str_copy(name, sizeof(name), t->name) == 0 && pn_checkpoint_find(c, name) == t);
    float *out = malloc((size_t)t->n * sizeof(*out) + 1);
    check(out != NULL);
    int r = pn_tensor_f32(t, 0, t->n, out);
    check(r == 0 || r == -PN_EUNSUPPORTED);
    check(pn_tensor_f32(t, 0, t->n + 1, out) == -PN_EINVAL);
    free(out);
}

/* `r` and `err` are what the reader said; takes `c`. */
static void check_checkpoint(struct pn_checkpoint *c, struct pn_str file, int r, struct pn_err *err)
{
    check(r == 0 ? err->code == 0 : err->code == -r && err->text[0]);
    if (r == 0)
        r = pn_checkpoint_index(c, err);
    for (size_t i = 0; r == 0 && i < pn_checkpoint_count(c); i++)
        check_tensor(c, pn_checkpoint_at(c, i), file);
    for (size_t i = 0; r == 0 && i < pn_checkpoint_n_tokens(c); i++)
        check(pn_checkpoint_token(c, i).len <= file.len);
    pn_checkpoint_close(c);
}

#endif
