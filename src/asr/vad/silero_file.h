/* silero_file.h - the weights of Silero VAD from its ggml file (spec silero-vad 2), as f32. Every byte is
 * from outside: lengths are checked against the file, names and sizes against what the network is. */
#ifndef PN_ASR_VAD_SILERO_FILE_H
#define PN_ASR_VAD_SILERO_FILE_H

#include "base/attr.h"
#include "base/error.h"
#include "base/str.h"

enum {
    PN_SILERO_WINDOW = 512, /* samples that a step takes */
    PN_SILERO_CONTEXT = 64, /* and those before and after them that it sees */
    PN_SILERO_BINS = 129,
    PN_SILERO_STFT = 256, /* points of a short-time spectrum; a hop is half of it */
    PN_SILERO_HIDDEN = 128,
    PN_SILERO_GATES = 4 * PN_SILERO_HIDDEN,
    PN_SILERO_CONVS = 4,
    PN_SILERO_TAPS = 3,
};

struct pn_silero_weights {
    float basis[2 * PN_SILERO_BINS][PN_SILERO_STFT]; /* cosines, then minus sines, windowed */
    float conv0[128][129][PN_SILERO_TAPS], conv0_bias[128];
    float conv1[64][128][PN_SILERO_TAPS], conv1_bias[64];
    float conv2[64][64][PN_SILERO_TAPS], conv2_bias[64];
    float conv3[128][64][PN_SILERO_TAPS], conv3_bias[128];
    float in[PN_SILERO_GATES][PN_SILERO_HIDDEN], in_bias[PN_SILERO_GATES];
    float recurrent[PN_SILERO_GATES][PN_SILERO_HIDDEN], recurrent_bias[PN_SILERO_GATES];
    float head[PN_SILERO_HIDDEN], head_bias[1];
};

/* Parses a whole file; `name` is for messages. -PN_EFORMAT; *ret may be half filled then. */
PN_MUST_CHECK int pn_silero_parse(struct pn_str file, const char *name, struct pn_silero_weights *ret,
                                  struct pn_err *err);
/* The file at `path` on the heap; free() it. -PN_ENOTFOUND, -PN_EIO, -PN_EFORMAT, -PN_ENOMEM. */
PN_MUST_CHECK int pn_silero_read(const char *path, struct pn_silero_weights **ret, struct pn_err *err);

#endif
