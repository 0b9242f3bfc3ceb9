/* fbank.h - Kaldi's log filter bank with low frame rate stacking and CMVN (spec paraformer 1), whole or as
 * audio arrives: frames and rows are counted from the start of the clip, so the rows are the same bits
 * however the samples are cut.
 *
 * A frame is 25 ms, a hop 10 ms. Row i holds frames n*i - (m-1)/2 .. + m - 1 beside each other, each index
 * clamped to what exists: `width` = m * n_mels values, (x + shift) * scale. Paraformer has m 7, n 6 (a row is
 * 60 ms), FSMN-VAD m 5, n 1. */
#ifndef PN_AUDIO_FBANK_H
#define PN_AUDIO_FBANK_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PN_FBANK_WINDOW = 400, PN_FBANK_HOP = 160, PN_FBANK_FFT = 512 };

struct pn_fbank_options {
    int n_mels;                 /* 1..128; 80 */
    int lfr_m, lfr_n;           /* 1..16 */
    bool povey;                 /* else hamming */
    const float *shift, *scale; /* [lfr_m * n_mels], copied; NULL: none */
};

struct pn_fbank;        /* tables: immutable, shared */
struct pn_fbank_stream; /* one clip; one owner */

PN_MUST_CHECK int pn_fbank_new(const struct pn_fbank_options *opt,
                               struct pn_fbank **ret); /* -PN_EINVAL, -PN_ENOMEM */
struct pn_fbank *pn_fbank_free(struct pn_fbank *f);
int pn_fbank_width(const struct pn_fbank *f); /* values of a row */

PN_MUST_CHECK int pn_fbank_stream_new(const struct pn_fbank *f, struct pn_fbank_stream **ret); /* borrows f */
struct pn_fbank_stream *pn_fbank_stream_free(struct pn_fbank_stream *s);
/* A new clip begins. What the last one needed is given back: a stream between clips holds 4 KB. */
void pn_fbank_stream_reset(struct pn_fbank_stream *s);
/* Appends samples (16 kHz mono, -1..1; scaled to 16 bits inside); one that is NaN or beyond +-1024 counts as
 * 0. Frames are kept (n_mels * 4 bytes every 10 ms) until the rows that need them are taken. -PN_ENOMEM: none
 * was taken; -PN_EINVAL after the end. */
PN_MUST_CHECK int pn_fbank_stream_feed(struct pn_fbank_stream *s, const float *pcm, size_t n);
void pn_fbank_stream_end(struct pn_fbank_stream *s); /* no more will come: the last rows become ready */
size_t pn_fbank_stream_ready(const struct pn_fbank_stream *s); /* rows that can be taken now */
/* Takes the next n rows (n <= ready) into out[n][width]. What they alone needed is forgotten. */
void pn_fbank_stream_take(struct pn_fbank_stream *s, size_t n, float *out);
int64_t pn_fbank_stream_samples(const struct pn_fbank_stream *s); /* fed so far */

#endif
