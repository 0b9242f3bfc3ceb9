/* paraformer_capture.h - what goes through the engine while a recogniser runs, for comparison with the
 * reference.
 *
 * The program is linked with --wrap for the engine's calls; one stream runs at a time. */
#ifndef PN_TESTS_PARAFORMER_CAPTURE_H
#define PN_TESTS_PARAFORMER_CAPTURE_H

#include "asr/paraformer/engine.h"

/* Rows of floats, one below the other. */
struct capture_rows {
    float *at;
    size_t rows, width;
};

struct capture {
    struct capture_rows encoder; /* output of the encoder, all chunks */
    struct capture_rows alpha;   /* width 1: the predictor's weights, all chunks, as it made them */
    struct capture_rows embeds;  /* acoustic embeddings */
    struct capture_rows logprob; /* log softmax of all ids */
    struct {
        int rows, tokens;
    } chunk[256];
    size_t n_chunks;
    int32_t ids[4096];
    size_t n_ids;
};

extern struct capture capture;
void capture_clear(void);

#endif
