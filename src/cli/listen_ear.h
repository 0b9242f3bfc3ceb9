/* listen_ear.h - who understands what `pinna listen` hears: the engine in this process, or a server. One
 * thread. */
#ifndef PN_CLI_LISTEN_EAR_H
#define PN_CLI_LISTEN_EAR_H

#include "asr/recognizer.h"
#include "audio/intake.h"
#include "base/config.h"

/* A piece of text. Final ones follow each other in time and never change; what is not final replaces what was
 * not final before, "": nothing is open. */
struct pn_heard_text {
    bool final;
    double start, end; /* seconds since the beginning; of what is not final a guess, or 0 */
    struct pn_str text;
};

struct pn_ear;

struct pn_ear_ops {
    /* The first audio comes now, in this form. May wait for a server, until `stop_fd` becomes readable. */
    int (*begin)(struct pn_ear *e, enum pn_intake_format format, int rate, int stop_fd, struct pn_err *err);
    /* To poll; -1 before begin(). */
    int (*fd)(const struct pn_ear *e, short *ret_events);
    /* Takes all of data[0..n). Call run() afterwards. */
    int (*feed)(struct pn_ear *e, const char *data, size_t n, struct pn_err *err);
    bool (*full)(const struct pn_ear *e);                /* feed no more for now */
    int (*finish)(struct pn_ear *e, struct pn_err *err); /* no more audio will come */
    /* Tells what is new. 0; 1: everything has been told; -PN_E*. To be called when the descriptor is ready,
     * and once a second. */
    int (*run)(struct pn_ear *e, struct pn_err *err);
    void (*free)(struct pn_ear *e);
};

/* Embedded first in both kinds. */
struct pn_ear {
    const struct pn_ear_ops *ops;
    void (*told)(void *ctx, const struct pn_heard_text *text); /* text is borrowed */
    void *ctx;
};

/* What both are asked for. */
struct pn_ear_wish {
    struct pn_recognition want;
    const char *model; /* "": the default one */
};

/* Loads the models. `config` and the wish's strings are borrowed. -PN_ENOTFOUND: no such model. */
PN_MUST_CHECK int pn_ear_local(const struct pn_config *config, const struct pn_ear_wish *wish,
                               struct pn_ear **ret, struct pn_err *err);

struct pn_ear_server {
    const char *url, *ca_file; /* borrowed */
    bool insecure;
};
PN_MUST_CHECK int pn_ear_remote(const struct pn_ear_server *server, const struct pn_ear_wish *wish,
                                struct pn_ear **ret, struct pn_err *err);
struct pn_ear *pn_ear_free(struct pn_ear *e); /* accepts NULL, returns NULL */

#endif
