/* model.h - a Paraformer in memory: sizes, tokens, front-end and packed weights (spec paraformer 2 and 3).
 * Immutable after open, shared by all streams and threads. */
#ifndef PN_ASR_PARAFORMER_MODEL_H
#define PN_ASR_PARAFORMER_MODEL_H

#include "asr/paraformer/paraformer.h"
#include "asr/sanm/sanm.h"
#include "audio/fbank.h"
#include "model/funasr.h"
#include "model/packed.h"
#include "nn/lstm.h"

/* Ids that stand for no text. */
enum { PN_PF_BLANK = 0, PN_PF_START = 1, PN_PF_END = 2 };

/* A stack of decoder blocks. */
struct pn_pf_stack {
    int size, heads, hidden;
    int n_cross, n_plain; /* blocks with attention, then blocks without */
    int kernel, left;     /* taps; how many of them lie before the row */
};

struct pn_pf_dims {
    struct pn_pf_stack decoder;
    struct pn_pf_stack seaco; /* for hot words; n_cross 0: there is none */
    int n_mels, lfr_m, lfr_n;
    bool povey;
    int n_vocab;
    double threshold, tail, smooth, noise; /* CIF */
    int upsample;                          /* steps of the time-stamp head a row; 0: there is none */
    double smooth2, noise2;
    int no_bias; /* id by which the hot word decoder says: none of mine */
};

struct pn_pf_predictor {
    struct pn_linear conv; /* [size][3 size], f32 in every precision */
    const float *weight;   /* [size] */
    const float *bias;     /* [1] */
};

/* What a block does before it looks at the memory, and all that the last one does (3.4). */
struct pn_pf_feed_forward {
    struct pn_norm norm1, inner; /* over size; over hidden */
    struct pn_linear w1, w2;     /* w2 without bias */
};

struct pn_pf_decoder_block {
    struct pn_pf_feed_forward ff;
    struct pn_norm norm2, norm3;
    const float *taps;           /* [kernel][size] */
    struct pn_linear q, kv, out; /* kv [2 size][size]; none in the plain blocks */
};

struct pn_pf_decoder {
    enum pn_precision precision;
    struct pn_pf_stack dims;
    struct pn_pf_decoder_block *block; /* [n_cross + n_plain] */
    struct pn_pf_feed_forward last;
    struct pn_norm after;
};

/* Time-stamp head (V3): transposed convolution, bidirectional LSTM, weights per step. */
struct pn_pf_head {
    struct pn_linear up; /* [upsample size][size]: row j size + o is output o of step j */
    struct pn_lstm forward, backward;
    const float *weight; /* [2 size] */
    const float *bias;   /* [1] */
};

/* Hot words (SeACo). */
struct pn_pf_seaco {
    const float *embedding; /* [n_vocab][size] */
    struct pn_lstm lstm[2];
    struct pn_pf_decoder decoder;
    struct pn_linear output; /* [n_vocab][size] */
};

/* -PN_EUNSUPPORTED when the folder holds a model of another class. */
PN_MUST_CHECK int pn_pf_check_class(const struct pn_funasr *f, struct pn_err *err);
/* Reads the sizes of all but the encoder from the folder's config.yaml and, where that says nothing or the
 * wrong thing, from its tensors. -PN_EFORMAT: also when they do not fit the encoder. */
PN_MUST_CHECK int pn_pf_dims_read(const struct pn_funasr *f, const struct pn_sanm *encoder,
                                  struct pn_pf_dims *ret, struct pn_err *err);

struct pn_paraformer {
    char name[64];
    enum pn_precision precision;
    bool streaming;
    struct pn_pf_dims dims;
    struct pn_fbank *fbank;
    struct pn_sanm encoder;
    struct pn_pf_predictor predictor;
    struct pn_pf_decoder decoder;
    struct pn_linear output; /* [n_vocab][size] */
    struct pn_pf_head head;
    struct pn_pf_seaco seaco;
    struct pn_funasr *folder;       /* tokens, pieces of words */
    struct pn_hot_lists *hot_lists; /* with `seaco`, else NULL */
    struct pn_packed *packed;       /* what the views above point into */
};

#endif
