/* funasr_message.h - what a client of FunASR's WebSocket says in text (spec http-apis 10.1). Pure. */
#ifndef PN_SERVER_FUNASR_MESSAGE_H
#define PN_SERVER_FUNASR_MESSAGE_H

#include "asr/recognizer.h"
#include "base/error.h"
#include "base/str.h"

enum pn_funasr_mode { PN_FUNASR_OFFLINE, PN_FUNASR_ONLINE, PN_FUNASR_TWO_PASS };

enum {
    PN_FUNASR_MESSAGE_MAX = 1 << 18, /* bytes of a message */
    PN_FUNASR_NAME_MAX = 4096,       /* of wav_name */
    PN_FUNASR_HOTWORDS_MAX = 60000
};

/* What holds until a later message says otherwise. */
struct pn_funasr_settings {
    enum pn_funasr_mode mode;
    bool file;      /* the audio is a file's bytes, of any format; else samples, s16le, mono */
    int rate;       /* of the samples, Hz */
    char *wav_name; /* owned; NULL stands for the default one */
    char *hotwords; /* owned; as pn_recognition has them; NULL: none */
    bool itn;
    struct pn_chunking chunking;
};

struct pn_funasr_message {
    bool known;       /* it has a key of FunASR's, or none at all */
    bool speaking;    /* it says that audio follows */
    bool end;         /* it says that the audio has ended */
    bool acknowledge; /* ... and asks for the acknowledgement */
};

void pn_funasr_settings_init(struct pn_funasr_settings *s);
void pn_funasr_settings_done(struct pn_funasr_settings *s);
const char *pn_funasr_wav_name(const struct pn_funasr_settings *s);
const char *pn_funasr_mode_name(enum pn_funasr_mode mode); /* as clients write it */

/* Reads a message into the settings. -PN_EFORMAT (no JSON object), -PN_EINVAL (a value), -PN_EUNSUPPORTED (a
 * file in a mode that takes samples only), -PN_ELIMIT, -PN_ENOMEM: nothing has changed. */
PN_MUST_CHECK int pn_funasr_message_read(struct pn_str text, struct pn_funasr_settings *s,
                                         struct pn_funasr_message *ret, struct pn_err *err);

#endif
