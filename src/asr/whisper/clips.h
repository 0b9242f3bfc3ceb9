/* clips.h - which frames of a recording are transcribed: clip times, and the cuts of batch mode. */
#ifndef PN_ASR_WHISPER_CLIPS_H
#define PN_ASR_WHISPER_CLIPS_H

#include "audio/mel.h"

#include <stddef.h>
#include <stdint.h>

/* Frames of 10 ms, [from, to). */
struct pn_clip {
    int64_t from, to;
};

/* Pairs of `seconds` (start, end, start ...), an odd last one running to the end, none meaning everything;
 * clamped to [0, content]: the reference does not clamp, and may then never advance. `out` holds n / 2 + 1.
 * Returns how many. */
int pn_clips_from_seconds(const double *seconds, size_t n, int64_t content, struct pn_clip *out);

/* Batch mode: cuts the clips into pieces of at most `max` frames. A frame's level is the mean of its log-mel
 * row. Where a clip goes on for more than `max` frames it is cut in the last third of them, at the lowest
 * level averaged over 0.3 s. Silence of a second and more at the start of a piece is left out but for 0.2 s;
 * silence is what lies in the lower quarter between the recording's quiet (5 %) and loud (95 %) levels, if
 * these differ at all. *ret is malloc'd, n pieces in order. -PN_ENOMEM. */
PN_MUST_CHECK int pn_clips_cut(const struct pn_features *f, int n_mels, const struct pn_clip *clips,
                               int n_clips, int max, struct pn_clip **ret, int *ret_n);
/* The same over levels that are known: level[frame]. */
PN_MUST_CHECK int pn_clips_cut_levels(const float *level, int64_t n_frames, const struct pn_clip *clips,
                                      int n_clips, int max, struct pn_clip **ret, int *ret_n);

#endif
