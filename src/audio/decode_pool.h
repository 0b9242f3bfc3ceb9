/* decode_pool.h - the part of the pool that decoders see. */
#ifndef PN_AUDIO_DECODE_POOL_H
#define PN_AUDIO_DECODE_POOL_H

#include "audio/decode_child.h"

/* A child that is ready and has said nothing but READY; the caller's. Waits for one while it starts; when the
 * program cannot run any more, as pn_decoder_pool_new. Any thread. */
PN_MUST_CHECK int pn_decode_pool_take(struct pn_decoder_pool *p, struct pn_decode_child **ret,
                                      struct pn_err *err);
const struct pn_decoder_options *pn_decode_pool_options(const struct pn_decoder_pool *p);

#endif
