/* embedding.h - a vector for each word, as a section of the packed file: a row after the other, so that only
 * the words that occur are ever read. f32, or 8 bits a number with a scale per row. */
#ifndef PN_ASR_PUNCTUATION_EMBEDDING_H
#define PN_ASR_PUNCTUATION_EMBEDDING_H

#include "model/packed.h"
#include "nn/precision.h"

struct pn_mark_embedding {
    enum pn_precision precision;
    size_t n, width;
    const char *rows; /* in the packed file */
};

/* Adds the section from `t` [n][width]. -PN_EFORMAT (values that are not finite), -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_mark_embedding_add(const struct pn_mark_embedding *e, const struct pn_tensor *t,
                                        struct pn_packed_writer *out, struct pn_err *err);
/* Finds the section. -PN_EFORMAT. */
PN_MUST_CHECK int pn_mark_embedding_bind(struct pn_mark_embedding *e, const struct pn_packed *packed,
                                         struct pn_err *err);
/* The vector of word `id` (below n) into out[width]. */
void pn_mark_embedding_row(const struct pn_mark_embedding *e, size_t id, float *out);

#endif
