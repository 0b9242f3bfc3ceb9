/* listen.h - `pinna listen`: a microphone or a pipe, written down while somebody speaks. */
#ifndef PN_CLI_LISTEN_H
#define PN_CLI_LISTEN_H

/* argv[0] is "listen". Returns the exit status: 0, 1 (an error), 2 (usage or configuration), 3 (no such
 * model), 130 (interrupted twice). */
int pn_cmd_listen(int argc, char **argv);

#endif
