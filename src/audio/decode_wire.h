/* decode_wire.h - what a decode child says on its pipe: messages of {u32 type, u32 length, payload}.
 *
 * Order: READY, INFO, PCM..., END; an ERROR may come instead of any of them and ends it as well. Both
 * ends are of one build on one machine, so numbers are in the machine's byte order; but the writer has read
 * hostile files and may have been taken over, so the reader trusts nothing: unknown types, lengths that do
 * not fit the type, samples that are not in [-1,1] (NaN and infinity are not), a total that is not the sum,
 * text that is not UTF-8 or holds control characters, messages out of order and bytes after the end are all
 * refused. The child itself clamps and replaces NaN before it writes. */
#ifndef PN_AUDIO_DECODE_WIRE_H
#define PN_AUDIO_DECODE_WIRE_H

#include "audio/decoder.h"
#include "base/attr.h"
#include "base/str.h"

#define PN_WIRE_PCM_MAX  16384 /* samples in one PCM message */
#define PN_WIRE_HEAD     8     /* bytes before a payload */
#define PN_WIRE_TEXT_MAX 240   /* bytes of an ERROR's text */
#define PN_WIRE_SMALL    256   /* room for any encoded message but PCM */

enum pn_wire_type {
    PN_WIRE_READY = 1, /* u32 seccomp (0 or 1), u32 landlock abi */
    PN_WIRE_INFO,      /* f64 duration_s (-1: unknown), i32 rate, i32 channels, char format[32], codec[32] */
    PN_WIRE_PCM,       /* f32 samples, 1 to PN_WIRE_PCM_MAX */
    PN_WIRE_END,       /* u64 samples in all */
    PN_WIRE_ERROR,     /* u32 PN_E*, text */
};

struct pn_wire_message {
    enum pn_wire_type type;
    struct pn_sandbox_report ready;
    struct pn_decoder_info info;
    const float *pcm; /* in the reader; valid until the next call */
    size_t n;
    struct pn_err error;
};

/* What the parent sends to a child, as one packet with the file's descriptor beside it. */
struct pn_decode_request {
    int64_t size; /* bytes of the file; 0 is possible */
    int64_t max_samples;
};

/* The descriptors a child starts with, besides 2. */
enum { PN_DECODE_CONTROL_FD = 0, PN_DECODE_OUTPUT_FD = 1 };

/* One pipe's reader. No allocation; init once, no done. */
struct pn_wire_reader {
    int state;       /* of the order above */
    uint64_t total;  /* samples seen */
    size_t len;      /* bytes of the message so far, head included */
    uint32_t type;   /* of the message in `bytes`; valid when len >= PN_WIRE_HEAD */
    uint32_t length; /* of its payload */
    uint8_t head[PN_WIRE_HEAD];
    union {
        uint8_t bytes[PN_WIRE_PCM_MAX * sizeof(float)];
        float pcm[PN_WIRE_PCM_MAX];
    } payload;
};

void pn_wire_reader_init(struct pn_wire_reader *r);
/* Takes bytes off the front of *in. 1: *ret is a whole message; 0: *in is used up, give more; -PN_EFORMAT:
 * the writer is broken or hostile, and every later call says so, too. */
PN_MUST_CHECK int pn_wire_read(struct pn_wire_reader *r, struct pn_str *in, struct pn_wire_message *ret,
                               struct pn_err *err);
bool pn_wire_ended(const struct pn_wire_reader *r); /* END or ERROR was the last message */

/* The writer's side: each fills `out` and returns its bytes. */
size_t pn_wire_put_ready(uint8_t out[PN_WIRE_SMALL], const struct pn_sandbox_report *report);
size_t pn_wire_put_info(uint8_t out[PN_WIRE_SMALL], const struct pn_decoder_info *info);
size_t pn_wire_put_end(uint8_t out[PN_WIRE_SMALL], uint64_t total);
/* Text is cut to PN_WIRE_TEXT_MAX and what is not printable ASCII becomes '?'. */
size_t pn_wire_put_error(uint8_t out[PN_WIRE_SMALL], int code, const char *text);
/* The head of a PCM message whose `n` (1 to PN_WIRE_PCM_MAX) samples the caller writes behind it. */
void pn_wire_put_pcm_head(uint8_t out[PN_WIRE_HEAD], size_t n);

#endif
