/* precision.h - how weights and the large products are held. Softmax, layer norm, log-mel and the statistics
 * of the decoder are f32 whatever the setting. */
#ifndef PN_NN_PRECISION_H
#define PN_NN_PRECISION_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum pn_precision {
    PN_INT8, /* s8 weights per output channel, u8 activations per row; attention as narrow as the CPU has it
              */
    PN_F32,  /* what golden tests use */
};

/* "int8", "f32"; -PN_EINVAL otherwise. */
PN_MUST_CHECK int pn_precision_parse(struct pn_str name, enum pn_precision *ret);
const char *pn_precision_name(enum pn_precision p);

#endif
