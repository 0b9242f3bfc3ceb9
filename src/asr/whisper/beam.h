/* beam.h - beam search over sequences of tokens (spec whisper 4.5). Knows nothing of caches: it says which
 * beam each new one came from. */
#ifndef PN_ASR_WHISPER_BEAM_H
#define PN_ASR_WHISPER_BEAM_H

#include "asr/whisper/options.h"
#include "asr/whisper/sampler.h"

#include <stdbool.h>

struct pn_beam {
    int size;         /* live beams wanted */
    int max_finished; /* round(size * patience) */
    int n_live;       /* 1 at first (equal beams are one), then `size` */
    int n_finished;
    struct pn_sequence *live;     /* [size] */
    struct pn_sequence *finished; /* [max of size and max_finished], in the order in which they ended */
    int source[PN_MAX_BEAMS];     /* of each live beam, before the last step */
    struct pn_sequence *next;     /* [size] the other half of a double buffer */
};

/* Owns memory until pn_beam_done(), which accepts a zeroed struct. -PN_ENOMEM. */
PN_MUST_CHECK int pn_beam_init(struct pn_beam *b, int size, double patience);
void pn_beam_done(struct pn_beam *b);
void pn_beam_start(struct pn_beam *b); /* one empty live beam */
/* rows[i]: filtered logits [n_vocab] of live beam i. True when enough sequences have ended. */
bool pn_beam_step(struct pn_beam *b, const float *const *rows, int n_vocab, int32_t eot);
/* No further step: live beams, best first, count as ended until there are `size`. */
void pn_beam_finish(struct pn_beam *b);

#endif
