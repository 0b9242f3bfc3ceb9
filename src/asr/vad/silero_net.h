/* silero_net.h - Silero VAD's network (spec silero-vad 3): one probability of speech for 512 samples. The
 * network is immutable and shared; a state belongs to one stream. */
#ifndef PN_ASR_VAD_SILERO_NET_H
#define PN_ASR_VAD_SILERO_NET_H

#include "asr/vad/silero_file.h"

#include <stdbool.h>

struct pn_silero_net;

/* All zeros at the start of a recording. */
struct pn_silero_state {
    float h[PN_SILERO_HIDDEN], c[PN_SILERO_HIDDEN];
    float context[PN_SILERO_CONTEXT]; /* the samples before the next window */
};

/* What a step computes on its way, for comparison with the reference. */
struct pn_silero_trace {
    float x[PN_SILERO_CONTEXT + PN_SILERO_WINDOW + PN_SILERO_CONTEXT];
    float magnitude[PN_SILERO_BINS * 4];                        /* [frame][bin] */
    float conv0[4 * 128], conv1[2 * 64], conv2[64], conv3[128]; /* [frame][channel] */
    float gates[PN_SILERO_GATES];                               /* before the nonlinearities */
};

PN_MUST_CHECK int pn_silero_net_new(const struct pn_silero_weights *w,
                                    struct pn_silero_net **ret); /* -PN_ENOMEM */
struct pn_silero_net *pn_silero_net_free(struct pn_silero_net *n);
/* Takes window[512] (-1..1) into the state; returns the probability. `mirror`: the 64 samples on the left are
 * this window's own, mirrored, as whisper.cpp has it, instead of the ones before it, as the network was
 * trained. `trace` may be NULL. */
float pn_silero_step(const struct pn_silero_net *n, struct pn_silero_state *s,
                     const float window[PN_SILERO_WINDOW], bool mirror, struct pn_silero_trace *trace);

#endif
