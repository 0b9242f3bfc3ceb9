/* pipeline.h - from a model to what people ask of it: a recogniser that wraps a recogniser.
 *
 * A stream of the pipeline owns inner streams of the wrapped recogniser and passes their work on, so neither
 * the scheduler nor anybody above it sees a difference. What happens in between depends on pn_recognition and
 * on what the wrapped recogniser is (the facts in struct pn_recognizer); docs/live.md tells it:
 *
 *   a file                       straight in; with `vad`, or where the model takes one utterance at a time,
 *                                cut, and several segments recognised together
 *   live, a streaming model      straight in while somebody speaks; the second recogniser corrects sentences
 *   live, any other model        the open segment is recognised again and again while it grows, and what two
 *                                results in a row agree on is shown
 *
 * Results of live streams: closed segments, then at most one that is open, and `live_text`, which only
 * grows. Punctuation and numbers are written into the segments' texts, never into their words. */
#ifndef PN_ASR_PIPELINE_PIPELINE_H
#define PN_ASR_PIPELINE_PIPELINE_H

#include "asr/punctuation/punctuation.h"
#include "asr/recognizer.h"
#include "asr/vad/vad.h"

/* What a pipeline uses beside its recogniser; all borrowed, each may be NULL. */
struct pn_pipeline_parts {
    const struct pn_vad_model *vad; /* NULL: audio is cut by length alone */
    int live_pad_ms; /* pn_vad_options.pad_ms of live streams that do not say it; 0: the detector's own */
    const struct pn_punctuation *punctuation; /* for recognisers whose text is bare */
    struct pn_recognizer *second;             /* corrects what a streaming one heard; not a pipeline, without
                                                 threads of its own */
};

/* Takes `first` when it succeeds: the pipeline's free frees it. The pipeline has its name and its facts.
 * `parts` may be NULL: none. */
PN_MUST_CHECK int pn_pipeline_new(struct pn_recognizer *first, const struct pn_pipeline_parts *parts,
                                  struct pn_recognizer **ret, struct pn_err *err);
/* Another second recogniser (as in pn_pipeline_parts); no stream is open. */
void pn_pipeline_set_second(struct pn_recognizer *r, struct pn_recognizer *second);
/* The recogniser that the pipeline `r` wraps. */
struct pn_recognizer *pn_pipeline_first(struct pn_recognizer *r);

#endif
