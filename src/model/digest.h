/* digest.h - a quick 128-bit fingerprint, to tell versions of a file apart.
 *
 * Not cryptographic, and it need not be: whoever could forge a source with the fingerprint of another could
 * as well write the packed file itself. It runs at every start, over headers and vocabularies of megabytes.
 */
#ifndef PN_MODEL_DIGEST_H
#define PN_MODEL_DIGEST_H

#include "base/str.h"

struct pn_digest {
    uint64_t a, b;
};

void pn_digest_init(struct pn_digest *d);
/* Pieces are kept apart: ("ab", "c") and ("a", "bc") differ. */
void pn_digest_add(struct pn_digest *d, struct pn_str piece);
void pn_digest_done(const struct pn_digest *d, uint8_t ret_hash[16]);

#endif
