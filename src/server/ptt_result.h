/* ptt_result.h - the frames of the push-to-talk protocol (docs/push-to-talk.md), written into a buffer. Pure.
 * Failures are the buffer's. */
#ifndef PN_SERVER_PTT_RESULT_H
#define PN_SERVER_PTT_RESULT_H

#include "base/buf.h"
#include "text/transcript.h"

#include <stdint.h>

#define PN_PTT_FRAME_MAX ((size_t)4 << 20)

/* Code 200. `connection_id` NULL: none. `timestamp`: Unix time in ms, here and below. */
void pn_ptt_write_status(struct pn_buf *out, const char *message, const char *connection_id,
                         int64_t timestamp);
/* `retry_after_ms` 0: none. */
void pn_ptt_write_error(struct pn_buf *out, int code, const char *message, int retry_after_ms,
                        int64_t timestamp);

struct pn_ptt_partial {
    struct pn_str text, full_text; /* what is new; all so far */
    size_t sentence;               /* from 1; 0: not told */
    double confidence;
    double processing_ms;
    int64_t timestamp;
};
void pn_ptt_write_partial(struct pn_buf *out, const struct pn_ptt_partial *p);

struct pn_ptt_final {
    const struct pn_transcript *transcript; /* NULL: nothing was heard */
    const struct pn_sentence *sentence;     /* only this one of it; NULL: all */
    int64_t audio_ms;
    double processing_ms;
    int64_t timestamp;
};
/* Its confidence is the mean of its segments', weighed by their tokens (characters, where none are known).
 * Returns the characters (code points) of the text. */
size_t pn_ptt_write_final(struct pn_buf *out, const struct pn_ptt_final *f);

#endif
