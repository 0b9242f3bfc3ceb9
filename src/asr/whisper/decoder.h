/* decoder.h - decoder rows: tokens of any mix of sequences through the decoder together.
 *
 * A row is one token of one sequence at one position. A prompt is several rows of one sequence, a beam search
 * is one row for each beam, a batch is rows of many streams: the decoder does not tell them apart. Its
 * results are bit for bit the same in every mix. */
#ifndef PN_ASR_WHISPER_DECODER_H
#define PN_ASR_WHISPER_DECODER_H

#include "asr/whisper/encoder.h"

struct pn_self_cache; /* keys and values of one sequence: [layer][2][n_text_ctx][S] f32, pages touched as it
                         grows */

PN_MUST_CHECK int pn_self_cache_new(struct pn_whisper_engine *e, struct pn_self_cache **ret);
struct pn_self_cache *pn_self_cache_free(struct pn_self_cache *c); /* accepts NULL, returns NULL */
/* The first n positions of `from` into `to`: a beam that forks. */
void pn_self_cache_copy(struct pn_self_cache *to, const struct pn_self_cache *from, int n);

struct pn_decoder_row {
    struct pn_self_cache *cache;
    const struct pn_cross *cross;
    int32_t token;
    int position;  /* positions 0..position-1 are in the cache, or in earlier rows of the same call */
    float *logits; /* [n_vocab], or NULL when they are not wanted */
    float *scores; /* [n_align_heads][n_ctx of the cross] scaled q.k before softmax, or NULL */
};

/* Advances all rows on the engine's pool. Rows of one cache come in order of position. At most
 * PN_DECODER_MAX_ROWS. -PN_ENOMEM (nothing has changed that matters: rows can be run again), -PN_EINVAL. */
enum { PN_DECODER_MAX_ROWS = 512 };
PN_MUST_CHECK int pn_decoder_run(struct pn_whisper_engine *e, const struct pn_decoder_row *rows, int n);

#endif
