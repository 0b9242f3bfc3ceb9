/* plan.h - what a stream of the pipeline will do, from what is wanted and what is there. */
#ifndef PN_ASR_PIPELINE_PLAN_H
#define PN_ASR_PIPELINE_PLAN_H

#include "asr/pipeline/stream.h"

struct pn_plan pn_plan_make(const struct pn_pipeline *p, const struct pn_recognition *want);
/* Copies `want` into the stream. -PN_ENOMEM. */
PN_MUST_CHECK int pn_plan_copy_want(struct pn_pipeline_stream *s, const struct pn_recognition *want);

#endif
