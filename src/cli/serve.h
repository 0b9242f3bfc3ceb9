/* serve.h - `pinna serve`. */
#ifndef PN_CLI_SERVE_H
#define PN_CLI_SERVE_H

/* argv[0] is "serve". Returns the exit status: 0 after a drain, 1 (could not start, or stopped at once), 2
 * (usage, or a configuration that is refused). */
int pn_cmd_serve(int argc, char **argv);

#endif
