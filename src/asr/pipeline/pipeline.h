/* pipeline.h - from a model to what people ask of it: a recogniser that wraps a recogniser.
 *
 * A stream of the pipeline owns inner streams of the wrapped recogniser and passes their work on, so neither
 * the scheduler nor anybody above it sees a difference. What happens in between depends on pn_recognition and
 * on what the wrapped recogniser is (the facts in struct pn_recognizer): see docs/live.md. */
#ifndef PN_ASR_PIPELINE_PIPELINE_H
#define PN_ASR_PIPELINE_PIPELINE_H

#include "asr/recognizer.h"

/* Takes `first` when it succeeds: the pipeline's free frees it. The pipeline has its name. */
PN_MUST_CHECK int pn_pipeline_new(struct pn_recognizer *first, struct pn_recognizer **ret,
                                  struct pn_err *err);
/* The recogniser that the pipeline `r` wraps. */
struct pn_recognizer *pn_pipeline_first(struct pn_recognizer *r);

#endif
