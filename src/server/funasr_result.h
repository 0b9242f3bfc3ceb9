/* funasr_result.h - what FunASR's WebSocket answers (spec http-apis 10.2, 10.3). Pure. */
#ifndef PN_SERVER_FUNASR_RESULT_H
#define PN_SERVER_FUNASR_RESULT_H

#include "base/buf.h"
#include "text/transcript.h"

enum pn_funasr_slice { PN_FUNASR_BEGINS, PN_FUNASR_GOES_ON, PN_FUNASR_ENDED, PN_FUNASR_NO_SLICE };

struct pn_funasr_answer {
    const char *mode, *wav_name;
    struct pn_str text;
    bool is_final;
    /* What the text was written from: its words give `timestamp` and `stamp_sents`. 0: neither. */
    const struct pn_segment *segments;
    size_t n_segments;
    enum pn_funasr_slice slice;
    int index;         /* of the sentence, with a slice */
    double start, end; /* seconds, where the sentence has ended */
    const char *error; /* NULL: none */
};

/* Appends the JSON; failures are the buffer's. */
void pn_funasr_answer_write(const struct pn_funasr_answer *a, struct pn_buf *out);
/* The acknowledgement of an end message that asked for one; `error` NULL: all went well. */
void pn_funasr_acknowledge(const char *mode, const char *wav_name, const char *error, struct pn_buf *out);

#endif
