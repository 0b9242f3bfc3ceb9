/* api.h - what the files of the public library share. */
#ifndef PN_CLI_API_H
#define PN_CLI_API_H

#include "base/error.h"
#include "text/transcript.h"

/* The public struct of a result is a transcript under another name. */
struct pinna_result {
    struct pn_transcript *transcript;
};

/* Takes the transcript, also when it fails (-PN_ENOMEM). */
PN_MUST_CHECK int pn_api_result(struct pn_transcript *t, struct pinna_result **ret, struct pn_err *err);
/* Reads a struct that begins with its size into ours of `size` bytes; what is missing is 0. `from` may be
 * NULL. -PN_EINVAL without a size, -PN_EUNSUPPORTED for a newer struct with news in it. */
PN_MUST_CHECK int pn_api_read(const void *from, void *to, size_t size, struct pn_err *err);
/* Fills a caller's struct as far as its size says; -PN_EINVAL without one. */
PN_MUST_CHECK int pn_api_write(const void *from, size_t size, void *to);

#endif
