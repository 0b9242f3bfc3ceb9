/* decode_child.h - one process pinna-decode, seen from its parent. Used by the pool and its decoders only. */
#ifndef PN_AUDIO_DECODE_CHILD_H
#define PN_AUDIO_DECODE_CHILD_H

#include "audio/decode_wire.h"
#include "audio/decoder.h"

/* One owner at a time. */
struct pn_decode_child {
    pid_t pid;      /* 0: reaped */
    int control_fd; /* -1 once the request is sent */
    int pipe_fd;    /* its output; non-blocking */
    int status;     /* of waitpid, once pid is 0; -1 when it could not be learned */
    struct pn_wire_reader reader;
};

/* Starts the program; it is not ready yet. Its descriptors are the control socket, the pipe and stderr
 * (/dev/null, except in sanitized builds). -PN_ENOTFOUND, -PN_EIO, -PN_ENOMEM. */
PN_MUST_CHECK int pn_decode_child_start(const struct pn_decoder_options *opt, struct pn_decode_child **ret,
                                        struct pn_err *err);
/* Kills it if it still runs, reaps it, closes everything; accepts NULL, returns NULL. */
struct pn_decode_child *pn_decode_child_free(struct pn_decode_child *c);
/* Hands over the file. -PN_ECRASH: the child has died. */
PN_MUST_CHECK int pn_decode_child_send(struct pn_decode_child *c, const struct pn_decode_request *req, int fd,
                                       struct pn_err *err);
/* The pipe is at its end though no END or ERROR came: learns why and says it. */
int pn_decode_child_why(struct pn_decode_child *c, const struct pn_decoder_options *opt, struct pn_err *err);

#endif
