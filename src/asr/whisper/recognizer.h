/* recognizer.h - Whisper as a recogniser: streams whose phases the scheduler batches.
 *
 * Phases of a stream: features while audio arrives, then encoder windows (one stream a step, about 25 ms of
 * it) and decoder rows (all streams that have some, together) in whatever order its transcription asks for.
 */
#ifndef PN_ASR_WHISPER_RECOGNIZER_H
#define PN_ASR_WHISPER_RECOGNIZER_H

#include "asr/recognizer.h"
#include "asr/whisper/model.h"

/* Takes `model` when it succeeds; `pool` is borrowed. All steps run on one thread, the pool's only caller. */
PN_MUST_CHECK int pn_whisper_recognizer_new(struct pn_whisper *model, struct pn_pool *pool,
                                            struct pn_recognizer **ret, struct pn_err *err);

#endif
