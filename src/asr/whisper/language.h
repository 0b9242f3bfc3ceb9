/* language.h - which language is spoken, from the logits after sot (spec whisper 4.1). */
#ifndef PN_ASR_WHISPER_LANGUAGE_H
#define PN_ASR_WHISPER_LANGUAGE_H

#include "asr/whisper/vocab.h"

/* Softmax over the language tokens into probs[n_languages]; returns the likeliest token, the lowest id on
 * ties. Logits that are no numbers give English. */
int32_t pn_language_pick(const struct pn_vocab *v, const float *logits, float *probs);

#endif
