/* cutter.h - where the segments of a stream begin and end: by a voice activity detector, by length, or not at
 * all. One thread. */
#ifndef PN_ASR_PIPELINE_CUTTER_H
#define PN_ASR_PIPELINE_CUTTER_H

#include "asr/pipeline/track.h"
#include "asr/vad/vad.h"

enum pn_cut {
    PN_CUT_NONE,   /* one segment: all of it */
    PN_CUT_LENGTH, /* all of it, in segments of at most `limit` */
    PN_CUT_VAD     /* speech, in segments of at most `limit` */
};

struct pn_cutter {
    enum pn_cut how;
    struct pn_vad *vad; /* owned; PN_CUT_VAD */
    int64_t limit;      /* samples; a longer segment is cut at a pause in its second half; 0: no limit */
    int64_t heard;      /* samples so far */
    bool ended;
    bool open;     /* a segment has begun */
    int64_t start; /* of the open segment; else where the last one ended */
    bool resume;   /* the segment was cut: the next one begins where it ended */
    bool end_known;
    int64_t end; /* if end_known: what the detector said, not told yet */
};

/* Borrows `model` (PN_CUT_VAD) as long as the cutter lives; `opt` may be NULL. -PN_ENOMEM, -PN_EINVAL (opt).
 */
PN_MUST_CHECK int pn_cutter_init(struct pn_cutter *c, enum pn_cut how, const struct pn_vad_model *model,
                                 const struct pn_vad_options *opt, int64_t limit);
void pn_cutter_done(struct pn_cutter *c);
PN_MUST_CHECK int pn_cutter_hear(struct pn_cutter *c, const float *pcm, size_t n); /* as pn_vad_feed */
PN_MUST_CHECK int pn_cutter_end(struct pn_cutter *c);                              /* no more will come */
/* The next boundary, if it is known; starts and ends alternate. `track` has what was heard since `needs`. */
bool pn_cutter_next(struct pn_cutter *c, const struct pn_track *track, struct pn_vad_event *ret);
/* No boundary to come lies before it, and no earlier sample is needed to find one. */
int64_t pn_cutter_needs(const struct pn_cutter *c);

#endif
