/* ptt_message.h - what a push-to-talk client says (docs/push-to-talk.md): a text message to a struct. Pure.
 */
#ifndef PN_SERVER_PTT_MESSAGE_H
#define PN_SERVER_PTT_MESSAGE_H

#include "audio/intake.h"
#include "base/json_parse.h"

#define PN_PTT_DATA_MAX ((size_t)1 << 20) /* characters of base64 in one message */

enum pn_ptt_kind { PN_PTT_START, PN_PTT_STOP, PN_PTT_RESET, PN_PTT_AUDIO };

/* Everything that `start` may carry. */
struct pn_ptt_start {
    enum pn_intake_format format;
    int rate;             /* Hz */
    const char *language; /* ISO 639-1, "" to detect; static */
    struct pn_str model;
    char *hotwords;    /* owned; NULL: none */
    bool interim, vad; /* partial results are wanted; silence ends sentences */
};

struct pn_ptt_message {
    enum pn_ptt_kind kind;
    int64_t timestamp;   /* the client's, ms; -1: none */
    struct pn_str audio; /* PN_PTT_AUDIO: base64 */
    struct pn_ptt_start start;
    json_t *json; /* owned; strings lie in it or in the text that was parsed */
};

/* -PN_ELIMIT: more audio than PN_PTT_DATA_MAX; -PN_EFORMAT, -PN_EINVAL: anything else that is wrong; with the
 * message for the client in *err. -PN_ENOMEM. On success to be ended with pn_ptt_message_done(). */
PN_MUST_CHECK int pn_ptt_message_parse(struct pn_str text, struct pn_ptt_message *ret, struct pn_err *err);
void pn_ptt_message_done(struct pn_ptt_message *m);

#endif
