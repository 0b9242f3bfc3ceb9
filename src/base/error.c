/* error.c - see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pn_fail(struct pn_err *err, enum pn_error code, const char *fmt, ...)
{
    if (err && err->code == 0) {
        va_list ap;
        va_start(ap, fmt);
        err->code = (int)code;
        vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
    }
    return -(int)code;
}

int pn_fail_errno(struct pn_err *err, const char *fmt, ...)
{
    int saved = errno;
    if (err && err->code == 0) {
        va_list ap;
        va_start(ap, fmt);
        err->code = PN_EIO;
        int n = vsnprintf(err->text, sizeof(err->text), fmt, ap);
        va_end(ap);
        size_t used = n < 0 ? 0 : PN_MIN((size_t)n, sizeof(err->text) - 1);
        snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror(saved));
    }
    return -PN_EIO;
}

const char *pn_error_name(int code)
{
    switch ((enum pn_error)abs(code)) {
    case PN_ENOMEM:
        return "out of memory";
    case PN_EINVAL:
        return "invalid value";
    case PN_EIO:
        return "input/output error";
    case PN_EFORMAT:
        return "unreadable format";
    case PN_ELIMIT:
        return "over a limit";
    case PN_EFULL:
        return "no room now";
    case PN_EAGAIN:
        return "not ready";
    case PN_ETIMEOUT:
        return "timed out";
    case PN_ECANCELLED:
        return "cancelled";
    case PN_ENOTFOUND:
        return "not found";
    case PN_EUNSUPPORTED:
        return "not supported";
    case PN_ECRASH:
        return "child process died";
    }
    return code == 0 ? "success" : "unknown error";
}
