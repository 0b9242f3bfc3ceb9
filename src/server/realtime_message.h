/* realtime_message.h - what a Realtime client says (spec http-apis 5.2): one JSON text each. Pure. */
#ifndef PN_SERVER_REALTIME_MESSAGE_H
#define PN_SERVER_REALTIME_MESSAGE_H

#include "base/json_parse.h"

enum pn_rt_kind { PN_RT_UPDATE, PN_RT_APPEND, PN_RT_COMMIT, PN_RT_CLEAR, PN_RT_RETRIEVE, PN_RT_DELETE };

struct pn_rt_message {
    json_t *json;           /* owns what the rest points to, but for audio */
    struct pn_str event_id; /* empty: none */
    enum pn_rt_kind kind;
    bool older;          /* PN_RT_UPDATE: by the name that the older dialect has for it */
    struct pn_str audio; /* PN_RT_APPEND: base64, in the text or in json */
    struct pn_str item_id;
    json_t *session; /* PN_RT_UPDATE; NULL: nothing to change */
};

/* Why a message was not taken: the fields of an error event. */
struct pn_rt_refusal {
    const char *code, *param; /* static; param may be NULL */
    struct pn_err err;
};

#define PN_RT_ID_MAX 512 /* bytes of an event_id */

/* 0 or -PN_EINVAL, -PN_EFORMAT, -PN_ELIMIT, -PN_ENOMEM, and *why is set. Either way *ret is set as far as the
 * message could be understood, event_id at least, and done is to be called. `text` must live as long. */
PN_MUST_CHECK int pn_rt_message_parse(struct pn_str text, struct pn_rt_message *ret,
                                      struct pn_rt_refusal *why);
void pn_rt_message_done(struct pn_rt_message *m);

#endif
