/* flow.h - what happens to the utterances of a stream: from samples to published segments. The scheduler's
 * thread only. A failure ends the stream: it is published, and no more work is offered. */
#ifndef PN_ASR_PIPELINE_FLOW_H
#define PN_ASR_PIPELINE_FLOW_H

#include "asr/pipeline/stream.h"

/* listen.c: whether a LISTEN step would get on; since when, in *ret_since_us. */
bool pn_listen_ready(struct pn_pipeline_stream *s, int64_t *ret_since_us);
/* Takes samples, cuts them, opens and ends utterances. */
PN_MUST_CHECK int pn_listen_step(struct pn_pipeline_stream *s, struct pn_err *err);
double pn_listen_pace(const struct pn_pipeline_stream *s); /* drafts so many times rarer than usual */
/* Lets the open utterance be recognised once more if that is due. */
PN_MUST_CHECK int pn_listen_draft(struct pn_pipeline_stream *s, struct pn_err *err);

/* write.c: the utterance's texts are final but for punctuation and numbers. -PN_ENOMEM. */
PN_MUST_CHECK int pn_write_begin(struct pn_pipeline_stream *s, struct pn_utterance *u);
bool pn_write_ready(const struct pn_pipeline_stream *s);
PN_MUST_CHECK int pn_write_step(struct pn_pipeline_stream *s); /* a bounded piece of it */

/* flow.c: whatever can be done at once after a step, `heard` if inner streams were in it. */
void pn_flow_advance(struct pn_pipeline_stream *s, bool heard);
void pn_flow_fail(struct pn_pipeline_stream *s, int code, const struct pn_err *err);

#endif
