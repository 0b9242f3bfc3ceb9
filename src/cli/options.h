/* options.h - the command line that all subcommands share: every setting of the program as a flag, --config,
 * --env-file, and the subcommand's own options. */
#ifndef PN_CLI_OPTIONS_H
#define PN_CLI_OPTIONS_H

#include "base/config.h"

/* Reads the flags, the files that they name (--config FILE; --env-file FILE, else `.env` in the working
 * directory if it is there) and the environment, then checks the whole. `own` (may be NULL) describes
 * `own_fields`, which get their defaults first; its names go before the shared ones. Operands are moved to
 * the end of argv; *ret_first is the index of the first. All memory is the arena's.
 *
 * When `own` has a bool option with the flag "help" and it is given, files and environment are not read and
 * nothing is checked, so that help is there with a broken configuration, too. */
PN_MUST_CHECK int pn_cli_options(int argc, char **argv, const struct pn_opt_table *own, void *own_fields,
                                 struct pn_arena *arena, struct pn_config_loaded **ret, int *ret_first,
                                 struct pn_err *err);
/* Prints `usage` ("usage: pinna serve [OPTION]...\n\nServes ...\n"), the options of `own` and the shared
 * ones to stdout. `all`: the advanced ones as well. 0 or -PN_EIO. */
PN_MUST_CHECK int pn_cli_print_help(const char *usage, const struct pn_opt_table *own, bool all);

typedef int pn_cli_command(int argc, char **argv, struct pn_arena *arena, struct pn_err *err);
/* Runs a subcommand with an arena for its options, and says on stderr what it failed with, if anything. Its
 * status, or 1 without memory. */
int pn_cli_run(const char *name, pn_cli_command *run, int argc, char **argv);

#endif
