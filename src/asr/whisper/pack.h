/* pack.h - a checkpoint's tensors into the sections of a packed file. */
#ifndef PN_ASR_WHISPER_PACK_H
#define PN_ASR_WHISPER_PACK_H

#include "asr/whisper/parts.h"

/* Checks every tensor that the parts name, then fills their sections of `out` on opt's pool, in pieces of
 * about a megabyte: the model is never in memory as f32. -PN_EFORMAT: the text names the tensor. */
PN_MUST_CHECK int pn_whisper_pack(const struct pn_checkpoint *c, const struct pn_parts *parts,
                                  const struct pn_whisper_options *opt, struct pn_packed_writer *out,
                                  struct pn_err *err);

#endif
