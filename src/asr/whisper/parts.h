/* parts.h - what a packed Whisper consists of. */
#ifndef PN_ASR_WHISPER_PARTS_H
#define PN_ASR_WHISPER_PARTS_H

#include "asr/whisper/model.h"

/* Fills the empty list with the parts of a model of w->dims and w->precision, pointing into w, whose layer
 * arrays exist; names are OpenAI's. */
void pn_whisper_parts(struct pn_whisper *w, struct pn_parts *p);

#endif
