/* parts.h - what a packed model consists of: one list, by which it is packed and by which it is opened.
 *
 * A model describes itself once, part after part; the list then says which tensors of the checkpoint make up
 * each section of the packed file and which pointer of the model each section belongs to. A failure while it
 * grows is kept in `failed` and told by pn_parts_check(). */
#ifndef PN_ASR_PARTS_H
#define PN_ASR_PARTS_H

#include "model/packed.h"
#include "nn/linear.h"
#include "nn/norm.h"

enum { PN_PART_NAME = PN_PACKED_NAME_MAX + 1 };

enum pn_part_kind {
    PN_PART_LINEAR,     /* a packed layer of weights [n][k] */
    PN_PART_CONV,       /* of weights [n][k / taps][taps], turned: inputs in the order [taps][channels] */
    PN_PART_TRANSPOSED, /* of a transposed convolution [k][n / taps][taps]: output j * n / taps + o is w[:, o,
                           j] */
    PN_PART_VALUES,     /* n x k floats as they are */
    PN_PART_TURNED,     /* a tensor [n][1][k] as floats [k][n] */
};

/* Tensors that make up a part. A bias that is "" is zeros; two are added. A transposed convolution's bias has
 * n / taps values, one an output channel. */
struct pn_part_source {
    char weight[PN_PART_NAME], bias[PN_PART_NAME], more_bias[PN_PART_NAME];
};

struct pn_part {
    enum pn_part_kind kind;
    enum pn_precision precision;
    int n, k, taps;
    size_t first, n_sources;  /* in the list's sources; n / n_sources output channels come from each */
    char name[PN_PART_NAME];  /* of the section */
    struct pn_linear *linear; /* where the view goes; NULL for values */
    const float **values;     /* where the pointer goes; NULL for layers */
};

struct pn_parts {
    struct pn_part *part;
    size_t n, cap;
    struct pn_part_source *source;
    size_t n_sources, cap_sources;
    char prefix[PN_PART_NAME]; /* of the names of all parts and tensors that are added */
    int failed;                /* sticky: 0, -PN_ENOMEM, -PN_ELIMIT (a name that is too long) */
};

/* An empty list is all zero. */
void pn_parts_done(struct pn_parts *p);
PN_MUST_CHECK int pn_parts_check(const struct pn_parts *p); /* 0, or why the list is not whole */

/* From here on names begin with this ("encoder.blocks.%d."). */
void pn_parts_prefix(struct pn_parts *p, const char *fmt, ...) PN_PRINTF(2, 3);
/* A layer whose tensors OWNER.weight and, with `bias`, OWNER.bias give the section its name, too. */
void pn_parts_linear(struct pn_parts *p, enum pn_precision q, int n, int k, const char *owner, bool bias,
                     struct pn_linear *to);
void pn_parts_conv(struct pn_parts *p, enum pn_precision q, int outputs, int channels, int taps,
                   const char *owner, struct pn_linear *to);
/* The layer has taps * outputs outputs and `channels` inputs. */
void pn_parts_transposed(struct pn_parts *p, enum pn_precision q, int channels, int outputs, int taps,
                         const char *owner, struct pn_linear *to);
/* A layer without tensors yet, to be followed by its sources, each with as many output channels, below each
 * other. */
void pn_parts_stack(struct pn_parts *p, enum pn_precision q, int n, int k, const char *name,
                    struct pn_linear *to);
/* One more source of the newest part; biases may be NULL. */
void pn_parts_source(struct pn_parts *p, const char *weight, const char *bias, const char *more_bias);
void pn_parts_owner(struct pn_parts *p, const char *owner, bool bias); /* OWNER.weight and OWNER.bias */
void pn_parts_values(struct pn_parts *p, int n, int k, const char *tensor, const float **to);
void pn_parts_turned(struct pn_parts *p, int n, int k, const char *tensor, const float **to);
void pn_parts_norm(struct pn_parts *p, int n, const char *owner, struct pn_norm *to); /* both its values */

size_t pn_part_size(const struct pn_part *p); /* bytes of the section; 0: out of range */

#endif
