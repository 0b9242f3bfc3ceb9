/* parts.h - what a packed Whisper consists of: one list, by which it is packed and by which it is opened. */
#ifndef PN_ASR_WHISPER_PARTS_H
#define PN_ASR_WHISPER_PARTS_H

#include "asr/whisper/model.h"
#include "asr/whisper/names.h"

enum { PN_PART_SOURCES = 3, PN_PART_NAME = PN_PACKED_NAME_MAX + 1 };

enum pn_part_kind {
    PN_PART_LINEAR, /* a packed layer */
    PN_PART_CONV,   /* the same of [out][in][3] weights, turned into [out][3][in] */
    PN_PART_VALUES, /* n x k floats as they are */
};

/* A section. A layer's output channels may come from several tensors below each other, n / n_sources of each;
 * a source without a bias has zeros. */
struct pn_part {
    enum pn_part_kind kind;
    enum pn_precision precision;
    int n, k;
    int n_sources;
    char name[PN_PART_NAME];
    char weight[PN_PART_SOURCES][PN_PART_NAME];
    char bias[PN_PART_SOURCES][PN_PART_NAME]; /* "" = none */
    struct pn_linear *linear;                 /* where the view goes; NULL for values */
    const float **values;                     /* where the pointer goes; NULL for layers */
};

struct pn_parts {
    struct pn_part *part;
    size_t n;
};

/* The parts of a model of w->dims and w->precision, pointing into w, whose layer arrays exist. -PN_ENOMEM. */
PN_MUST_CHECK int pn_parts_new(struct pn_whisper *w, struct pn_parts *ret);
void pn_parts_done(struct pn_parts *p);
size_t pn_part_size(const struct pn_part *p); /* bytes of the section; 0: out of range */

#endif
