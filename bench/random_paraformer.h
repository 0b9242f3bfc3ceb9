/* random_paraformer.h - folders as ModelScope publishes them with random weights, of the published sizes or
 * smaller: Paraformer in three classes, FSMN-VAD, CT-Transformer. They know nothing, but they cost what
 * trained ones cost: activations stay of the size of trained ones and about one token in four rows of 60 ms
 * fires. */
#ifndef PN_BENCH_RANDOM_PARAFORMER_H
#define PN_BENCH_RANDOM_PARAFORMER_H

#include "base/attr.h"
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

enum pn_random_kind {
    PN_RANDOM_OFFLINE,          /* Paraformer */
    PN_RANDOM_SEACO,            /* SeacoParaformer: time-stamp head and hot words */
    PN_RANDOM_STREAMING,        /* ParaformerStreaming */
    PN_RANDOM_VAD,              /* FsmnVADStreaming; has one size only */
    PN_RANDOM_PUNCTUATION,      /* CTTransformer */
    PN_RANDOM_PUNCTUATION_LIVE, /* CTTransformerStreaming */
};

struct pn_random_sizes {
    enum pn_random_kind kind;
    int size, feed, heads; /* width of a row, of a feed-forward layer; heads divide size */
    int blocks, layers;    /* of the encoder, the decoder */
    int vocabulary;        /* tokens, at least 8 */
};

/* "offline", "seaco", "streaming", "vad", "punc", "punc-live" with the published sizes; false: no such kind.
 */
bool pn_random_sizes_of(const char *name, struct pn_random_sizes *ret);
/* Makes the folder if it is not there and writes every file; the same seed gives the same bytes. */
PN_MUST_CHECK int pn_random_folder_write(const char *folder, const struct pn_random_sizes *sizes,
                                         uint64_t seed, struct pn_err *err);

#endif
