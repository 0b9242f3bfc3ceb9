/* ptt_impl.h - what the files of the push-to-talk protocol share. Loop thread only.
 *
 * A client's utterances stand in a list, in the order of its commands. What is said about them is said in
 * that order (ptt_speak.c): an utterance has its turn when those before it have had all but their final
 * result, and finals come in order, too. */
#ifndef PN_SERVER_PTT_IMPL_H
#define PN_SERVER_PTT_IMPL_H

#include "server/ptt_marks.h"
#include "server/ptt_message.h"
#include "server/speech.h"
#include "server/state.h"

#define PN_PTT_PENDING_MAX 4 /* utterances that have ended and wait for their final; then nothing is read */

struct pn_ptt;

struct pn_utterance_error {
    int code; /* of the error frame; 0: none */
    int retry_after_ms;
    char text[300];
};

struct pn_ptt_utterance {
    struct pn_ptt_utterance *next;
    struct pn_ptt *client;
    struct pn_speech *speech;    /* NULL: there was none, or it is over */
    struct pn_transcript *heard; /* the newest snapshot; NULL: none yet */
    bool interim, vad;
    /* What the client has not been told yet. */
    bool owes_start, owes_stop, owes_reset, owes_error;
    struct pn_utterance_error error;
    bool begun;            /* recording was confirmed or will be */
    bool stopped, dropped; /* no more audio; no result is wanted either */
    bool quiet;            /* the stop was confirmed: no more partial results */
    size_t shown;          /* bytes of the live text that were sent */
    size_t n_finals;       /* vad: sentences that are done */
    enum pn_intake_format format;
    int rate;
    uint64_t bytes;                        /* of PCM */
    int64_t audio_us;                      /* that came */
    int64_t first_us, last_us, stopped_us; /* when audio came, first and last, and the stop; 0: not yet */
    bool partial_told;
    struct pn_ptt_marks marks;
};

struct pn_ptt {
    struct pn_ws *ws;
    struct pn_server *server;
    char id[PN_REQUEST_ID_SIZE];
    struct pn_ptt_utterance *first, **tail; /* owned */
    struct pn_ptt_utterance *talking;       /* the last of them, between start and stop; else NULL */
    bool paused;                            /* the socket is: too many wait for their final */
    bool draining;                          /* the service stops: closed once all finals are told */
    struct pn_buf packet;                   /* the Opus packet that arrives */
};

/* Says what is due, and lets go of utterances that are over. */
void pn_ptt_speak(struct pn_ptt *c);
void pn_ptt_say_error(struct pn_ptt *c, int code, const char *message, int retry_after_ms);
/* How an utterance ended, for the log and the metrics; nothing for one that never began. */
void pn_ptt_log(const struct pn_ptt_utterance *u, const char *end, double latency_s, size_t characters);
struct pn_ptt_utterance *pn_ptt_utterance_free(struct pn_ptt_utterance *u); /* does not unlink */

#endif
