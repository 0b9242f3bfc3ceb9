/* heard.h - the tokens of one utterance as they come out of the decoder, and the transcript that they make.
 */
#ifndef PN_ASR_PARAFORMER_HEARD_H
#define PN_ASR_PARAFORMER_HEARD_H

#include "asr/paraformer/words.h"
#include "model/funasr.h"
#include "text/transcript.h"

struct pn_heard_token {
    int32_t id;
    float logprob;
    struct pn_stamp at;
};

struct pn_heard {
    struct pn_heard_token *token;
    size_t n, cap;
};

/* What a transcript says beside the words. */
struct pn_heard_context {
    const struct pn_funasr *folder; /* texts of the tokens */
    const char *model, *language /* "" = by script */, *task;
    double duration; /* seconds of audio */
    bool word_times, final;
};

PN_MUST_CHECK int pn_heard_add(struct pn_heard *h, const struct pn_heard_token *t); /* -PN_ENOMEM */
void pn_heard_done(struct pn_heard *h); /* accepts one that is all zero */
/* Whether the id stands for text: <blank>, <s> and </s> do not. */
bool pn_heard_is_text(int32_t id);
/* One segment with all the words, or none without text. Tokens that stand for none are passed over. */
PN_MUST_CHECK int pn_heard_transcript(const struct pn_heard *h, const struct pn_heard_context *c,
                                      struct pn_transcript **ret, struct pn_err *err);

#endif
