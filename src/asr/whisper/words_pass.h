/* words_pass.h - the extra decoder pass that tells when each token was said: the window's text is fed again,
 * and the attention of the alignment heads and the tokens' probabilities are kept (spec whisper 4.9, 2 - 9).
 */
#ifndef PN_ASR_WHISPER_WORDS_PASS_H
#define PN_ASR_WHISPER_WORDS_PASS_H

#include "asr/whisper/window.h"

/* What the pass is about; everything is borrowed until it is done. */
struct pn_words_text {
    const struct pn_vocab *vocab;
    const struct pn_cross *cross;
    int n_ctx;              /* of the cross */
    int n_pos;              /* positions that hold audio, at most n_ctx */
    int n_heads;            /* alignment heads */
    const int32_t *sot_ids; /* the sot sequence without notimestamps */
    int n_sot;
    const int32_t *ids; /* text tokens */
    int n;
};

struct pn_words_pass;

/* Uses a cache and the logits of `w`, which must be done and is borrowed. -PN_ENOMEM. */
PN_MUST_CHECK int pn_words_pass_new(const struct pn_words_text *t, struct pn_window *w,
                                    struct pn_words_pass **ret);
struct pn_words_pass *pn_words_pass_free(struct pn_words_pass *p); /* accepts NULL, returns NULL */

int pn_words_pass_n_rows(const struct pn_words_pass *p); /* that can be given out now; 0: done */
int pn_words_pass_rows(struct pn_words_pass *p, struct pn_decoder_row *rows, int cap);
void pn_words_pass_decoded(struct pn_words_pass *p);
/* After the last rows: jump[n + 1], prob[n] as pn_words_time() wants them. -PN_ENOMEM. */
PN_MUST_CHECK int pn_words_pass_times(struct pn_words_pass *p, int32_t *jump, float *prob);

#endif
