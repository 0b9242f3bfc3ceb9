/* ws_frames.h - the frames of one WebSocket, the server's side (RFC 6455 by wslay), between a stream of bytes
 * and a protocol: what arrives is gathered or passed on, what leaves is queued, all within limits. Knows no
 * socket and no clock. One thread. */
#ifndef PN_SERVER_WS_FRAMES_H
#define PN_SERVER_WS_FRAMES_H

#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define PN_WS_QUEUE_MAX    (1 << 20) /* bytes waiting to be written above which nothing is read */
#define PN_WS_QUEUE_FRAMES 4096      /* the same in frames, which may be empty */
#define PN_WS_RUN_BYTES    (1 << 18) /* read in one run, so that one peer does not hold up the others */
#define PN_WS_IDLE_FRAMES  500       /* control frames and empty ones that a peer may send in a second */

struct pn_ws_frames;

struct pn_ws_frames_ops {
    /* Up to n bytes of the stream. 0: it has ended; -PN_EAGAIN: none yet; -PN_EIO: it broke. */
    ssize_t (*read)(void *ctx, char *out, size_t n);
    /* How many bytes the stream took, or -PN_EAGAIN, -PN_EIO. */
    ssize_t (*write)(void *ctx, const struct iovec *v, int n);
    /* A whole text message, valid UTF-8; borrowed. */
    void (*text)(void *ctx, const char *data, size_t n);
    /* A piece of a binary message as it arrives; `end`: the last one of its message, maybe empty. */
    void (*binary)(void *ctx, const char *data, size_t n, bool end);
};

/* A longer message, counted over all its fragments, closes with 1009. `ops` is borrowed. */
PN_MUST_CHECK int pn_ws_frames_new(const struct pn_ws_frames_ops *ops, size_t max_text, size_t max_binary,
                                   void *ctx, struct pn_ws_frames **ret);
struct pn_ws_frames *pn_ws_frames_free(struct pn_ws_frames *f); /* accepts NULL */

/* Reads and writes what can be read and written at `now_us`. The ops are called from in here only, and may
 * call every other function. False when all is over: both sides have closed, the peer broke the rules (it was
 * told so, if it could be), or the stream ended. */
bool pn_ws_frames_run(struct pn_ws_frames *f, int64_t now_us);
bool pn_ws_frames_wants_read(const struct pn_ws_frames *f);
bool pn_ws_frames_wants_write(const struct pn_ws_frames *f);
/* While held, nothing is read; what was read before may still be told. Once closing, a hold has no effect. */
void pn_ws_frames_hold(struct pn_ws_frames *f, bool hold);

/* Queues a message. -PN_EFULL: the peer reads too slowly; -PN_ECANCELLED: closing; -PN_ENOMEM. */
PN_MUST_CHECK int pn_ws_frames_send(struct pn_ws_frames *f, bool text, const char *data, size_t n);
void pn_ws_frames_ping(struct pn_ws_frames *f);
/* Queues a close frame behind the messages that wait, the first time; `reason` at most 123 bytes of UTF-8. No
 * message is told any more. */
void pn_ws_frames_close(struct pn_ws_frames *f, unsigned code, const char *reason);
bool pn_ws_frames_closing(const struct pn_ws_frames *f); /* whether that was done */

#endif
