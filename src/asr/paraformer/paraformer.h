/* paraformer.h - Paraformer, offline and streaming, as recognisers (spec paraformer 3 and 4).
 *
 * Knows the classes Paraformer, BiCifParaformer, SeacoParaformer and ParaformerStreaming. The offline
 * recogniser computes an utterance when its audio has ended (the pipeline cuts long ones); the streaming one
 * step of chunk after step as the audio comes. Results are tokens and times per sentence; punctuation and
 * numbers are others' business. */
#ifndef PN_ASR_PARAFORMER_PARAFORMER_H
#define PN_ASR_PARAFORMER_PARAFORMER_H

#include "asr/recognizer.h"
#include "nn/pool.h"
#include "nn/precision.h"

struct pn_paraformer; /* a model in memory: immutable, shared */

struct pn_paraformer_options {
    const char *path;      /* the folder */
    const char *name;      /* what results call it; "" = the folder's name */
    const char *cache_dir; /* for packed files that cannot lie beside their source; "" = nowhere */
    enum pn_precision precision;
    bool no_packed_file;  /* keep packed weights in memory only (tests) */
    struct pn_pool *pool; /* to pack with, once; may be NULL */
    void (*progress)(void *ctx, double fraction);
    void *ctx;
};

PN_MUST_CHECK int pn_paraformer_open(const struct pn_paraformer_options *opt, struct pn_paraformer **ret,
                                     struct pn_err *err);
struct pn_paraformer *pn_paraformer_close(struct pn_paraformer *p); /* accepts NULL, returns NULL */
bool pn_paraformer_is_streaming(const struct pn_paraformer *p);
/* Takes the model on success (the recogniser's free closes it); borrows the pool. */
PN_MUST_CHECK int pn_paraformer_recognizer_new(struct pn_paraformer *model, struct pn_pool *pool,
                                               struct pn_recognizer **ret, struct pn_err *err);

#endif
