/* whispercpp.h - the segments that whisper.cpp makes of a whole clip's Silero probabilities (spec silero-vad
 * 4), its peculiarities included: what a client that moves from there compares with. */
#ifndef PN_ASR_VAD_WHISPERCPP_H
#define PN_ASR_VAD_WHISPERCPP_H

#include <stddef.h>
#include <stdint.h>

struct pn_whispercpp_options {
    float threshold;
    int min_speech_ms, min_silence_ms, pad_ms;
    float max_speech_s; /* above 100000: none; whole seconds count */
};

struct pn_whispercpp_segment {
    int64_t start, end; /* samples */
};

/* p[n]: one probability for each 512 samples. Writes at most n segments; returns how many. */
size_t pn_whispercpp_segments(const struct pn_whispercpp_options *opt, const float *p, size_t n,
                              struct pn_whispercpp_segment *ret);
/* As whisper.cpp counts time. */
int64_t pn_whispercpp_centiseconds(int64_t samples);

#endif
