/* whisper_work.h - how much arithmetic and memory a Whisper's steps need, and so what the machine's peaks
 * allow at best. */
#ifndef PN_BENCH_WHISPER_WORK_H
#define PN_BENCH_WHISPER_WORK_H

#include "asr/whisper/model.h"
#include "machine.h"

/* A 30 s window with its cross keys and values: linear layers at the precision's peak, attention
 * at half of int8's (its products are of 16 bits) or at f32's, convolutions at f32's; softmax, norms and GELU
 * free. */
double pn_encoder_limit_ms(const struct pn_whisper *w, const struct bench_machine *p, int threads);
/* A token of one of `batch` streams: the weights read once for all, its own keys and values, or the
 * arithmetic if that takes longer. */
double pn_decoder_limit_ms(const struct pn_whisper *w, const struct bench_machine *p, int batch, int threads);

#endif
