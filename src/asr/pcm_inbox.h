/* pcm_inbox.h - the bounded inbox of one stream: samples from its owner to its recogniser. Has its own lock.
 */
#ifndef PN_ASR_PCM_INBOX_H
#define PN_ASR_PCM_INBOX_H

#include "base/attr.h"
#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct pn_pcm_inbox {
    pthread_mutex_t mu;
    float *ring;           /* guarded by mu */
    size_t cap, head, len; /* samples; guarded by mu */
    bool finished;         /* guarded by mu */
};

PN_MUST_CHECK int pn_pcm_inbox_init(struct pn_pcm_inbox *in, size_t cap_samples);
void pn_pcm_inbox_done(struct pn_pcm_inbox *in);
/* All or nothing: 0 or -PN_EFULL; -PN_ECANCELLED after finish. */
PN_MUST_CHECK int pn_pcm_inbox_push(struct pn_pcm_inbox *in, const float *pcm, size_t n);
void pn_pcm_inbox_finish(struct pn_pcm_inbox *in);
/* Takes up to `cap` samples; *ret_end tells that nothing is left and nothing will come. */
size_t pn_pcm_inbox_take(struct pn_pcm_inbox *in, float *pcm, size_t cap, bool *ret_end);
/* Copies up to `cap` of the oldest samples and leaves them there; *ret_last: these are all there will be. */
size_t pn_pcm_inbox_peek(struct pn_pcm_inbox *in, float *pcm, size_t cap, bool *ret_last);
void pn_pcm_inbox_drop(struct pn_pcm_inbox *in, size_t n); /* forgets the oldest n, at most all */
/* Gives the memory back once it is finished; what is left in it is forgotten. */
void pn_pcm_inbox_release(struct pn_pcm_inbox *in);
size_t pn_pcm_inbox_len(struct pn_pcm_inbox *in, bool *ret_finished);

#endif
