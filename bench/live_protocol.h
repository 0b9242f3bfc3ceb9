/* live_protocol.h - what a speaker says and hears in each of the server's protocols: push-to-talk with audio
 * in base64 or binary, FunASR's, OpenAI's Realtime. Every utterance is begun and ended by the speaker. Pure.
 */
#ifndef PN_BENCH_LIVE_PROTOCOL_H
#define PN_BENCH_LIVE_PROTOCOL_H

#include "base/buf.h"

struct live_frame {
    struct pn_str pcm, base64; /* the same audio: s16le, mono, 16 kHz */
};

enum live_heard {
    LIVE_NOTHING, /* that matters here */
    LIVE_PARTIAL,
    LIVE_FINAL,
    LIVE_REFUSED, /* no room for this utterance, or no more */
    LIVE_FAILED
};

struct live_answer {
    enum live_heard heard;
    int64_t timestamp; /* LIVE_PARTIAL: of the frame that completed what was heard; -1: it does not say */
    size_t characters; /* bytes of new text */
};

struct live_protocol {
    const char *name, *path;
    bool binary;                       /* audio goes in binary messages */
    bool stamped;                      /* partial results name the audio frame */
    void (*greet)(struct pn_buf *out); /* once after connecting; NULL: nothing is said */
    void (*start)(struct pn_buf *out); /* NULL: audio begins an utterance */
    void (*audio)(const struct live_frame *f, int64_t timestamp, struct pn_buf *out);
    void (*stop)(struct pn_buf *out); /* NULL: silence ends it */
    void (*hear)(struct pn_str message, struct live_answer *ret);
    int silence_ms; /* that is in the time to the final result, however quick the server is */
};

/* "ptt", "ptt-binary", "funasr", "realtime", "realtime-vad"; NULL: none of them. */
const struct live_protocol *live_protocol_of(const char *name);
const struct live_protocol *live_protocol_at(size_t i); /* NULL behind the last one */

#endif
