/* models.h - `pinna models`: what is on this machine, and what can be had. */
#ifndef PN_CLI_MODELS_H
#define PN_CLI_MODELS_H

#include "model/pull.h"

/* argv[0] is "models". Returns the exit status: 0, 1 (the output could not be written), 2 (usage or
 * configuration). */
int pn_cmd_models(int argc, char **argv);
/* The table of what can be had, for `pinna pull --list`: 0 or -PN_EIO. */
PN_MUST_CHECK int pn_models_print_available(const struct pn_mirror *mirror);

#endif
