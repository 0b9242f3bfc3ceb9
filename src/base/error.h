/* error.h - the one error convention.
 *
 * Functions return 0 or a count on success and -PN_E* on failure. A function that fails leaves its
 * ret_ parameters as they were. Text for humans travels in struct pn_err, filled once, where the cause
 * is known; every `struct pn_err *` parameter accepts NULL. */
#ifndef PN_BASE_ERROR_H
#define PN_BASE_ERROR_H

#include "base/attr.h"

enum pn_error {
    PN_ENOMEM = 1,   /* no memory */
    PN_EINVAL,       /* a value that cannot be right: option, field, argument */
    PN_EIO,          /* the operating system said no; errno is in the text */
    PN_EFORMAT,      /* bytes from outside are not what they claim to be */
    PN_ELIMIT,       /* larger or longer than a configured limit */
    PN_EFULL,        /* a bounded queue or inbox has no room now; try later */
    PN_EAGAIN,       /* nothing to do yet; wait for the descriptor or the callback */
    PN_ETIMEOUT,     /* a deadline passed */
    PN_ECANCELLED,   /* the asker left */
    PN_ENOTFOUND,    /* no such model, file, key */
    PN_EUNSUPPORTED, /* understood, but this build or model cannot do it */
    PN_ECRASH,       /* a child process died */
};

struct pn_err {
    int code;       /* PN_E*, 0 while unset */
    char text[256]; /* one line, UTF-8, no trailing newline */
};

/* Fills `err` (unless it is NULL or already filled: the first cause wins) and returns -code. */
int pn_fail(struct pn_err *err, enum pn_error code, const char *fmt, ...) PN_PRINTF(3, 4);
/* As pn_fail with -PN_EIO, appending ": " and strerror(errno). */
int pn_fail_errno(struct pn_err *err, const char *fmt, ...) PN_PRINTF(2, 3);
/* "out of memory" and so on; never NULL. `code` may be negative. */
const char *pn_error_name(int code);

#endif
