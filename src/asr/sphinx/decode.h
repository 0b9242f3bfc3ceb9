/* decode.h - pocketsphinx, wrapped: a decoder takes one whole utterance and gives its words. One thread at a
 * time; decoders share nothing. */
#ifndef PN_ASR_SPHINX_DECODE_H
#define PN_ASR_SPHINX_DECODE_H

#include "asr/sphinx/utterance.h"
#include "base/attr.h"

struct pn_sphinx_decoder;

/* -PN_ENOTFOUND when a file of the model is missing, -PN_EFORMAT when pocketsphinx will not load it. */
PN_MUST_CHECK int pn_sphinx_decoder_new(const char *model_dir, struct pn_sphinx_decoder **ret,
                                        struct pn_err *err);
struct pn_sphinx_decoder *pn_sphinx_decoder_free(struct pn_sphinx_decoder *d); /* accepts NULL */
/* Decodes u->pcm and fills words, n_words, arena, or error: -PN_ECANCELLED when u->abandoned is set before
 * the end, at the next frame of the first pass, or behind the second one if that is running (a tenth of the
 * whole). The result depends on the samples alone, not on what was decoded or broken off before. */
void pn_sphinx_decode(struct pn_sphinx_decoder *d, struct pn_sphinx_utterance *u);

#endif
