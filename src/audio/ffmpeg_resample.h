/* ffmpeg_resample.h - decoded frames of any format to bounded blocks of 16 kHz mono float in [-1,1]. */
#ifndef PN_AUDIO_FFMPEG_RESAMPLE_H
#define PN_AUDIO_FFMPEG_RESAMPLE_H

#include "audio/ffmpeg_decode.h"

struct AVFrame;
struct pn_resampler;

/* `sink` is borrowed. */
PN_MUST_CHECK int pn_resampler_new(const struct pn_decode_sink *sink, int64_t max_samples,
                                   struct pn_resampler **ret);
struct pn_resampler *pn_resampler_free(struct pn_resampler *r); /* accepts NULL, returns NULL */
/* Rate, layout and format may change from frame to frame. -PN_ELIMIT, -PN_EFORMAT, or the sink's. */
PN_MUST_CHECK int pn_resampler_frame(struct pn_resampler *r, const struct AVFrame *frame, struct pn_err *err);
PN_MUST_CHECK int pn_resampler_flush(struct pn_resampler *r,
                                     struct pn_err *err);   /* the filter's tail, the last block */
int64_t pn_resampler_samples(const struct pn_resampler *r); /* given to the sink */

#endif
