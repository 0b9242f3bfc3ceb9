/* segmenter.h - from one probability a frame to segments, as they come, by the rules of Silero's
 * get_speech_timestamps (spec silero-vad 4 and 5): the boundaries of a stream are those of the whole clip.
 *
 * Speech begins at a frame of at least `threshold` and ends where probabilities fall below `silence` for
 * min_silence; a segment longer than max_speech is cut at its longest silence. A start is told when its
 * segment is known to be longer than min_speech, an end when no start can follow that would share its
 * padding: both after the fact, with the sample where they lie. All lengths are in samples. */
#ifndef PN_ASR_VAD_SEGMENTER_H
#define PN_ASR_VAD_SEGMENTER_H

#include "asr/vad/events.h"

struct pn_segmenter_options {
    int frame;                 /* samples that a probability stands for */
    double threshold, silence; /* silence <= threshold */
    int64_t min_speech, min_silence, pad;
    int64_t max_speech; /* 1..PN_SEGMENTER_LONGEST, or PN_SEGMENTER_ENDLESS */
};

#define PN_SEGMENTER_LONGEST (60 * 16000)
#define PN_SEGMENTER_ENDLESS INT64_MAX

/* Silences inside a segment that last 98 ms; with the frame before each, no more fit into the longest one. */
enum { PN_SEGMENTER_SILENCES = 612, PN_SEGMENTER_PAUSE = 1568 };

struct pn_segmenter {
    struct pn_segmenter_options opt;
    struct pn_vad_events *events; /* borrowed: where boundaries go */
    int64_t at;                   /* the next frame begins here */
    bool in_speech, told;         /* told: this segment's start */
    int64_t start, quiet_from;    /* of this segment; of the silence within it, 0: none */
    bool end_waits;               /* an end whose padding is not known yet */
    int64_t end;
    int n_silences; /* of this segment, candidates for a cut */
    struct pn_segmenter_silence {
        int64_t from, n;
    } silence[PN_SEGMENTER_SILENCES];
};

/* max_speech of segments that last max_ms at most (0: 60 s) with their padding and the frame that goes
 * beyond. */
int64_t pn_segmenter_longest(int max_ms, int64_t pad, int frame);
void pn_segmenter_init(struct pn_segmenter *s, const struct pn_segmenter_options *opt,
                       struct pn_vad_events *events);
/* The next frame's probability. `until`: the clip's samples if it ends within this frame, else the frame's
 * end. */
void pn_segmenter_feed(struct pn_segmenter *s, double p, int64_t until);
/* The clip has n samples. */
void pn_segmenter_end(struct pn_segmenter *s, int64_t n);
/* No boundary to come lies before this sample. */
int64_t pn_segmenter_settled(const struct pn_segmenter *s);

#endif
