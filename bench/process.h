/* process.h - measuring in processes of their own, so that a row's memory is its own. */
#ifndef PN_BENCH_PROCESS_H
#define PN_BENCH_PROCESS_H

#include "base/error.h"

#include <stdbool.h>

/* Ends the program with a line about what failed; `err` may be NULL. */
__attribute__((noreturn)) void bench_die(const char *what, const struct pn_err *err);
/* A line of /proc/self/status ("VmRSS") in MB. */
double bench_status_mb(const char *key);
/* True in the child, which calls bench_finish_child() when it is done; the parent returns false after it has.
 * A child that fails ends the program. */
bool bench_in_child(void);
__attribute__((noreturn)) void bench_finish_child(void);

#endif
