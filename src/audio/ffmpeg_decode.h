/* ffmpeg_decode.h - one file to 16 kHz mono float by FFmpeg's libraries. Linked into pinna-decode only. */
#ifndef PN_AUDIO_FFMPEG_DECODE_H
#define PN_AUDIO_FFMPEG_DECODE_H

#include "audio/decoder.h"
#include "base/attr.h"

#include <stddef.h>

struct pn_decode_source {
    int fd;              /* borrowed; read with pread, so its offset is neither used nor moved */
    int64_t size;        /* bytes; nothing beyond is read */
    int64_t max_samples; /* more is -PN_ELIMIT */
    int64_t memory_mb;   /* the largest single allocation, and for the text */
};

/* Where it goes. A negative return ends the decode with that. */
struct pn_decode_sink {
    int (*info)(void *ctx, const struct pn_decoder_info *info); /* once, before samples */
    int (*pcm)(void *ctx, const float *pcm, size_t n);          /* 1 to cap samples in [-1,1] */
    void *ctx;
};

/* Before the cage closes: everything that the libraries would open or look up later. */
void pn_ffmpeg_warm_up(void);
/* The whole file. *ret_samples: how many were given. -PN_EFORMAT (nothing in it could be decoded),
 * -PN_ELIMIT, -PN_EIO, or the sink's. Damaged parts in the middle are skipped, as players do. */
PN_MUST_CHECK int pn_ffmpeg_decode(const struct pn_decode_source *src, const struct pn_decode_sink *sink,
                                   int64_t *ret_samples, struct pn_err *err);

#endif
