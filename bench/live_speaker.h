/* live_speaker.h - one speaker of bench_live: a connection over which somebody talks, pauses, and talks
 * again, in real time. One thread. */
#ifndef PN_BENCH_LIVE_SPEAKER_H
#define PN_BENCH_LIVE_SPEAKER_H

#include "base/ws_client.h"
#include "live_protocol.h"

enum { LIVE_RECENT = 256 /* frames whose time is remembered */, LIVE_CHUNK_MS = 600 };

/* Latencies in ms as they come, with when they came. */
struct live_series {
    double *ms;
    int64_t *at_us;
    int n, cap;
};

struct live_totals {
    struct live_series first; /* from an utterance's first audio to its first text */
    struct live_series chunk; /* from the frame that completes a chunk to the text that it made */
    struct live_series final; /* from the end of the audio to the final result */
    int utterances, partials, refused, failed;
    double heard_s; /* audio of utterances that have ended */
};

struct live_options {
    const struct live_protocol *protocol;
    const char *url, *ca_file;
    int frame_ms;
    int talk_ms, pause_ms;           /* on average; a quarter more or less */
    const struct live_frame *frames; /* of which everybody talks, each from another place on */
    int n_frames;
    const struct live_frame *silence;
    int phase_ms; /* chunks are complete at k * LIVE_CHUNK_MS + phase_ms of an utterance; -1: not known */
};

enum live_state { LIVE_PAUSING, LIVE_TALKING, LIVE_WAITING /* for the final result */, LIVE_GONE };

struct live_speaker {
    const struct live_options *opt;
    struct live_totals *totals; /* of all speakers */
    struct pn_ws_client *client;
    struct pn_buf message;
    enum live_state state;
    int64_t due_us;             /* the next frame, or the end of the pause */
    int64_t first_us, ended_us; /* of this utterance's audio */
    int n_sent, n_wanted, at;   /* frames */
    bool first_told, refused;
    int next_chunk; /* the first one whose text has not come */
    uint64_t random;
    short events; /* that are polled for */
    struct {
        int64_t timestamp, sent_us;
        int number; /* in its utterance */
    } recent[LIVE_RECENT];
    int phase_votes[LIVE_CHUNK_MS]; /* with the server's time stamps: where chunks are complete */
};

/* Connects. Talks for the first time `delay_us` from now. */
PN_MUST_CHECK int live_speaker_open(struct live_speaker *s, const struct live_options *opt,
                                    struct live_totals *totals, uint64_t seed, struct pn_err *err);
void live_speaker_begin(struct live_speaker *s, int64_t at_us);
void live_speaker_tick(struct live_speaker *s, int64_t now_us); /* says what is due */
void live_speaker_run(struct live_speaker *s);                  /* its descriptor is ready */
void live_speaker_close(struct live_speaker *s);

#endif
