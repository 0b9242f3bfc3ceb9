/* config.h - `pinna config`: every setting, its value and where the value came from. */
#ifndef PN_CLI_CONFIG_H
#define PN_CLI_CONFIG_H

/* argv[0] is "config". Returns the exit status: 0, 1 (the output could not be written), 2 (usage, or a
 * configuration that is refused). */
int pn_cmd_config(int argc, char **argv);

#endif
