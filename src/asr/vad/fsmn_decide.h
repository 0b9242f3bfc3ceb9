/* fsmn_decide.h - FSMN-VAD's decisions (spec paraformer 5.2-5.5): from the probability of silence and the
 * level of each frame of 10 ms to where speech begins and ends. The reference's words where they help:
 * `buffer_from` is data_buf_start_frame, `last_speech` latest_confirmed_speech_frame. No memory of its own.
 */
#ifndef PN_ASR_VAD_FSMN_DECIDE_H
#define PN_ASR_VAD_FSMN_DECIDE_H

#include <stdbool.h>
#include <stdint.h>

enum { PN_FSMN_MAX_WINDOW = 128 /* frames */, PN_FSMN_FRAME_MS = 10 };

struct pn_fsmn_rules {
    int window;                /* frames that the detector of changes looks at */
    int to_speech, to_silence; /* frames of speech among them that change the state */
    int look_back, look_ahead; /* frames kept before a start and behind an end, if `extend` */
    bool extend;
    int end_silence_ms, max_speech_ms;
    double speech_noise_thres, noise_ratio; /* speech: 1 - p >= p^ratio + thres */
    double decibel_thres, snr_thres;
    int snr_frames; /* that the level of noise is averaged over */
    bool dynamic;   /* the longer the segment, the less silence ends it */
};

enum pn_fsmn_change { PN_FSMN_NOTHING, PN_FSMN_START, PN_FSMN_END };

struct pn_fsmn_decision {
    struct pn_fsmn_rules rules;
    int64_t frame;                                        /* the next one */
    bool in_speech;                                       /* a segment is open */
    int64_t buffer_from, last_speech, begin, segment_end; /* frames; the end is the first behind it */
    int silent;                                           /* frames in a row */
    double noise_db;
    bool noise_known;
    bool flags[PN_FSMN_MAX_WINDOW], window_speech; /* a ring; the state that changes */
    int flag_at, flag_sum;
    int end_silence_ms, talked_ms; /* dynamic: what ends a segment now; how long it has been going on */
    bool told;                     /* dynamic: this call found a boundary */
};

void pn_fsmn_decision_init(struct pn_fsmn_decision *d, const struct pn_fsmn_rules *rules);
/* A block of `ms` milliseconds comes: the dynamic rule counts blocks. Every frame lies in one. */
void pn_fsmn_call_begin(struct pn_fsmn_decision *d, int ms);
void pn_fsmn_call_end(struct pn_fsmn_decision *d);
/* The next frame; `last`: of the stream. *ret_ms is set when something changes. */
enum pn_fsmn_change pn_fsmn_frame(struct pn_fsmn_decision *d, double p_silence, double decibel, bool last,
                                  int64_t *ret_ms);
/* No boundary to come lies before this millisecond. */
int64_t pn_fsmn_settled_ms(const struct pn_fsmn_decision *d);

#endif
