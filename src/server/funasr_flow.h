/* funasr_flow.h - from snapshots of live text to the messages that FunASR's readers follow.
 *
 * Readers append live text, and replace all of it that came since the last corrected sentence by the next
 * one. So live text that belongs to the sentence after a corrected one, and was shown already, is said again
 * behind it. Exactly one message, the last, is final. Pure. */
#ifndef PN_SERVER_FUNASR_FLOW_H
#define PN_SERVER_FUNASR_FLOW_H

#include "server/funasr_result.h"

struct pn_funasr_flow {
    bool two_pass;    /* sentences are corrected; else there is live text only */
    size_t shown;     /* bytes of `live_text` that need not be shown any more */
    size_t n_settled; /* sentences of the transcript that are told or have nothing to tell */
    int n_corrected;  /* told */
    bool begun;       /* live text was shown since the last of them */
};

/* `wav_name` is left to the callee. -PN_E*: it was not told; the flow stays where it was before it. */
typedef int pn_funasr_tell(void *ctx, const struct pn_funasr_answer *a);

/* Tells what a snapshot adds. `all_heard`: the audio has ended, so the newest sentence may be the last one
 * and is kept for pn_funasr_flow_end(). Returns 0, -PN_ENOMEM, or what `tell` did; call again with this or a
 * later snapshot. */
PN_MUST_CHECK int pn_funasr_flow_next(struct pn_funasr_flow *f, const struct pn_transcript *t, bool all_heard,
                                      pn_funasr_tell *tell, void *ctx);
/* Tells the rest, with the final message. `t` NULL: nothing was recognised. */
PN_MUST_CHECK int pn_funasr_flow_end(struct pn_funasr_flow *f, const struct pn_transcript *t,
                                     pn_funasr_tell *tell, void *ctx);

#endif
