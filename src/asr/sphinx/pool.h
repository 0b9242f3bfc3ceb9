/* pool.h - the decoders of the process, each on a thread of its own. */
#ifndef PN_ASR_SPHINX_POOL_H
#define PN_ASR_SPHINX_POOL_H

#include "asr/sphinx/utterance.h"
#include "base/attr.h"

struct pn_sphinx_pool;

/* Makes `n` decoders in parallel and waits for all. `done` is called by a decoder's thread, without locks,
 * when an utterance is decoded and the decoder is idle again; it takes the utterance back. */
PN_MUST_CHECK int pn_sphinx_pool_new(const char *model_dir, int n,
                                     void (*done)(void *ctx, struct pn_sphinx_utterance *u), void *ctx,
                                     struct pn_sphinx_pool **ret, struct pn_err *err);
/* Waits for what is being decoded, which is not for long when it has been abandoned. */
struct pn_sphinx_pool *pn_sphinx_pool_free(struct pn_sphinx_pool *p);
/* Decoders that nobody uses. Only submit makes it smaller. Any thread. */
int pn_sphinx_pool_idle(struct pn_sphinx_pool *p);
/* Hands an utterance to an idle decoder; -PN_EFULL when there is none. Never waits. */
PN_MUST_CHECK int pn_sphinx_pool_submit(struct pn_sphinx_pool *p, struct pn_sphinx_utterance *u);

#endif
