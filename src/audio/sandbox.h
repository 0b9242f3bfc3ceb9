/* sandbox.h - the cage that pinna-decode puts around itself before it looks at a file.
 *
 * rlimits, no new privileges, not dumpable, dies with its parent, landlock (no path can be opened, no TCP)
 * and seccomp (an allow-list of what decoding needs; anything else kills the process). A kernel or container
 * without landlock or seccomp gives a weaker cage, which the report says; rlimits must succeed. Sanitized
 * builds leave out what their run-time needs: seccomp, landlock, dumpable, and all rlimits but CPU and core.
 */
#ifndef PN_AUDIO_SANDBOX_H
#define PN_AUDIO_SANDBOX_H

#include "audio/decoder.h"
#include "base/attr.h"

struct pn_sandbox_options {
    int64_t memory_mb; /* address space; the libraries alone take about 190 MB */
    int64_t cpu_s;
    bool by_hand; /* stdout may be a file, so their sizes are not limited; need not die with its parent */
    bool skip_seccomp; /* the self-test looks at the layers one by one */
    bool skip_landlock;
};

/* Closes the cage; there is no way back. Afterwards the process may read and seek descriptors it has, receive
 * one on fd 0, write to fds 1 and 2, use memory and exit. */
PN_MUST_CHECK int pn_sandbox_enter(const struct pn_sandbox_options *opt, struct pn_sandbox_report *ret,
                                   struct pn_err *err);
/* Tries in a child each what the cage must refuse and prints a line each to stdout: "open: killed by SIGSYS".
 * Returns how many were not refused. */
int pn_sandbox_selftest(void);

#endif
