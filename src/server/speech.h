/* speech.h - a WebSocket client that is talking: a session of the live engine (asr/live) with its news
 * brought to the event loop, and its client's socket read only as fast as the engine takes. What all socket
 * protocols share. Loop thread only. */
#ifndef PN_SERVER_SPEECH_H
#define PN_SERVER_SPEECH_H

#include "asr/live/live.h"
#include "server/ws.h"

struct pn_speech;

/* Called for all news but `room`, never inside a call of those below. news->transcript (may be NULL) is the
 * callee's to keep and to free. With `ended` the speech is gone; before, the callee may end it with
 * pn_speech_cancel(). */
typedef void pn_speech_news(void *ctx, struct pn_speech *sp, const struct pn_live_news *news);

/* As pn_live_open(); `req`'s moved and ctx are not looked at. `ws` is paused and resumed by it. */
PN_MUST_CHECK int pn_speech_open(struct pn_ws *ws, const struct pn_live_request *req, pn_speech_news *news,
                                 void *ctx, struct pn_speech **ret, int *ret_retry_ms, struct pn_err *err);
/* As pn_live_feed(), but nobody has to wait: raw samples for which the engine has no room are kept here, up
 * to PN_SPEECH_MAX bytes. 0, -PN_ELIMIT or -PN_ENOMEM. */
#define PN_SPEECH_MAX ((size_t)16 << 20)
PN_MUST_CHECK int pn_speech_feed(struct pn_speech *sp, const void *data, size_t n);
void pn_speech_finish(struct pn_speech *sp);
struct pn_speech *pn_speech_cancel(struct pn_speech *sp); /* accepts NULL, returns NULL; no news after it */

#endif
