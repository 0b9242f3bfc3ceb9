/* utterance.h - utterances and the inner streams that hear them. The scheduler's thread only, except free. */
#ifndef PN_ASR_PIPELINE_UTTERANCE_H
#define PN_ASR_PIPELINE_UTTERANCE_H

#include "asr/pipeline/stream.h"

/* Appends an utterance to the stream's list. NULL without memory. */
struct pn_utterance *pn_utterance_new(struct pn_pipeline_stream *s, enum pn_utterance_state state);
struct pn_utterance *pn_utterance_free(struct pn_utterance *u); /* closes its inner stream, too */
/* It begins at `start`; of an open one the end is not known yet. -PN_ENOMEM. */
PN_MUST_CHECK int pn_utterance_begin(struct pn_utterance *u, int64_t start);
/* Its last span ends at `end`: copies from the track what is still to be heard of it. -PN_ENOMEM. */
PN_MUST_CHECK int pn_utterance_end(struct pn_pipeline_stream *s, struct pn_utterance *u, int64_t end);
/* Seconds from its beginning as seconds of the stream; an end at a joint belongs to the part before. */
double pn_utterance_time(const struct pn_utterance *u, double seconds, bool is_end);
size_t pn_utterance_length(const struct pn_utterance *u); /* samples in its spans that have ended */
int64_t pn_utterance_start(const struct pn_utterance *u); /* sample of the stream */

enum pn_hearing { PN_HEAR_FINAL, PN_HEAR_DRAFT, PN_HEAR_SECOND };

/* Gives it an inner stream that hears it from its beginning, and feeds what fits in. */
PN_MUST_CHECK int pn_utterance_hear(struct pn_pipeline_stream *s, struct pn_utterance *u, enum pn_hearing how,
                                    struct pn_err *err);
/* Feeds what there is to feed and fits in. 0 or what the inner stream's feed or finish says. */
PN_MUST_CHECK int pn_utterance_pump(struct pn_pipeline_stream *s, struct pn_utterance *u);
void pn_utterance_drop_inner(struct pn_utterance *u);

#endif
