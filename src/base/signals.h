/* signals.h - SIGINT, SIGTERM and SIGHUP as something to read. */
#ifndef PN_BASE_SIGNALS_H
#define PN_BASE_SIGNALS_H

#include "base/attr.h"
#include "base/error.h"

/* From now on these signals do nothing but make a new signalfd readable, with `flags` (SFD_*), which the
 * calling thread, and no other, polls and reads; it is the caller's. SIGPIPE is ignored. Threads that were
 * there before may have them unblocked: libraries start some before main(). */
PN_MUST_CHECK int pn_signals_open(int flags, struct pn_err *err);

#endif
