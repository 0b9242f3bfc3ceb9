/* funasr_impl.h - a FunASR session as its files share it. Loop thread only. */
#ifndef PN_SERVER_FUNASR_IMPL_H
#define PN_SERVER_FUNASR_IMPL_H

#include "server/funasr_file.h"
#include "server/funasr_flow.h"
#include "server/funasr_held.h"
#include "server/funasr_message.h"
#include "server/speech.h"

#define PN_FUNASR_LABEL "funasr" /* in metrics */

enum pn_funasr_state {
    PN_FUNASR_READY,     /* no audio has come since the last end */
    PN_FUNASR_TAKING,    /* audio is coming */
    PN_FUNASR_BROKEN,    /* what comes is dropped; `failure` is the answer to its end */
    PN_FUNASR_FINISHING, /* all audio is there; the result is awaited */
    PN_FUNASR_LEAVING    /* the socket is being closed */
};

struct pn_funasr {
    struct pn_ws *ws;
    struct pn_server *server;
    struct pn_funasr_settings settings; /* the next input's, and wav_name */
    bool hasty;                         /* sent `Authorization: Bearer; KEY` */
    bool greeted;                       /* a first message has come */
    bool draining;                      /* the service stops: closed once what had begun is answered */

    /* The input's. */
    enum pn_funasr_state state;
    enum pn_funasr_mode mode;
    struct pn_speech *speech; /* one of these two, or neither */
    struct pn_funasr_file *file;
    struct pn_transcript *transcript; /* the newest snapshot */
    struct pn_funasr_flow flow;
    int64_t bytes;              /* of audio */
    int rate;                   /* of samples; 0: it is a file, or none has begun */
    int64_t began_us, ended_us; /* its first audio, its end message; 0: not yet */
    bool partial_told;          /* live text */
    int64_t told_us;            /* when something was sent, or it began */
    bool acknowledge;           /* the end message asked for it */
    bool misunderstood;         /* BROKEN by a message: a good one begins anew */
    struct pn_err failure;

    struct pn_held held; /* what came while FINISHING */
    bool paused;         /* the socket is, because that is much */
};

/* What is said (funasr_say.c). -PN_E*: it was not. */

/* Something without news. */
PN_MUST_CHECK int pn_funasr_say(struct pn_funasr *s, const struct pn_funasr_answer *a);
/* What the newest snapshot adds to what a live client has been told. */
PN_MUST_CHECK int pn_funasr_say_news(struct pn_funasr *s);
/* The final message of an input. */
PN_MUST_CHECK int pn_funasr_say_end(struct pn_funasr *s);
/* A final message that says why there is no other. */
PN_MUST_CHECK int pn_funasr_say_error(struct pn_funasr *s, enum pn_funasr_mode mode,
                                      const struct pn_err *why);
/* Behind the final message, if the end message asked for it. */
PN_MUST_CHECK int pn_funasr_say_acknowledgement(struct pn_funasr *s);

#endif
